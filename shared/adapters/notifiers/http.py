"""One POST to an endpoint that a customer named: bounded, without redirects, to public addresses only.

What keeps it from reaching inwards is in `shared/adapters/public_only.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import requests
from urllib3.exceptions import LocationValueError

from shared.adapters.public_only import PublicOnly, check_url
from shared.adapters.reach import Reach
from shared.runtime.errors import PermanentError, TransientError

_TRY_AGAIN: Final = frozenset(
    {
        408,  # the receiver was too slow to read us
        425,  # too early
        429,  # too many; Retry-After says when
    }
)
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
    check_url(post.url, reach)
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
            session.mount("https://", PublicOnly())
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
