"""The demo's scheduled jobs: fired as the scheduler fires them, over HTTP, each for the slot that it is about."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from cli.demo.portal_scene import Stage, approve
from cli.output import Failure
from cli.pipeline import Pipeline
from local.scheduler import LocalScheduler
from shared.domain.jobs import JOBS

WITHIN_S: Final = 60.0
POLL_S: Final = 0.02
LOOKED_AT_AFTER: Final = timedelta(days=2)  # when the status of the portal's request is asked for
RENEWED_AFTER: Final = timedelta(days=3)


async def fire_jobs(running: Pipeline, stage: Stage) -> int:
    """Fire every job, then those of the days on which the scene's authorization is looked at and renewed.

    Returns how many runs that makes.

    Raises:
        TransientError: a job could not be fired.
        Failure: what it led to took too long.
    """
    now = datetime.now(UTC)
    scheduler = LocalScheduler(running.settings.home, running.runtime.url)
    for job in JOBS:
        await asyncio.to_thread(scheduler.fire, job, now)
    await _drained(running)
    if stage.site is None:
        return len(JOBS)
    approve(stage.site, now)
    for later in (LOOKED_AT_AFTER, RENEWED_AFTER):
        await asyncio.to_thread(scheduler.fire, "check_expiring_authorizations", now + later)
        await _drained(running)
    return len(JOBS) + 2


async def _drained(running: Pipeline) -> None:
    if not await running.runtime.drained(timeout_s=WITHIN_S, settle_s=POLL_S):
        raise Failure(f"what the jobs led to took longer than {WITHIN_S:.0f} s; functions.log says why")
