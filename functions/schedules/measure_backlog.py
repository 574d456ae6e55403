"""Every five minutes: measures what waits for somebody, for the metrics and alerts that are made of its lines."""

from collections.abc import Mapping

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.domain.jobs import Run
from shared.runtime.bootstrap import app
from shared.runtime.scheduled import Fired, firing


@functions_framework.aio.http
async def measure_backlog(request: Request) -> Response:
    """Reply once the measures are in the log. There are no shares: a firing is a whole run."""
    return await firing(
        request, _fire, job="measure_backlog", desk=app(), checks=app().checks(database=False)
    )


def _fire(_run: Run, headers: Mapping[str, str]) -> Fired:
    from shared.handlers.jobs.backlog import report_backlog

    app().callers.verify(headers)
    report_backlog(app().backlog)
    return Fired(tasks=0, new=True, messages=())
