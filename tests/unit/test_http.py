import asyncio
import json
import selectors
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar, get_args

import pytest
from starlette.requests import Request

from shared.runtime.errors import ErrorCode, PoisonError, TransientError
from shared.runtime.http import Check, CheckName, bounded_body, health, json_reply, path_of, problem, refusal
from tests.documented import Reply, fault

T = TypeVar("T")
CODES: tuple[ErrorCode, ...] = get_args(ErrorCode)


class PassingTime(selectors.DefaultSelector):
    """Waits for nothing: where it would have to, the time has passed."""

    passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing will ever happen"
        self.passed_s += max(timeout, 0.0)
        return super().select(0)


class Quick(asyncio.SelectorEventLoop):
    """An event loop on which sleeping takes no time and is timed all the same."""

    def __init__(self) -> None:
        self.waiting = PassingTime()
        super().__init__(self.waiting)

    def time(self) -> float:
        return self.waiting.passed_s


def timed(work: Callable[[], Awaitable[T]]) -> tuple[T, float]:
    """Return what the work came to, and how many seconds it would have taken."""

    async def run() -> tuple[T, float]:
        started_s = asyncio.get_running_loop().time()
        result = await work()
        return result, round(asyncio.get_running_loop().time() - started_s, 3)

    with asyncio.Runner(loop_factory=Quick) as runner:
        return runner.run(run())


def request(path: str = "/", *, method: str = "GET", headers: Mapping[str, str] | None = None, query: bytes = b"",
            receive: Callable[[], Awaitable[dict[str, Any]]] | None = None) -> Request:  # fmt: skip
    scope = {
        "type": "http", "method": method, "path": path, "query_string": query, "scheme": "http", "server": ("h", 80),
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
    }  # fmt: skip
    return Request(scope, receive) if receive else Request(scope)


def sending(
    chunks: Iterable[bytes], *, every_s: float = 0.0, then: str = "end"
) -> Callable[[], Awaitable[dict[str, Any]]]:
    left = iter(chunks)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(every_s)
        chunk = next(left, None)
        if chunk is not None:
            return {"type": "http.request", "body": chunk, "more_body": True}
        if then == "stall":
            await asyncio.sleep(10**6)
        return {"type": "http.disconnect"} if then == "disconnect" else {"type": "http.request", "body": b""}

    return receive


# Health.


def ready(checks: Mapping[CheckName, Check | None]) -> tuple[int, Any, float]:
    reply, took_s = timed(lambda: health(request("/_health/ready"), checks))
    assert (
        fault("GET", "/_health/ready", Reply(reply.status_code, dict(reply.headers), bytes(reply.body)))
        is None
    )
    return reply.status_code, json.loads(bytes(reply.body)), took_s


def answering(after_s: float, error: Exception | None = None) -> Check:
    async def check() -> None:
        await asyncio.sleep(after_s)
        if error is not None:
            raise error

    return check


def test_ready_says_how_each_part_is() -> None:
    assert ready({"database": answering(0), "idempotency_store": None, "broker": answering(0)}) == (
        200,
        {"status": "ready", "checks": {"database": "ok", "idempotency_store": "not_used", "broker": "ok"}},
        0.0,
    )


def test_one_part_that_does_not_answer_makes_it_unavailable() -> None:
    away = TransientError("unavailable", "the host 10.0.0.7 refused")
    status, body, _ = ready({"database": answering(0, away), "broker": answering(0)})
    assert status == 503
    assert body == {"status": "unavailable", "checks": {"database": "unavailable", "broker": "ok"}}


def test_each_check_has_two_seconds_and_all_run_at_once() -> None:
    slow = {"database": answering(60), "idempotency_store": answering(60), "broker": answering(1.9)}
    status, body, took_s = ready({name: slow[name] for name in get_args(CheckName)})
    assert status == 503
    assert body["checks"] == {"database": "timeout", "idempotency_store": "timeout", "broker": "ok"}
    assert took_s == 2.0


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError("away"), PoisonError("invalid_event")])
def test_a_check_that_fails_in_any_way_is_a_part_that_is_not_ready(error: Exception) -> None:
    status, body, _ = ready({"database": answering(0, error), "broker": answering(0)})
    assert status == 503
    assert body["checks"]["database"] in CODES


