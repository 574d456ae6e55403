"""`job-tasks`: one customer's share of a scheduled job."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.domain.events import Received
from shared.ports.record import Emitted
from shared.runtime.bootstrap import app
from shared.runtime.consumer import consume


@functions_framework.aio.http
async def run_job_task(request: Request) -> Response:
    """Acknowledge once the share is done and what it causes is published."""
    return await consume(request, _handle, consumer="run_job_task", desk=app(), checks=app().checks)


async def _handle(received: Received) -> Emitted:
    from shared.handlers.jobs.run_task import run_job_task as handler

    part = app()
    return await part.in_thread(lambda: handler(received, record=part.record, clock=part.clock))
