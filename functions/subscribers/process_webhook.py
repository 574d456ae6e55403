"""`webhook-events`: parses a payer's payload, stores what it states, emits domain events."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.domain.events import Received
from shared.ports.record import Emitted
from shared.runtime.bootstrap import app
from shared.runtime.consumer import consume


@functions_framework.aio.http
async def process_webhook(request: Request) -> Response:
    """Acknowledge once the payload's rows and events are stored and published."""
    return await consume(request, _handle, consumer="process_webhook", desk=app(), checks=app().checks())


def _handle(received: Received) -> Emitted:
    from shared.handlers.process_webhook import process_webhook as handler

    return handler(received, record=app().record, clock=app().clock)
