"""`notifications`: tells a customer what happened, on each of its channels."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.domain.events import Received
from shared.ports.record import Emitted
from shared.runtime.bootstrap import app
from shared.runtime.consumer import consume


@functions_framework.aio.http
async def notify(request: Request) -> Response:
    """Acknowledge once every channel took the notification or refused it for good."""
    return await consume(request, _handle, consumer="notify", desk=app(), checks=app().checks)


async def _handle(received: Received) -> Emitted:
    from shared.handlers.notify import notify as handler

    part = app()
    return await part.in_thread(
        lambda: handler(received, record=part.record, log=part.notification_log, notifier=part.notifier)
    )
