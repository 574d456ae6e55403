"""Connections to Cloud SQL: TLS and IAM login by Google's connector, over the private address."""

import socket
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from shared.runtime.settings import Settings

# A server that has gone without a word is noticed within a minute, whatever it was asked.
ALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 60_000}


@cache
def _connector() -> Any:  # noqa: ANN401 - the connector ships no types
    from google.cloud.sql.connector import Connector

    return Connector(
        refresh_strategy="lazy", timeout=10
    )  # lazy: no background refresh while the CPU is throttled


def connector_creator(
    settings: Settings,
    *,
    user: str,
    database: str,
    session: Mapping[str, str],
    deadline_s: float | None,
    connector: Callable[[], Any] = _connector,
) -> Callable[[], Any]:
    """Return what opens one pg8000 connection to the instance `settings.database` (`project:region:name`).

    deadline_s: of each answer; None waits for as long as the server is there. connector: Google's, but for tests.
    """

    def connect() -> Any:  # noqa: ANN401 - pg8000's connection
        opened = connector().connect(
            settings.database,
            "pg8000",
            user=user,
            db=database,
            enable_iam_auth=settings.database_iam_login,
            startup_params=dict(session),
            ip_type="private" if settings.database_private_ip else "public",
        )
        _bound(opened._usock, deadline_s)  # noqa: SLF001 - pg8000 heeds its own options of this for no socket it is given
        return opened

    return connect


def _bound(stream: socket.socket, deadline_s: float | None) -> None:
    stream.settimeout(deadline_s)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in ALIVE.items():
        if hasattr(socket, name):  # Linux has them all
            stream.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
