"""Every ten minutes: asks for each customer with parked actions that are due to send them on their way."""

from collections.abc import Mapping

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.domain.jobs import Run
from shared.runtime.bootstrap import app
from shared.runtime.scheduled import Fired, firing


@functions_framework.aio.http
async def release_actions(request: Request) -> Response:
    """Reply once a message for every such customer's share is durable."""
    return await firing(
        request, _fire, job="release_actions", desk=app(), checks=app().checks(database=False)
    )


def _fire(run: Run, headers: Mapping[str, str]) -> Fired:
    from shared.handlers.jobs.fire import fire

    app().callers.verify(headers)
    opened, messages = fire(run, runs=app().job_runs, now=app().clock())
    return Fired(opened.tasks, opened.new, messages)
