"""`domain-events`: asks the customer's rules, writes the audit trail, emits what follows."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.runtime.bootstrap import app
from shared.runtime.consumer import consume


@functions_framework.aio.http
async def apply_rules(request: Request) -> Response:
    """Acknowledge once the decisions are stored and what they cause is published."""
    part = app()
    return await consume(
        request, part.apply_rules.submit, consumer="apply_rules", desk=part, checks=part.checks
    )
