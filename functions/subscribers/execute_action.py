"""`portal-actions`: does in a payer's web portal what a rule asked for, once."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.domain.events import Received
from shared.ports.record import Emitted
from shared.runtime.bootstrap import app
from shared.runtime.consumer import consume
from shared.runtime.http import path_of


@functions_framework.aio.http
async def execute_action(request: Request) -> Response:
    """Acknowledge once the action has its result, or waits where nothing is lost. `/metrics` is the worker's own."""
    part = app()
    if part.settings.metrics and path_of(request) == "/metrics":
        return await part.metrics.page(request)
    return await consume(request, _handle, consumer="execute_action", desk=part, checks=part.checks)


async def _handle(received: Received) -> Emitted:
    from shared.handlers.execute_action import execute_action as handler

    part = app()
    return await part.in_portal_thread(lambda: handler(received, worker=part.worker))
