"""`portal-actions`: does in a payer's web portal what a rule asked for, once."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.domain.events import Received
from shared.ports.record import Emitted
from shared.runtime.bootstrap import app
from shared.runtime.consumer import consume


@functions_framework.aio.http
async def execute_action(request: Request) -> Response:
    """Acknowledge once the action has its result, or waits for its time where nothing is lost."""
    return await consume(
        request, _handle, consumer="execute_action", desk=app().portal_desk, checks=app().checks()
    )


def _handle(received: Received) -> Emitted:
    from shared.handlers.execute_action import execute_action as handler

    return handler(received, worker=app().worker)
