"""`domain-events`: asks the customer's rules, writes the audit trail, emits what follows."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.domain.events import Received
from shared.ports.record import Emitted
from shared.runtime.bootstrap import app
from shared.runtime.consumer import consume


@functions_framework.aio.http
async def apply_rules(request: Request) -> Response:
    """Acknowledge once the decisions are stored and what they cause is published."""
    return await consume(request, _handle, consumer="apply_rules", desk=app(), checks=app().checks())


def _handle(received: Received) -> Emitted:
    from shared.handlers.apply_rules import apply_rules as handler

    return handler(received, record=app().record, book=app().book, clock=app().clock)