def test_live_asks_nobody() -> None:
    reply, _ = timed(lambda: health(request("/_health/live"), {"database": answering(0, RuntimeError())}))
    assert (reply.status_code, json.loads(bytes(reply.body))) == (200, {"status": "live"})


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/_health/live", "HEAD", 200),
        ("/_health/ready/", "GET", 200),
        ("/_health/live", "POST", 405),
        ("/_health/ready", "DELETE", 405),
        ("/_health", "GET", 404),
        ("/_health/", "GET", 404),
        ("/_health/livery", "GET", 404),
        ("/v1/_health/live", "GET", 404),
        ("/", "PUT", 404),
    ],
)
def test_health_has_two_paths_and_two_methods(path: str, method: str, status: int) -> None:
    reply, _ = timed(lambda: health(request(path, method=method), {}))
    assert reply.status_code == status
    assert (reply.headers.get("allow") == "GET, HEAD") == (status == 405)


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/a/b", b"", "/a/b"),
        ("//a/b//", b"", "/a/b"),
        ("", b"", "/"),
        ("/a?b#c\\", b"", "/a?b#c\\"),
        ("/a", b"\xff", "/a"),
    ],
)
def test_a_path_is_what_was_sent_whatever_the_query_and_host(path: str, query: bytes, expected: str) -> None:
    assert path_of(request(path, query=query, headers={"host": "evil/_health/live?["})) == expected


# Bodies.


@pytest.mark.parametrize("chunks", [[], [b""], [b"abc"], [b"a", b"", b"bc"], [b"x" * 10]])
def test_a_body_within_the_limit_is_whole(chunks: list[bytes]) -> None:
    body, _ = timed(lambda: bounded_body(request(receive=sending(chunks)), limit=10))
    assert body == b"".join(chunks)


@pytest.mark.parametrize(
    ("headers", "chunks", "then", "code"),
    [
        ({}, [b"x" * 11], "end", "payload_too_large"),
        ({}, [b"x" * 10, b"x"], "stall", "payload_too_large"),
        ({"content-length": "11"}, [], "stall", "payload_too_large"),
        ({}, [b"x"], "disconnect", "bad_request"),
    ],
)
def test_a_body_that_is_too_large_or_cut_off_is_refused(
    headers: Mapping[str, str], chunks: list[bytes], then: str, code: ErrorCode
) -> None:
    with pytest.raises(PoisonError) as refused:
        timed(lambda: bounded_body(request(headers=headers, receive=sending(chunks, then=then)), limit=10))
    assert refused.value.code == code


def test_a_sender_that_stalls_or_trickles_is_given_up_after_two_minutes() -> None:
    async def given_up(every_s: float, then: str) -> None:
        with pytest.raises(TransientError) as refused:
            await bounded_body(request(receive=sending([b"x"] * 10**6, every_s=every_s, then=then)))
        assert refused.value.code == "timeout"

    assert timed(lambda: given_up(0.5, "end")) == (None, 120.0)
    assert timed(lambda: given_up(119.0, "stall")) == (None, 120.0)


def test_a_slow_sender_has_two_minutes() -> None:
    body, took_s = timed(lambda: bounded_body(request(receive=sending([b"x"] * 118, every_s=1.0))))
    assert (body, took_s) == (b"x" * 118, 119.0)


# Problems.


@pytest.mark.parametrize("code", CODES)
def test_a_problem_is_documented_and_says_nothing_of_its_cause(code: ErrorCode) -> None:
    for error in (PoisonError(code, "Jane Doe"), TransientError(code, "10.0.0.7", retry_after_s=7)):
        reply = problem(error, headers={"Allow": "POST"})
        content = json.loads(bytes(reply.body))
        assert content["status"] == reply.status_code
        assert content["title"] == HTTPStatus(reply.status_code).phrase
        assert content["type"] == f"urn:upstream:problem:{content['code']}"
        assert reply.headers["content-type"] == "application/problem+json"
        assert not {"Jane", "10.0.0.7"} & set(bytes(reply.body).decode().split('"'))
        assert reply.headers.get("retry-after") == ("7" if isinstance(error, TransientError) else None)
        assert ("www-authenticate" in reply.headers) == (reply.status_code == 401)


def test_a_refusal_and_a_reply_carry_the_headers_they_are_given() -> None:
    assert refusal("method_not_allowed", {"Allow": "POST"}).headers["allow"] == "POST"
    reply = json_reply(202, {"status": "accepted"}, {"X-RateLimit-Limit": "100"})
    assert (reply.status_code, reply.headers["x-ratelimit-limit"]) == (202, "100")
    assert reply.headers["content-type"] == "application/json"
