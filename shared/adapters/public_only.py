"""Outbound requests to addresses that others chose must not reach what only we can reach.

The peer's address is looked at once connected, before a byte of the request is sent, so that no DNS answer can turn it
inwards in between.
"""

import ipaddress
import re
import socket
from typing import Any, Final
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from shared.adapters.reach import Reach
from shared.runtime.errors import PermanentError

_UNSENDABLE: Final = re.compile(r"[\x00-\x20\x7f]")


def check_url(url: str, reach: Reach) -> None:
    """Return if a URL may be asked for.

    Raises:
        PermanentError: it is none, not https, or holds credentials (`invalid_recipient`).
    """
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise PermanentError("invalid_recipient", "not a URL") from exc
    if parts.scheme != "https" and (reach, parts.scheme) != ("any", "http"):
        raise PermanentError("invalid_recipient", "not an https URL")
    if not parts.hostname or "@" in parts.netloc or _UNSENDABLE.search(url):
        raise PermanentError("invalid_recipient", "a URL without a host, with credentials or with spaces")


class _PublicHttpsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        peer = super()._new_conn()
        if not is_public(peer.getpeername()[0]):
            peer.close()
            raise PermanentError("invalid_recipient", "the URL's host has no public address")
        return peer


class _PublicHttpsPool(HTTPSConnectionPool):
    ConnectionCls = _PublicHttpsConnection


class PublicOnly(HTTPAdapter):
    """Connects to public addresses alone; mount it for `https://`."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on as they came
        """Make the pools of connections that look at their peers."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _PublicHttpsPool}


def is_public(address: str) -> bool:
    """Return whether anybody can reach the address, and not only we."""
    peer = ipaddress.ip_address(address.partition("%")[0])
    mapped = peer.ipv4_mapped if isinstance(peer, ipaddress.IPv6Address) else None
    return (mapped or peer).is_global
