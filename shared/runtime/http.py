"""HTTP at the edge of a function: bounded bodies, problem replies, health."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, Literal

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from shared.runtime.errors import ErrorCode, PoisonError, TransientError
from shared.runtime.outcomes import code_of, consequence, told_code
from shared.runtime.settings import (
    BODY_TIMEOUT_S,
    HEALTH_TIMEOUT_S,
    MAX_BODY_BYTES,
    MAX_HELD_BYTES,
    MAX_INLINE_BYTES,
)

ROOM_AFTER_S: Final = 5  # when to come back with a large body: most are kept by then
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
TITLES: Final[Mapping[int, str]] = {status.value: status.phrase for status in HTTPStatus}

CheckName = Literal["database", "idempotency_store", "broker"]
Check = Callable[[], Awaitable[None]]


class Room:
    """How much of large bodies an instance holds at a time. What is small needs none, and always finds a place."""

    def __init__(self, limit: int = MAX_HELD_BYTES) -> None:
        """limit: bytes, of all requests together."""
        self._left = limit

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """Yield one request's share, which is empty, and take back what it has become."""
        share = Share(self)
        try:
            yield share
        finally:
            self._left += share.taken

    def take(self, size: int) -> None:
        """Give up so many bytes.

        Raises:
            TransientError: there are not as many left (`unavailable`). Others will be done soon.
        """
        if size > self._left:
            raise TransientError("unavailable", "too many large bodies at once", retry_after_s=ROOM_AFTER_S)
        self._left -= size


class Share:
    """What one request holds of the room. taken: bytes."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.taken = 0

    def grow(self, size: int) -> None:
        """Hold a body that has come to `size` bytes.

        Raises:
            TransientError: there is no room for it (`unavailable`).
        """
        if size > MAX_INLINE_BYTES:
            self._room.take(size - self.taken)
            self.taken = size


async def bounded_body(
    request: Request,
    *,
    limit: int = MAX_BODY_BYTES,
    within_s: float = BODY_TIMEOUT_S,
    share: Share | None = None,
) -> bytes:
    """Return the body, having read no more than `limit` bytes and a chunk. share: grows with what has come.

    Raises:
        PoisonError: larger than `limit` (`payload_too_large`), or cut off by the sender (`bad_request`).
        TransientError: not all there `within_s` (`timeout`): a stalled sender holds neither memory nor a place. Or
            there is no room for it (`unavailable`).
    """
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise PoisonError("payload_too_large")
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise PoisonError("payload_too_large")
                if share is not None:
                    share.grow(size)
                chunks.append(chunk)
    except ClientDisconnect as exc:
        raise PoisonError("bad_request", "the body was cut off") from exc
    except TimeoutError as exc:
        raise TransientError("timeout", "the body came too slowly") from exc
    return b"".join(chunks)


def json_reply(
    status: int, content: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON reply."""
    return Response(orjson.dumps(content), status_code=status, headers=dict(headers or {}), media_type=JSON)


def problem(error: BaseException, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return the problem reply for an error: a stable code that the sender can act on, and nothing of its cause.

    Source: RFC 9457, "Members of a Problem Details Object".
    """
    status, code = consequence(error).http_status, told_code(error)
    extra = dict(headers or {})
    if status == HTTPStatus.UNAUTHORIZED:
        extra["WWW-Authenticate"] = "Signature"
    if isinstance(error, TransientError) and error.retry_after_s is not None:
        extra.setdefault("Retry-After", str(error.retry_after_s))
    content = {
        "type": f"urn:upstream:problem:{code}",
        "title": TITLES[status],
        "status": status,
        "code": code,
    }
    return Response(orjson.dumps(content), status_code=status, headers=extra, media_type=PROBLEM)


def refusal(code: ErrorCode, headers: Mapping[str, str] | None = None) -> Response:
    """Return the problem reply for a code alone."""
    return problem(PoisonError(code), headers=headers)


def headers_of(request: Request) -> dict[str, str]:
    """Return the headers by lower-case name: of one sent twice the first, as Starlette answers by scanning its list."""
    return dict(reversed(request.headers.items()))


def path_of(request: Request) -> str:
    """Return the decoded path with one slash before it and none after. `request.url` raises on a query not in UTF-8."""
    return "/" + str(request.scope["path"]).strip("/")


async def health(request: Request, checks: Mapping[CheckName, Check | None]) -> Response:
    """Answer `/_health/live` and `/_health/ready`. A check of None is a part that this function does not use.

    Ready runs all checks at once, each within its bound, so the reply takes no longer than the slowest of them.
    """
    path = path_of(request)
    if path not in ("/_health/live", "/_health/ready"):
        return refusal("not_found")
    if request.method not in ("GET", "HEAD"):
        return refusal("method_not_allowed", {"Allow": "GET, HEAD"})
    if path == "/_health/live":
        return json_reply(200, {"status": "live"})
    names = list(checks)
    answers = await asyncio.gather(*(_answer(checks[name]) for name in names))
    found = dict(zip(names, answers, strict=True))
    ready = all(answer in ("ok", "not_used") for answer in answers)
    return json_reply(200 if ready else 503, {"status": "ready" if ready else "unavailable", "checks": found})


async def _answer(check: Check | None) -> str:
    if check is None:
        return "not_used"
    try:
        async with asyncio.timeout(HEALTH_TIMEOUT_S):
            await check()
    except TimeoutError:
        return "timeout"
    except Exception as exc:  # noqa: BLE001 - a check's entry point: whatever it raises, its part is not ready
        return code_of(exc)
    return "ok"
