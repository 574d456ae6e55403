"""Hosts one scheduled job: an authenticated firing in, a message for every customer's share out.

The scheduler fires again unless it hears 2xx, with the same schedule time: so the reply waits until every message is
durable, and a firing that died half-way is made whole by the next.
Source: Cloud Scheduler, "HTTP target requests" (`X-CloudScheduler-ScheduleTime`: RFC 3339, UTC).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog
from starlette.requests import Request
from starlette.responses import Response

from shared.domain.events import Message
from shared.domain.jobs import JobName, Run, slot_of
from shared.ports.publisher import Publisher
from shared.runtime.errors import PoisonError, UpstreamError
from shared.runtime.http import Check, CheckName, bounded_body, health, json_reply, path_of, problem
from shared.runtime.outcomes import code_of, consequence
from shared.runtime.settings import PUBLISH_TIMEOUT_S
from shared.runtime.spans import entry

SCHEDULE_TIME: Final = "x-cloudscheduler-scheduletime"
MAX_BYTES: Final = 1_024  # what a scheduler sends is empty
BATCH: Final = 500  # messages a publish
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Fired:
    """What firing led to. new: nobody had fired this slot before."""

    tasks: int
    new: bool
    messages: Sequence[Message]


class FiringDesk(Protocol):
    """What hosting a job needs of the app."""

    @property
    def publisher(self) -> Publisher:
        """Where shares go."""
        ...

    async def in_thread(self, work: Callable[[], Fired]) -> Fired:
        """Run what blocks on one of the pool's threads."""
        ...


async def firing(
    request: Request,
    fire: Callable[[Run, Mapping[str, str]], Fired],
    *,
    job: JobName,
    desk: FiringDesk,
    checks: Mapping[CheckName, Check | None],
) -> Response:
    """Answer a firing or a health check. 202: every share is on its way, or was before."""
    if path_of(request).startswith("/_health/"):
        return await health(request, checks)
    started = time.perf_counter()
    try:
        headers = await _headers(request)
        run = Run(job, _slot(headers))
        with entry(job, "server", run.trace_parent, ids={"function": job}, begins=True):
            fired = await desk.in_thread(lambda: fire(run, headers))
            for at in range(0, len(fired.messages), BATCH):
                await desk.publisher.publish(fired.messages[at : at + BATCH], timeout_s=PUBLISH_TIMEOUT_S)
    except Exception as exc:  # noqa: BLE001 - the entry point: every error ends here, as the table says
        return _refused(exc, job, started)
    _log("job.fired", "info", job, started, run_id=str(run.id), count=len(fired.messages))
    if fired.new and not fired.tasks:  # nobody's share will end it
        _log("job.ended", "info", job, started, result="finished")
    content = {"run": run.key, "run_id": str(run.id), "tasks": fired.tasks, "published": len(fired.messages)}
    return json_reply(202, {"status": "fired" if fired.new else "fired before", **content})


async def _headers(request: Request) -> Mapping[str, str]:
    """Return the headers of a firing; what else it carries is of no use.

    Raises:
        PoisonError: it is no POST, or carries too much.
    """
    if request.method != "POST":
        raise PoisonError("method_not_allowed")
    await bounded_body(request, limit=MAX_BYTES)
    return {name.lower(): value for name, value in request.headers.items()}


def _slot(headers: Mapping[str, str]) -> datetime:
    """Return the minute that the firing is of.

    Raises:
        PoisonError: the scheduler did not say (`bad_request`): without a slot, two firings would be two runs.
    """
    try:
        stated = datetime.fromisoformat(headers[SCHEDULE_TIME])
    except (KeyError, ValueError) as exc:
        raise PoisonError("bad_request", f"no {SCHEDULE_TIME}") from exc
    return slot_of(stated if stated.tzinfo else stated.replace(tzinfo=UTC))


def _refused(error: Exception, job: JobName, started: float) -> Response:
    level = consequence(error).log
    members = {} if isinstance(error, UpstreamError) else {"raised": error}
    _log("job.not_fired", level, job, started, code=code_of(error), error=type(error).__name__, **members)
    return problem(error)


def _log(line: str, level: str, job: JobName, started: float, **members: object) -> None:
    duration_ms = round((time.perf_counter() - started) * 1000, 2)
    getattr(log, level)(line, function=job, job=job, duration_ms=duration_ms, **members)
