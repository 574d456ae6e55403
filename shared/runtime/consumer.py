"""Hosts one subscriber: a pushed CloudEvent in, an acknowledgement out, the error table in between.

A subscriber is an HTTP function rather than a `cloud_event` one because it must answer `GET /_health/*` as well, and
the framework routes only POST to the latter (docs/adr/0002). The request is the same binary-mode CloudEvent.

The order here is guarantee 2: the handler's transaction commits, then the outbox is published and marked, then we
acknowledge. Killed anywhere before the last, the message comes again and finds what is left to do.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Protocol
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.responses import Response

from shared.domain.events import TYPE_PREFIX, Received, trace_id
from shared.ports.publisher import Publisher
from shared.ports.record import Emitted
from shared.runtime.dead_letters import to_dead_letter
from shared.runtime.envelope import as_asked, attempt_of, from_headers
from shared.runtime.errors import (
    AmbiguousOutcomeError,
    PermanentError,
    PoisonError,
    TransientError,
    UpstreamError,
)
from shared.runtime.http import Check, CheckName, bounded_body, headers_of, health, problem
from shared.runtime.outcomes import code_of, consequence
from shared.runtime.settings import PUBLISH_TIMEOUT_S
from shared.runtime.spans import Span, entry, step

if __debug__:
    from shared.runtime.crash_points import reach

MAX_PUSH_BYTES = 10 * 1024 * 1024  # Pub/Sub's own limit
ACK = Response(status_code=204)
OF_JOBS = TYPE_PREFIX + "job."
log = structlog.get_logger()


class Desk(Protocol):
    """What hosting a subscriber needs of the app."""

    @property
    def publisher(self) -> Publisher:
        """Where the outbox goes."""
        ...

    async def mark_published(self, emitted: Emitted) -> None:
        """Note that the broker has the messages."""
        ...

    async def unpublished(self, consumer: str, event_id: UUID, *, customer_id: UUID) -> Emitted:
        """Return what a consumer committed for an event and nobody has marked published."""
        ...


async def consume(
    request: Request,
    handle: Callable[[Received], Awaitable[Emitted]],
    *,
    consumer: str,
    desk: Desk,
    checks: Callable[[], Mapping[CheckName, Check | None]],
) -> Response:
    """Answer a push or a health check. 2xx acknowledges; anything else brings the message back after a back-off."""
    if request.method != "POST":
        return await health(request, checks())
    return await deliver(
        request,
        lambda body, headers, span: handle(
            _below(span, as_asked(from_headers(headers, body), consumer=consumer))
        ),
        consumer=consumer,
        desk=desk,
    )


async def deliver(
    request: Request,
    handle: Callable[[bytes, Mapping[str, str], Span], Awaitable[Emitted]],
    *,
    consumer: str,
    desk: Desk,
    poison_is_kept: bool = True,
) -> Response:
    """Handle one pushed message. poison_is_kept: send what can never be processed to `dead-letters`."""
    headers = headers_of(request)
    ids = _bind(headers, consumer)
    # The trace of a job's share begins with its message: no span made its `traceparent`.
    begins = headers.get("ce-type", "").startswith(OF_JOBS)
    with entry(consumer, "consumer", headers.get("traceparent", ""), ids=ids, begins=begins) as span:
        return await _delivered(
            request, handle, headers, span, consumer=consumer, desk=desk, keep=poison_is_kept
        )


async def _delivered(
    request: Request,
    handle: Callable[[bytes, Mapping[str, str], Span], Awaitable[Emitted]],
    headers: Mapping[str, str],
    span: Span,
    *,
    consumer: str,
    desk: Desk,
    keep: bool,
) -> Response:
    started = time.perf_counter()
    body = b""
    try:
        body = await _whole_body(request)
        emitted = await handle(body, headers, span)
        if __debug__:
            reach("consumer.after_commit", consumer)
        count = await relay(emitted, desk, consumer=consumer)
        if __debug__:
            reach("consumer.after_mark", consumer)
    except Exception as exc:  # noqa: BLE001 - the entry point: every error ends here, as the table says
        span.fail(code_of(exc))
        return await _fail(exc, body, headers, consumer=consumer, desk=desk, keep=keep, started=started)
    _report("event.processed", "info", started, count=count)
    return ACK


async def _whole_body(request: Request) -> bytes:
    """Return the message's data.

    Raises:
        TransientError: it did not come whole. A dead letter made of what came would stand in the way of the real one.
    """
    try:
        return await bounded_body(request, limit=MAX_PUSH_BYTES)
    except PoisonError as exc:
        raise TransientError("unavailable", f"the push: {exc.detail}") from exc


def _below(span: Span, received: Received) -> Received:
    """Return the event as this span's work: what it causes will name the span as its parent."""
    if received.event.trace_parent == span.trace_parent:
        return received
    return replace(received, event=replace(received.event, trace_parent=span.trace_parent))


