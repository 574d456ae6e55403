"""A run of a job is killed half-way and fired twice: what is left is as if neither had happened."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from local.runtime import LocalRuntime
from local.scheduler import LocalScheduler
from local.soak.trouble import drained, is_dead, kept_alive
from local.threaded import ThreadedRuntime
from shared.domain.jobs import JOBS
from shared.runtime.errors import TransientError
from shared.runtime.settings import Settings
from tests.functional.conftest import Pipeline

ON = date(2026, 11, 20)
SLOT = datetime(2026, 11, 20, 6, tzinfo=UTC)
CUSTOMERS = [UUID(int=n) for n in (1, 2, 3)]

FILL = """
INSERT INTO customers (id, name) VALUES (CAST(:c AS uuid), CAST(:c AS text));
INSERT INTO claim_daily_stats (customer_id, payer_key, procedure, day, decided, denied, charge_cents, paid_cents)
SELECT CAST(:c AS uuid), 'oak', '99213', date '2026-11-20' - n, 50, CASE WHEN n < 3 THEN 20 ELSE 5 END, 500000, 0
FROM generate_series(0, 69) n;
INSERT INTO claim_daily_reasons (customer_id, day, payer_key, carc, procedure, denied, charge_cents)
SELECT CAST(:c AS uuid), date '2026-11-20' - n, 'oak', CASE WHEN n < 3 THEN '252' ELSE '50' END, '99213',
    CASE WHEN n < 3 THEN 20 ELSE 5 END, 1 FROM generate_series(0, 69) n;
INSERT INTO authorizations (id, customer_id, payer_key, payer_name, number, procedure, status, expires_on, event_id)
VALUES (CAST(:c AS uuid), CAST(:c AS uuid), 'aetna', 'Aetna', 'A1', '97110', 'active', '2026-11-30', CAST(:c AS uuid))
"""
EMPTY = """
SELECT string_agg(tablename, ', ') AS tables FROM pg_tables WHERE schemaname = 'public'
    AND tablename NOT IN ('alembic_version')
