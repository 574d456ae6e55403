"""One POST to an endpoint that a customer named: bounded, without redirects, to public addresses only.

A customer chooses the URL, so it must not reach what only we can reach: the peer's address is looked at once connected,
before a byte of the request is sent, so that no DNS answer can turn it inwards in between.
"""

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import LocationValueError

from shared.adapters.notifiers.reach import Reach
from shared.runtime.errors import PermanentError, TransientError

_TRY_AGAIN: Final = frozenset(
    {
        408,  # the receiver was too slow to read us
        425,  # too early
        429,  # too many; Retry-After says when
    }
)
_UNSENDABLE: Final = re.compile(r"[\x00-\x20\x7f]")
_MAX_RETRY_AFTER_S: Final = 86_400
_UNUSABLE_URL: Final = (
    requests.exceptions.InvalidURL,  # InvalidProxyURL too
    requests.exceptions.InvalidSchema,  # not http
    requests.exceptions.MissingSchema,  # not a URL
    requests.exceptions.InvalidHeader,  # a header that cannot be sent
    LocationValueError,  # a host that is none
)


@dataclass(frozen=True, slots=True)
class Post:
    """What is sent where. Not shown: a Slack URL is a credential, and bodies are a customer's business."""

    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


def deliver(post: Post, *, now: datetime, timeout_s: float, reach: Reach = "public") -> None:
    """Return once the receiver answered 2xx. Its body is not read. now: what a `Retry-After` date is counted from.

    Raises:
        TransientError: no connection, no answer in time, 408, 425, 429 or 5xx. Try again, after `retry_after_s`.
        PermanentError: `delivery_refused` for any other answer, redirects included; `invalid_recipient` for a URL
            that cannot or must not be used.
    """
    _check(post.url, reach)
    try:
        status, retry_after = _exchange(post, timeout_s, reach)
    except _UNUSABLE_URL as exc:
        raise PermanentError("invalid_recipient", "not a usable URL") from exc
    except requests.Timeout as exc:
        raise TransientError("timeout", "the receiver did not answer") from exc
    except requests.RequestException as exc:
        raise TransientError("delivery_failed", f"no connection: {type(exc).__name__}") from exc
    _raise_unless_taken(status, retry_after_s(retry_after, now))


def retry_after_s(value: str, now: datetime) -> int | None:
    """Return a `Retry-After` header, seconds or a date, as seconds from now; None if it is neither."""
    if value.isascii() and value.isdigit():
        return min(int(value[:9]), _MAX_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(0, round((aware - now).total_seconds())), _MAX_RETRY_AFTER_S)


def _exchange(post: Post, timeout_s: float, reach: Reach) -> tuple[int, str]:
    """Return the answer's status and `Retry-After`. Nothing is taken from the environment: no proxy, no netrc."""
    with requests.Session() as session:
        session.trust_env = False
        if reach == "public":
            session.mount("https://", _PublicOnly())
        with session.post(
            post.url,
            data=post.body,
            headers=dict(post.headers),
            timeout=timeout_s,
            allow_redirects=False,
            stream=True,
        ) as answer:
            return answer.status_code, answer.headers.get("Retry-After", "")


def _raise_unless_taken(status: int, retry_after: int | None) -> None:
    if status // 100 == 2:  # noqa: PLR2004 - 2xx
        return
    detail = f"the receiver answered {status}"
    if status in _TRY_AGAIN or status // 100 == 5:  # noqa: PLR2004 - 5xx
        raise TransientError("delivery_failed", detail, retry_after_s=retry_after)
    raise PermanentError("delivery_refused", detail)


def _check(url: str, reach: Reach) -> None:
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
        if not _is_public(peer.getpeername()[0]):
            peer.close()
            raise PermanentError("invalid_recipient", "the URL's host has no public address")
        return peer


class _PublicHttpsPool(HTTPSConnectionPool):
    ConnectionCls = _PublicHttpsConnection


class _PublicOnly(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on as they came
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _PublicHttpsPool}


def _is_public(address: str) -> bool:
    peer = ipaddress.ip_address(address.partition("%")[0])
    mapped = peer.ipv4_mapped if isinstance(peer, ipaddress.IPv6Address) else None
    return (mapped or peer).is_global
