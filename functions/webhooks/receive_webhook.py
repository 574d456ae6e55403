"""`POST /v1/webhooks/{provider}/{connection_id}`: takes a payer's delivery. `schemas/openapi.json` has every reply."""

import os
import re
import time
from dataclasses import replace
from typing import Final

import functions_framework.aio
import structlog
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from shared.domain.events import trace_id
from shared.handlers.accept_webhook import (
    Accepted,
    Ingress,
    RateLimitedError,
    RawDelivery,
    accept_webhook,
    settle_accepted,
)
from shared.runtime.bootstrap import app
from shared.runtime.errors import PoisonError, UpstreamError
from shared.runtime.http import Share, bounded_body, headers_of, health, json_reply, path_of, problem
from shared.runtime.outcomes import code_of, consequence
from shared.runtime.spans import entry

MEDIA_TYPES: Final = frozenset(
    {
        "application/json",
        "application/fhir+json",
        "application/cloudevents+json",
        "application/edi-x12",
        "application/x12",
        "text/plain",
        "application/octet-stream",
    }
)
PLAIN: Final = {
    "content-encoding": "identity",
    "transfer-encoding": "chunked",
}  # codings that compress nothing
MAX_CONTENT_TYPE: Final = 200
PATH_PARTS: Final = 4
TRACE_PARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
log = structlog.get_logger()


@functions_framework.aio.http
async def receive_webhook(request: Request) -> Response:
    """Reply 202 once the event is durable, 200 if it was before, else a problem."""
    started = time.perf_counter()
    try:
        path = path_of(request)
        if path.startswith("/_health/"):
            return await health(request, app().checks(database=False, keys=True))
        ingress = app().ingress
        with app().room.share() as share:
            delivery = await _delivery(request, path, share)
            begins = delivery.headers.get("traceparent") != delivery.trace_parent
            ids = {"function": "receive_webhook"}
            with entry("receive_webhook", "server", delivery.trace_parent, ids=ids, begins=begins) as span:
                accepted = await accept_webhook(
                    replace(delivery, trace_parent=span.trace_parent), ingress=ingress
                )
                span.note(**_ids(accepted))
    except Exception as exc:  # noqa: BLE001 - the entry point: every error ends here, as the table says
        return _refused(exc, started)
    return _accepted(accepted, delivery, ingress, started)


async def _delivery(request: Request, path: str, share: Share) -> RawDelivery:
    """Read a request. Everything refused here is refused alike to everyone, whoever signed.

    Raises:
        PoisonError: wrong path, method, media type or size.
        TransientError: the body came too slowly, or there is no room for it.
    """
    parts = path.split("/")[1:]
    if len(parts) != PATH_PARTS or parts[:2] != ["v1", "webhooks"]:
        raise PoisonError("not_found")
    if request.method != "POST":
        raise PoisonError("method_not_allowed")
    headers = headers_of(request)
    for name, plain in PLAIN.items():
        if name in headers and any(c.strip().lower() != plain for c in request.headers.getlist(name)):
            raise PoisonError("unsupported_media_type", "a compressed body")
    return RawDelivery(
        provider=parts[2],
        connection_id=parts[3],
        headers=headers,
        content_type=_content_type(headers.get("content-type", "")),
        body=await bounded_body(request, share=share),
        trace_parent=_trace_parent(headers.get("traceparent", "")),
    )


def _content_type(sent: str) -> str:
    """Return the content type as sent: it becomes an attribute, and a header again at every hop.

    Raises:
        PoisonError: not one that we read, or not printable ASCII.
    """
    known = sent.partition(";")[0].strip().lower() in MEDIA_TYPES
    if not known or len(sent) > MAX_CONTENT_TYPE or not sent.isascii() or not sent.isprintable():
        raise PoisonError("unsupported_media_type")
    return sent


def _trace_parent(sent: str) -> str:
    """Return the sender's trace context if it is one, else a new one. Source: W3C Trace Context, "traceparent"."""
    if TRACE_PARENT.fullmatch(sent):
        return sent
    return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"


def _accepted(accepted: Accepted, delivery: RawDelivery, ingress: Ingress, started: float) -> Response:
    status = 200 if accepted.duplicate else 202
    log.info(
        "webhook.accepted",
        function="receive_webhook",
        **_ids(accepted),
        delivery_key=str(accepted.delivery_key),
        trace_id=trace_id(delivery.trace_parent),
        status=status,
        attempt=1,
        duration_ms=round((time.perf_counter() - started) * 1000, 2),
    )
    content = {"status": "duplicate" if accepted.duplicate else "accepted", **accepted.answer}
    reply = json_reply(status, content, accepted.allowance.headers())
    if not accepted.duplicate:
        reply.background = BackgroundTask(_settle, accepted, ingress)
    return reply


def _ids(accepted: Accepted) -> dict[str, str]:
    return {
        "event_id": str(accepted.event_id),
        "connection_id": str(accepted.connection.id),
        "customer_id": str(accepted.connection.customer_id),
        "provider": accepted.connection.provider,
    }


async def _settle(accepted: Accepted, ingress: Ingress) -> None:
    """Mark the key accepted after the reply is out; if that fails, a retry is taken again and its copy dropped."""
    try:
        await settle_accepted(accepted, ingress=ingress)
    except Exception as exc:  # noqa: BLE001 - the entry point's other end: the reply is out, only the log is left
        _log(exc, "webhook.not_settled", event_id=str(accepted.event_id))


def _refused(error: Exception, started: float) -> Response:
    _log(
        error,
        "webhook.refused",
        status=consequence(error).http_status,
        duration_ms=round((time.perf_counter() - started) * 1000, 2),
    )
    if isinstance(error, RateLimitedError):
        return problem(error, headers=error.allowance.headers())
    allowed = code_of(error) == "method_not_allowed"
    return problem(error, headers={"Allow": "POST"} if allowed else None)


def _log(error: Exception, line: str, **members: object) -> None:
    """Write one line: a warning for what we expect of senders and stores, louder with its place for our bugs."""
    members |= {"function": "receive_webhook", "code": code_of(error), "error": type(error).__name__}
    if isinstance(error, UpstreamError):
        log.warning(line, **members)
    else:
        log.critical(line, raised=error, **members)
