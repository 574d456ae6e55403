"""`POST /v1/webhooks/{provider}/{connection_id}`: takes a payer's delivery."""

import os
import time
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
from shared.runtime.http import bounded_body, health, json_reply, problem
from shared.runtime.log import where
from shared.runtime.outcomes import code_of, consequence

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
PATH_PARTS: Final = 4
log = structlog.get_logger()


@functions_framework.aio.http
async def receive_webhook(request: Request) -> Response:
    """Reply 202 once the event is durable, 200 if it was before, else a problem."""
    if "/_health/" in request.url.path:
        return await health(request.url.path, app().checks(database=False, keys=True))
    started = time.perf_counter()
    ingress = app().ingress
    try:
        delivery = await _delivery(request)
        accepted = await accept_webhook(delivery, ingress=ingress)
    except Exception as exc:  # noqa: BLE001 - the entry point: every error ends here, as the table says
        return _refused(exc, started)
    return _accepted(accepted, delivery, ingress, started)


async def _delivery(request: Request) -> RawDelivery:
    """Read a request. Everything refused here is refused alike to everyone, whoever signed.

    Raises:
        PoisonError: wrong path, method, media type or size.
    """
    parts = request.url.path.strip("/").split("/")
    if len(parts) != PATH_PARTS or parts[:2] != ["v1", "webhooks"]:
        raise PoisonError("not_found")
    if request.method != "POST":
        raise PoisonError("method_not_allowed")
    headers = request.headers
    content_type = headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() not in MEDIA_TYPES or len(content_type) > 200:  # noqa: PLR2004
        raise PoisonError("unsupported_media_type")
    if headers.get("content-encoding", "identity") != "identity":
        raise PoisonError("unsupported_media_type", "a compressed body")
    return RawDelivery(
        provider=parts[2],
        connection_id=parts[3],
        headers=headers,
        body=await bounded_body(request),
        content_type=content_type,
        trace_parent=_trace_parent(headers.get("traceparent", "")),
    )


def _trace_parent(sent: str) -> str:
    """Return the sender's trace context if it is one, else a new one. Source: W3C Trace Context, "traceparent"."""
    if len(sent) == 55 and sent.isascii() and trace_id(sent) and sent.startswith("00-"):  # noqa: PLR2004 - fixed width
        return sent
    return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"


def _accepted(accepted: Accepted, delivery: RawDelivery, ingress: Ingress, started: float) -> Response:
    status = 200 if accepted.duplicate else 202
    log.info(
        "webhook.accepted",
        function="receive_webhook",
        event_id=str(accepted.event_id),
        connection_id=str(accepted.connection.id),
        customer_id=str(accepted.connection.customer_id),
        provider=accepted.connection.provider,
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


async def _settle(accepted: Accepted, ingress: Ingress) -> None:
    """Mark the key accepted after the reply is out; if that fails, a retry is taken again and its copy dropped."""
    try:
        await settle_accepted(accepted, ingress=ingress)
    except UpstreamError as exc:
        log.warning(
            "webhook.not_settled", function="receive_webhook", event_id=str(accepted.event_id), code=exc.code
        )


def _refused(error: Exception, started: float) -> Response:
    fate = consequence(error)
    members: dict[str, object] = {
        "code": code_of(error),
        "status": fate.http_status,
        "error": type(error).__name__,
    }
    if not isinstance(error, UpstreamError):
        members["stack"] = where(error)
    level = (
        "warning" if isinstance(error, UpstreamError) else "critical"
    )  # a payer's mistake is not our error
    getattr(log, level)(
        "webhook.refused",
        function="receive_webhook",
        duration_ms=round((time.perf_counter() - started) * 1000, 2),
        **members,
    )
    return problem(error, headers=error.allowance.headers() if isinstance(error, RateLimitedError) else None)
