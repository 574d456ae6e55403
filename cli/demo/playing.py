"""The demo's own course: empty the folder, start, set up, post, wait, count, stop."""

import asyncio
import json
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from cli import pipeline
from cli.demo.checks import checks, job_checks, portal_checks
from cli.demo.firing import RENEWED_AFTER, fire_jobs
from cli.demo.found import Found, find
from cli.demo.portal_scene import Stage, play_scene, set_stage
from cli.demo.posting import Poster, Reply
from cli.demo.progress import shown
from cli.demo.sample_files import sample_files
from cli.demo.senders import set_up
from cli.demo.summary import Story
from cli.hints import EXAMPLE, command
from cli.leftovers import end_postgres
from cli.options import DEFAULT_HOME
from cli.output import Failure, tell
from cli.workspace import Workspace, make_way
from local.sample_month import SampleDelivery, SampleMonth, sample_month
from shared.adapters.postgres.engine import database_errors

DAYS: Final = 30
SETTLE_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.02
RETRY_SCALE: Final = 0.01  # what fails for a moment comes again in a tenth of a second
MARK: Final = "demo.json"
UNSETTLED: Final = """
SELECT (SELECT count(*) FROM messages WHERE subscription <> 'execute-action')
    + (SELECT count(*) FROM keys WHERE state = 'claimed')
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to play. claims: about how many the month names."""

    home: Path
    claims: int
    seed: int
    hosts: int


async def play(wanted: Wanted) -> Story:
    """Return what happened. The pipeline is stopped by then.

    Raises:
        Failure: a pipeline runs on the folder, the folder is not a demo's to empty, or something did not start.
        TransientError: the database went away.
    """
    began_s = time.perf_counter()
    _stop_on_sigterm()
    empty(wanted.home)
    month = sample_month(_first_day(datetime.now(UTC).date()), seed=wanted.seed, claims=wanted.claims)
    files, counts = sample_files(month.deliveries[0].at)
    tell(f"starting PostgreSQL, a broker and the functions in {wanted.home}")
    async with set_stage() as stage, pipeline.started(_options(wanted, stage)) as running:
        workspace = Workspace(running.settings, None)
        try:
            replies, posting_s = await _posted([*files, *month.deliveries], month, running, workspace, stage)
            runs = await fire_jobs(running, stage)
            found = await asyncio.to_thread(find, workspace.engine)
            submissions = stage.submissions()
        finally:
            workspace.close()
    return Story(
        days=f"{month.first_day} to {month.last_day}",
        replies=replies,
        found=found,
        checks=[
            *checks(
                month.manifest, counts, replies, found, running.sinks.taken, portals=stage.site is not None
            ),
            *job_checks(
                month.manifest,
                found,
                by=month.last_day + (RENEWED_AFTER if stage.site else timedelta()),
                runs=runs,
                portals=stage.site is not None,
            ),
            *portal_checks(found, submissions, portals=stage.site is not None),
        ],
        no_portals=stage.missing,
        posting_s=posting_s,
        total_s=time.perf_counter() - began_s,
        try_next=_try_next(found, month, wanted.home),
    )


def _options(wanted: Wanted, stage: Stage) -> pipeline.Wanted:
    return pipeline.Wanted(
        wanted.home,
        hosts=wanted.hosts,
        retry_scale=RETRY_SCALE,
        portal_sites=stage.sites,
        chromium=stage.chromium,
    )


def _stop_on_sigterm() -> None:
    """Let SIGTERM end the demo as Ctrl-C does: what was started is stopped."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def empty(home: Path) -> None:
    """Make the folder empty and mark it as a demo's.

    Raises:
        Failure: a pipeline runs on it, or somebody else's things are in it.
    """
    make_way(home)
    if home != DEFAULT_HOME and home.exists() and any(home.iterdir()) and not (home / MARK).exists():
        raise Failure(f"{home} is not empty, and no demo made it: name another --home")
    if home.exists():
        end_postgres(home)
        shutil.rmtree(home)
    home.mkdir(parents=True)
    (home / MARK).write_text(json.dumps({"made_by": "upstream demo"}) + "\n")


def _first_day(today: date) -> date:
    """Return the first of the thirty days that end today: rules look back from today, so the month is recent."""
    return today - timedelta(days=DAYS - 1)


async def _posted(
    deliveries: Sequence[SampleDelivery],
    month: SampleMonth,
    running: pipeline.Pipeline,
    workspace: Workspace,
    stage: Stage,
) -> tuple[list[Reply], float]:
    """Return the replies, once all that follows from them is done with, and how long that took.

    Portals take their seconds beside the month: only at the end is there a wait for them.
    """
    senders = await asyncio.to_thread(set_up, workspace, month, running.sinks)
    began_s = time.perf_counter()

    async def settled() -> None:
        await _settled(workspace)

    running.announce(ready=True)
    with shown(len(deliveries)) as posted:
        month_s = Poster(running.runtime.url, senders, settled, posted).play(deliveries)
        replies, scene = await asyncio.gather(month_s, play_scene(stage, running, workspace))
    posting_s = time.perf_counter() - began_s
    if not await running.runtime.drained(timeout_s=SETTLE_TIMEOUT_S, settle_s=POLL_S):
        raise Failure(
            f"portal actions took longer than {SETTLE_TIMEOUT_S:.0f} s; {pipeline.LOG_FILE} says why"
        )
    return [*replies, *scene], posting_s


async def _settled(workspace: Workspace) -> None:
    """Return once no message but the portals' is left, and no key to be settled, which happens after the reply.

    Raises:
        Failure: that took too long.
    """
    deadline_s = time.monotonic() + SETTLE_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if await asyncio.to_thread(_unsettled, workspace) == 0:
            return
        await asyncio.sleep(POLL_S)
    raise Failure(
        f"messages were left after {SETTLE_TIMEOUT_S:.0f} s; {pipeline.LOG_FILE} in the folder says why"
    )


def _unsettled(workspace: Workspace) -> int:
    with database_errors(), workspace.app.local_engine.begin() as connection:
        return int(connection.exec_driver_sql(UNSETTLED).scalar_one())


def _try_next(found: Found, month: SampleMonth, home: Path) -> list[str]:
    practice = month.connections[-1].practice
    return [
        command("trace", found.story, home=home)
        if found.story
        else command("connections", "list", home=home),
        command("rules", "list", "--customer", practice, home=home),
        f"{command('serve', home=home)}    and then, elsewhere: {command('send', EXAMPLE, home=home)}",
    ]
