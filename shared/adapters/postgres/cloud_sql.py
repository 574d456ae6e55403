"""Connections to Cloud SQL: TLS and IAM login by Google's connector, over the private address."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from shared.runtime.settings import Settings


@cache
def _connector() -> Any:  # noqa: ANN401 - the connector ships no types
    from google.cloud.sql.connector import Connector

    return Connector(
        refresh_strategy="lazy", timeout=10
    )  # lazy: no background refresh while the CPU is throttled


def connector_creator(
    settings: Settings, *, user: str, database: str, session: Mapping[str, str]
) -> Callable[[], Any]:
    """Return what opens one pg8000 connection to the instance `settings.database` (`project:region:name`)."""

    def connect() -> Any:  # noqa: ANN401 - pg8000's connection
        return _connector().connect(
            settings.database,
            "pg8000",
            user=user,
            db=database,
            enable_iam_auth=settings.database_iam_login,
            startup_params=dict(session),
            ip_type="private" if settings.database_private_ip else "public",
        )

    return connect
