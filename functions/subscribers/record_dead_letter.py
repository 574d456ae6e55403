"""`dead-letters`: keeps what could not be processed, until an engineer replays or discards it."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.runtime.bootstrap import app
from shared.runtime.consumer import deliver
from shared.runtime.http import health


@functions_framework.aio.http
async def record_dead_letter(request: Request) -> Response:
    """Acknowledge once the letter is stored. A letter that cannot be stored comes back: there is nowhere else to go."""
    if request.method != "POST":
        return await health(request, app().checks())
    from shared.handlers.record_dead_letter import record_dead_letter as handler

    return await deliver(
        request,
        lambda body, headers: handler(body, headers, record=app().record),
        consumer="record_dead_letter",
        desk=app(),
        poison_is_kept=False,
    )