async def relay(emitted: Emitted, desk: Desk, *, consumer: str) -> int:
    """Publish what a transaction left in the outbox, and mark it published; return how many messages that were.

    As many at a time as `Emitted` holds, each time with a deadline of its own: what is marked is not published again.

    Raises:
        TransientError: the broker or the database is away; a redelivery publishes the rest.
    """
    count = 0
    while emitted.messages:
        with step("publish", "producer"):
            await desk.publisher.publish(emitted.messages, timeout_s=PUBLISH_TIMEOUT_S)
        if __debug__:
            reach("consumer.after_publish", consumer)
        await desk.mark_published(emitted)
        count += len(emitted.ids)
        if emitted.more_of is None:
            break
        emitted = await desk.unpublished(consumer, emitted.more_of, customer_id=emitted.customer_id)
    return count


async def _fail(
    error: Exception,
    body: bytes,
    headers: Mapping[str, str],
    *,
    consumer: str,
    desk: Desk,
    keep: bool,
    started: float,
) -> Response:
    fate = consequence(error)
    _report("event.failed", fate.log, started, error=error)
    match error:
        case PoisonError() if keep:
            return await _dead_letter(error, body, headers, consumer=consumer, desk=desk, started=started)
        case PermanentError() | AmbiguousOutcomeError():
            return ACK
        case _:
            return problem(error)


async def _dead_letter(
    error: UpstreamError,
    body: bytes,
    headers: Mapping[str, str],
    *,
    consumer: str,
    desk: Desk,
    started: float,
) -> Response:
    letter = to_dead_letter(body, headers, consumer=consumer, error=error)
    if __debug__:
        reach("dead_letter.before_publish", consumer)
    try:
        await desk.publisher.publish([letter], timeout_s=PUBLISH_TIMEOUT_S)
    except UpstreamError as exc:  # not kept, so not acknowledged
        _report("dead_letter.not_kept", "error", started, error=exc)
        return problem(exc)
    if __debug__:
        reach("dead_letter.after_publish", consumer)
    _report("dead_letter.sent", "warning", started, error=error)
    return ACK


def _bind(headers: Mapping[str, str], consumer: str) -> Mapping[str, str]:
    """Name in each line what it is about; return the ids."""
    ids = {
        "function": consumer,
        "event_id": headers.get("ce-id", "")[:64],
        "event_type": headers.get("ce-type", "")[:64],
        "customer_id": headers.get("ce-customerid", "")[:64],
        "trace_id": trace_id(headers.get("traceparent", "")),
    }
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(attempt=attempt_of(headers), **ids)
    return ids


def _report(
    line: str, level: str, started: float, *, count: int | None = None, error: BaseException | None = None
) -> None:
    members: dict[str, object] = {"duration_ms": round((time.perf_counter() - started) * 1000, 2)}
    if count is not None:
        members["count"] = count
    if error is not None:
        members |= {"code": code_of(error), "error": type(error).__name__}
    if error is not None and not isinstance(error, UpstreamError):
        members["raised"] = error
    getattr(log, level)(line, **members)
