"""`webhook-events`: parses a payer's payload, stores what it states, emits domain events."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.runtime.bootstrap import app
from shared.runtime.consumer import consume


@functions_framework.aio.http
async def process_webhook(request: Request) -> Response:
    """Acknowledge once the payload's rows and events are stored and published."""
    part = app()
    return await consume(
        request, part.process_webhook.submit, consumer="process_webhook", desk=part, checks=part.checks
    )