"""
# Ids follow from what they are of, so that two runs of one story can be compared by them.
STATE = {
    "runs": "SELECT id, job, state, stage, tasks, tasks_done, counts FROM job_runs ORDER BY id",
    "tasks": "SELECT id, customer_id, stage, state, counts FROM job_tasks ORDER BY id",
    "findings": "SELECT id, customer_id, kind, subject, state, current, told, q FROM findings ORDER BY id",
    "baselines": "SELECT customer_id, procedure, since, decided, denied FROM risk_baselines ORDER BY 1, 2, 3",
    "states": "SELECT authorization_id, ordinal, state, reason, since FROM authorization_states ORDER BY 1, 2",
    "signals": "SELECT reporter, payer_key, carc FROM network_signals ORDER BY 1, 2, 3",
    "events": "SELECT id, customer_id, event_type FROM outbox WHERE published_at IS NOT NULL ORDER BY id",
    "decided": "SELECT event_id, event_type, count(*) AS n FROM executions GROUP BY 1, 2 ORDER BY 1",
}


@dataclass
class Scene:
    pipeline: Pipeline

    @property
    def runtime(self) -> LocalRuntime:
        return self.pipeline.threaded.runtime

    def play(self) -> tuple[dict[str, Any], list[int]]:
        """Fire every job twice at once, and return what is left and which processes died meanwhile."""
        return self.pipeline.threaded.run(self._play())

    async def _play(self) -> tuple[dict[str, Any], list[int]]:
        await asyncio.to_thread(self._begin)
        scheduler = LocalScheduler(self.runtime.settings.home, self.runtime.url)
        async with kept_alive(self.runtime) as died:
            for job in JOBS:
                await asyncio.gather(*(self._fired(scheduler, job) for _ in range(2)))
                assert await drained(self.runtime, timeout_s=60)
            dead = list(died)
        return await asyncio.to_thread(self._state), dead

    @staticmethod
    async def _fired(scheduler: LocalScheduler, job: Any) -> None:  # noqa: ANN401 - a job's name
        """Fire until it is taken, as a scheduler does."""
        for _ in range(50):
            try:
                await asyncio.to_thread(scheduler.fire, job, SLOT)
            except TransientError:  # the process that was to take it died
                await asyncio.sleep(0.2)
            else:
                return
        raise AssertionError("never taken")

    def _begin(self) -> None:
        with self.pipeline.owner.begin() as connection:
            tables = connection.exec_driver_sql(EMPTY).scalar_one()
            connection.exec_driver_sql(f"TRUNCATE {tables} CASCADE")
            connection.exec_driver_sql(
                "INSERT INTO customers (id, name) VALUES ('00000000-0000-0000-0000-000000000000', 'Unattributed')"
            )
        with self.pipeline.app.local_engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM messages")
        for customer in CUSTOMERS:
            for statement in FILL.split(";\n"):
                self.pipeline.execute(statement, c=str(customer))

    def _state(self) -> dict[str, Any]:
        return {
            name: json.loads(json.dumps(self.pipeline.rows(query), default=str))
            for name, query in STATE.items()
        }


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    home = tmp_path_factory.mktemp("job-crashes")
    log_file: Path = home / "functions.log"
    runtime = LocalRuntime(Settings(home=home), hosts=1, retry_scale=0.005, log_file=log_file)
    with ThreadedRuntime(runtime) as threaded:
        pipeline = Pipeline(threaded, log_file)
        yield Scene(pipeline)
        pipeline.session.close()
        for engine in (pipeline.operator, pipeline.owner, pipeline.app.engine, pipeline.app.local_engine):
            engine.dispose()


@pytest.fixture(scope="module")
def undisturbed(scene: Scene) -> dict[str, Any]:
    state, died = scene.play()
    assert died == []
    return state


def test_the_undisturbed_story_has_everything_that_can_be_lost_or_doubled(
    undisturbed: dict[str, Any],
) -> None:
    assert [run["state"] for run in undisturbed["runs"]] == ["finished"] * len(JOBS)
    assert sorted({finding["kind"] for finding in undisturbed["findings"]}) == ["denial_rate", "network"]
    assert len(undisturbed["findings"]) == 2 * len(CUSTOMERS)
    assert len(undisturbed["states"]) == len(undisturbed["baselines"]) == len(CUSTOMERS)
    told = [event["event_type"] for event in undisturbed["events"]]
    assert (told.count("job.finished"), told.count("authorization.expiring")) == (
        len(JOBS),
        len(CUSTOMERS),
    )
    assert told.count("payer.change_detected") == 2 * len(CUSTOMERS)


@pytest.mark.parametrize(
    ("point", "nth"),  # the first share, or one that counts shares
    [
        ("in_transaction", 1),
        ("in_transaction", 4),
        ("after_commit", 1),
        ("after_publish", 4),
        ("after_mark", 4),
    ],
)
def test_killed_there_a_run_ends_as_if_it_had_not_been(
    scene: Scene,
    undisturbed: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    nth: int,
) -> None:
    marker = tmp_path / "fired"
    monkeypatch.setenv("UPSTREAM_CRASH_AT", f"consumer.{point}:run_job_task:{nth}")
    monkeypatch.setenv("UPSTREAM_CRASH_MARKER", str(marker))
    scene.runtime.restart_host(0)
    [armed] = scene.runtime.host_pids()
    state, died = scene.play()
    assert marker.exists()
    assert died == [armed]
    assert is_dead(armed)
    assert state == undisturbed


def test_a_late_firing_changes_nothing(scene: Scene) -> None:
    before, _ = scene.play()
    scheduler = LocalScheduler(scene.runtime.settings.home, scene.runtime.url)
    for job in JOBS:
        assert scheduler.fire(job, SLOT)["published"] == 0
        assert scheduler.fire(job, SLOT + timedelta(seconds=40))["status"] == "fired before"
    assert scene.pipeline.drained()
    assert {
        name: json.loads(json.dumps(scene.pipeline.rows(q), default=str)) for name, q in STATE.items()
    } == before
