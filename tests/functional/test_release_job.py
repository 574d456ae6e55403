"""`release_actions`: what was parked comes back by itself, and only for customers that have something due."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from local.scheduler import LocalScheduler
from shared.adapters.postgres.jobs.runs import PostgresJobRuns
from shared.domain.events import Received
from shared.domain.jobs import NOBODY, Run, slot_of
from shared.handlers.jobs.fire import fire
from shared.handlers.jobs.run_task import run_job_task
from shared.runtime.envelope import from_headers
from tests.functional.action_desk import Desk

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline


@pytest.fixture
def open_desk(pipeline: "Pipeline", tmp_path: Path) -> Callable[[], Desk]:
    """Desks whose clock is the database's: what is stale is told by both."""

    def build() -> Desk:
        desk = Desk(pipeline, tmp_path)
        desk.clock.now = datetime.now(UTC)
        return desk

    return build


def park(desk: Desk, *, due_in: timedelta = timedelta()) -> Received:
    """Leave an action parked, as a delivery that came too early does."""
    received = desk.request()
    desk.pipeline.execute(
        "UPDATE actions SET parked = true, due_at = CAST(:due AS timestamptz) WHERE id = CAST(:id AS uuid)",
        due=(desk.clock() + due_in).isoformat(),
        id=str(received.event.id),
    )
    return received


def run_at(moment: datetime, tag: str) -> Run:
    """Return a run that no other test and no schedule has a part in."""
    return Run("release_actions", slot_of(moment), {"test": tag})


def shares(desk: Desk, run: Run) -> list[Received]:
    """Open the run as the job's function does, and return this desk's share of it."""
    _, messages = fire(run, runs=PostgresJobRuns(desk.pipeline.app.scheduler_engine), now=desk.clock())
    found = [from_headers({k.lower(): v for k, v in m.attributes.items()}, m.data) for m in messages]
    return [one for one in found if one.event.customer_id == desk.customer]


def released(desk: Desk, share: Received) -> list[str]:
    """Do a share and return the requests for actions that it sends."""
    emitted = run_job_task(share, record=desk.pipeline.app.record, clock=desk.clock)
    return [str(one.event.id) for one in desk.again(emitted)]


def test_what_is_due_is_sent_once_and_done(open_desk: Callable[[], Desk]) -> None:
    desk = open_desk()
    received = park(desk)
    desk.clock.forward(60)
    run = run_at(desk.clock(), str(desk.customer))
    [share] = shares(desk, run)
    emitted = run_job_task(share, record=desk.pipeline.app.record, clock=desk.clock)
    [again] = desk.again(emitted)
    assert desk.row(received)["releases"] == 1
    assert (
        len(released(desk, share)) == 1
    )  # a redelivery publishes the same message, and releases nothing more
    assert desk.row(received)["releases"] == 1
    desk.do(again)
    assert desk.row(received)["state"] == "settled"
    assert len(desk.portals.filed) == 1


def test_customers_without_anything_due_have_no_share(open_desk: Callable[[], Desk]) -> None:
    early, ended, stopped, busy = (open_desk() for _ in range(4))
    park(early, due_in=timedelta(hours=3))
    ended.do(ended.request())
    park(stopped)
    stopped.pipeline.execute(
        "INSERT INTO rule_switches VALUES (CAST(:c AS uuid), 'submit_appeal', true, 'dana', 'wrong letters')",
        c=str(stopped.customer),
    )
    busy.request()  # its message is under way
    for desk in (early, ended, stopped, busy):
        desk.clock.forward(60)
        assert shares(desk, run_at(desk.clock(), str(desk.customer))) == []
    stopped.pipeline.execute(
        "UPDATE rule_switches SET off = false WHERE customer_id = CAST(:c AS uuid)", c=str(stopped.customer)
    )
    assert len(shares(stopped, run_at(stopped.clock(), "resumed"))) == 1


def test_an_action_whose_message_was_lost_is_found_after_an_hour(open_desk: Callable[[], Desk]) -> None:
    desk = open_desk()
    received = desk.request()
    desk.clock.forward(3700)
    [share] = shares(desk, run_at(desk.clock(), str(desk.customer)))
    assert len(released(desk, share)) == 1
    assert desk.row(received)["releases"] == 1
    again = replace(run_at(desk.clock(), str(desk.customer)), options={"test": "again"})
    assert shares(desk, again) == []  # a message is under way


def test_a_run_with_nothing_due_ends_as_any_other(pipeline: "Pipeline") -> None:
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    answer = LocalScheduler(pipeline.threaded.runtime.settings.home, pipeline.url).fire(
        "release_actions", long_ago
    )
    assert answer["tasks"] == 1
    assert pipeline.drained()
    [run] = pipeline.rows("SELECT * FROM job_runs WHERE id = CAST(:id AS uuid)", id=answer["run_id"])
    assert (run["state"], run["customers"], run["counts"]) == ("finished", [NOBODY], {"actions_released": 0})


def test_the_scheduler_learns_who_has_something_due_and_reads_no_action(pipeline: "Pipeline") -> None:
    with pipeline.app.scheduler_engine.begin() as connection:
        connection.execute(text("SELECT customers_with_due_actions(now(), now())"))
    with pytest.raises(DBAPIError, match="permission denied"), pipeline.app.scheduler_engine.begin() as one:
        one.execute(text("SELECT customer_id FROM actions"))
    with pytest.raises(DBAPIError, match="permission denied"), pipeline.app.engine.begin() as one:
        one.execute(text("SELECT customers_with_due_actions(now(), now())"))
