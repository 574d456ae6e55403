"""`dead-letters`: keeps what could not be processed, until an engineer replays or discards it."""

from collections.abc import Mapping

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from shared.ports.record import Emitted
from shared.runtime.bootstrap import app
from shared.runtime.consumer import deliver
from shared.runtime.http import health
from shared.runtime.spans import Span


@functions_framework.aio.http
async def record_dead_letter(request: Request) -> Response:
    """Acknowledge once the letter is stored. A letter that cannot be stored comes back: there is nowhere else to go."""
    if request.method != "POST":
        return await health(request, app().checks())
    return await deliver(request, _handle, consumer="record_dead_letter", desk=app(), poison_is_kept=False)


async def _handle(body: bytes, headers: Mapping[str, str], _span: Span) -> Emitted:
    from shared.handlers.record_dead_letter import record_dead_letter as handler

    part = app()
    return await part.in_thread(lambda: handler(body, headers, record=part.record))
