"""`Fetcher` over HTTP: bounded in size and time, to public addresses only, as outbound webhooks are."""

import time
from collections.abc import Mapping
from typing import Final

import requests
from urllib3.exceptions import HTTPError, LocationValueError

from shared.adapters.public_only import PublicOnly, check_url
from shared.adapters.reach import Reach
from shared.ports.fetching import Fetched
from shared.runtime.errors import PermanentError, TransientError
from shared.runtime.settings import MAX_BODY_BYTES

CONNECT_TIMEOUT_S: Final = 10.0
TIMEOUT_S: Final = 60.0  # of the whole answer
BLOCK: Final = 1 << 16
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_LATER: Final = frozenset(
    {
        401,  # a credential that is being changed
        403,
        404,  # named before it can be read
        408,  # the server was too slow to read us
        425,  # too early
        429,  # too many
    }
)


class HttpFetcher:
    """One request at a time, each with a session of its own: nothing is taken from the environment."""

    def __init__(
        self, reach: Reach = "public", *, limit: int = MAX_BODY_BYTES, timeout_s: float = TIMEOUT_S
    ) -> None:
        """reach: `any` for local runs. limit: bytes that are taken. timeout_s: for the whole answer."""
        self._reach: Reach = reach
        self._limit = limit
        self._timeout_s = timeout_s

    def get(self, url: str, *, headers: Mapping[str, str], follow: bool) -> Fetched:
        """Return what is there."""
        deadline = time.monotonic() + self._timeout_s
        try:
            found = self._ask(url, headers, deadline)
            if isinstance(found, Fetched):
                return found
            if not follow:
                raise PermanentError("fetch_refused", "the server sent us elsewhere")
            found = self._ask(found, {}, deadline)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, LocationValueError) as exc:
            raise PermanentError("invalid_recipient", "not a usable URL") from exc
        except requests.Timeout as exc:
            raise TransientError("timeout", "the server did not answer") from exc
        except (requests.RequestException, HTTPError) as exc:
            raise TransientError("fetch_failed", f"no connection: {type(exc).__name__}") from exc
        if not isinstance(found, Fetched):
            raise PermanentError("fetch_refused", "the server sent us elsewhere twice")
        return found

    def _ask(self, url: str, headers: Mapping[str, str], deadline: float) -> Fetched | str:
        """Return the answer, or where it leads."""
        check_url(url, self._reach)
        with requests.Session() as session:
            session.trust_env = False
            if self._reach == "public":
                session.mount("https://", PublicOnly())
            with session.get(
                url,
                headers=dict(headers),
                timeout=(CONNECT_TIMEOUT_S, max(0.1, deadline - time.monotonic())),
                allow_redirects=False,
                stream=True,
            ) as answer:
                if answer.status_code in _REDIRECTS:
                    return requests.compat.urljoin(url, answer.headers.get("Location", ""))
                _raise_unless_given(answer.status_code)
                return Fetched(self._body(answer, deadline), answer.headers.get("Content-Type", ""))

    def _body(self, answer: requests.Response, deadline: float) -> bytes:
        body = bytearray()
        for block in answer.iter_content(BLOCK):
            body += block
            if len(body) > self._limit:
                raise PermanentError("fetch_refused", f"more than {self._limit} bytes")
            if time.monotonic() > deadline:
                raise TransientError("timeout", "the server took too long")
        return bytes(body)


def _raise_unless_given(status: int) -> None:
    if status == 200:  # noqa: PLR2004 - the one answer with a resource in it
        return
    detail = f"the server answered {status}"
    if status in _LATER or status // 100 == 5:  # noqa: PLR2004 - 5xx
        raise TransientError("fetch_failed", detail)
    raise PermanentError("fetch_refused", detail)
