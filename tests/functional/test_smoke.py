"""`upstream smoke` against a pipeline that serves, and against one that in some way does not."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from cli.app import app
from cli.smoke import _post
from cli.workspace import announce, withdraw
from shared.adapters.postgres.canary import PostgresCanaryDesk
from shared.adapters.postgres.engine import build_engine
from shared.adapters.postgres.history import PostgresHistory
from shared.handlers.smoke.run import Means, Sending, Smoke, smoke
from shared.ports.clock import system_clock
from shared.runtime.canary import canary
from shared.runtime.settings import to_environment

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

KEPT = {"customers", "automation_rules", "rule_changes"}
PASSED = ["process_webhook", "apply_rules", "notify"]


@pytest.fixture
def home(pipeline: "Pipeline") -> Iterator[Path]:
    runtime = pipeline.threaded.runtime
    environment = to_environment(runtime.settings)
    announce(
        runtime.settings.home,
        url=runtime.url,
        host_pids=runtime.host_pids(),
        environment=environment,
        ready=True,
    )
    yield runtime.settings.home
    withdraw(runtime.settings.home)


@pytest.fixture
def means(pipeline: "Pipeline") -> Iterator[Means]:
    settings = replace(pipeline.threaded.runtime.settings, pool_size=4)
    engine = build_engine(settings, user="upstream_smoke", database=settings.database_name)
    yield Means(
        PostgresCanaryDesk(engine), PostgresHistory(engine), _post, system_clock, time.monotonic, time.sleep
    )
    engine.dispose()


def command(home: Path, *words: str, code: int = 0) -> Any:  # noqa: ANN401 - JSON
    ran = CliRunner().invoke(app, ["smoke", *words, "--json", "--home", str(home)])
    assert ran.exit_code == code, (ran.stdout, ran.stderr, ran.exception)
    return {**json.loads(ran.stdout), "said": ran.stderr}


def left(pipeline: "Pipeline") -> dict[str, int]:
    """Count the synthetic customer's rows by table."""
    tables = pipeline.rows(
        "SELECT table_name AS name FROM information_schema.columns JOIN information_schema.tables USING (table_name)"
        " WHERE column_name = 'customer_id' AND table_type = 'BASE TABLE'"
    )
    counts = {}
    for table in tables:
        [row] = pipeline.rows(
            f"SELECT count(*) AS n FROM {table['name']} WHERE customer_id = CAST(:id AS uuid)",  # noqa: S608 - a table's name
            id=str(canary().customer_id),
        )
        counts[table["name"]] = row["n"]
    return {name: n for name, n in counts.items() if n and name not in KEPT}


def run_once(pipeline: "Pipeline", means: Means, *, secret: str = "", timeout_s: float = 30) -> Smoke:
    good = pipeline.app.secret_store.versions(canary().connection.secret_name)
    sending = Sending(
        url=pipeline.url,
        secret=secret or good[0],
        delivery_id=uuid4().hex,
        trace_parent=f"00-{uuid4().hex}-{uuid4().hex[:16]}-01",
        timeout_s=timeout_s,
    )
    return smoke(sending, canary(), means=means)


@contextmanager
def detached(pipeline: "Pipeline", subscription: str) -> Iterator[None]:
    """Push a subscription's messages to nobody meanwhile."""
    broker = pipeline.threaded.runtime.broker

    async def take_up(by: int) -> None:
        broker._in_flight[subscription] += by

    pipeline.threaded.run(take_up(broker._max_in_flight))
    try:
        yield
    finally:
        pipeline.threaded.run(take_up(-broker._max_in_flight))


def test_an_event_goes_through_every_function_and_leaves_nothing(pipeline: "Pipeline", home: Path) -> None:
    told = command(home, pipeline.url)
    assert told["ok"] is True
    assert [step["step"] for step in told["steps"]] == ["prepare", "send", *PASSED, "clean_up"]
    assert all(step["ok"] and step["ms"] >= 0 and not step["code"] for step in told["steps"])
    assert UUID(told["event_id"]).version == 5
    assert len(told["trace_id"]) == 32
    assert pipeline.drained()
    assert left(pipeline) == {}
    assert told["trace_id"] in pipeline.log_file.read_text(), (
        "the trace id is that of the functions' log lines"
    )


def test_many_one_after_another_leave_nothing_either(pipeline: "Pipeline", home: Path) -> None:
    told = command(home, pipeline.url, "--times", "3")
    assert (told["ok"], told["events"]) == (True, 3)
    assert left(pipeline) == {}


def test_of_many_the_first_that_fails_is_the_last(home: Path) -> None:
    told = command(home, "http://127.0.0.1:9", "--times", "3", code=1)
    assert (told["ok"], told["events"]) == (False, 1)


def test_without_a_url_it_is_the_pipeline_that_runs_here(home: Path) -> None:
    ran = CliRunner().invoke(app, ["smoke", "--home", str(home)])
    assert ran.exit_code == 0, ran.stderr
    assert "clean_up" in ran.stdout


def test_a_second_run_changes_neither_customer_nor_rule(pipeline: "Pipeline", home: Path) -> None:
    customer = "SELECT id, name, rules_version, created_at FROM customers WHERE id = CAST(:id AS uuid)"
    command(home, pipeline.url)
    before = pipeline.rows(customer, id=str(canary().customer_id))
    command(home, pipeline.url)
    assert pipeline.rows(customer, id=str(canary().customer_id)) == before
    assert len(before) == 1


def test_nobody_there_is_said_to_be_unreachable(home: Path) -> None:
    told = command(home, "http://127.0.0.1:9", code=1)
    assert told["steps"][-1] | {"ms": 0} == {
        "step": "send",
        "ok": False,
        "ms": 0,
        "code": "unreachable",
        "detail": told["steps"][-1]["detail"],
    }
    assert "no answer from http://127.0.0.1:9" in told["said"]


def test_a_wrong_secret_is_refused_with_its_code(pipeline: "Pipeline", home: Path, means: Means) -> None:
    command(home, pipeline.url)
    came_of_it = run_once(pipeline, means, secret="whsec_" + "Z" * 43 + "=")
    assert not came_of_it.ok
    assert (came_of_it.steps[-1].step, came_of_it.steps[-1].code) == ("send", "invalid_signature")
    assert run_once(pipeline, means).ok


def test_a_disabled_connection_is_not_enabled_by_the_test(pipeline: "Pipeline", home: Path) -> None:
    command(home, pipeline.url)
    pipeline.app.registry.put(replace(canary().connection, enabled=False))
    try:
        command(home, "http://127.0.0.1:9", code=1)
        found = pipeline.app.registry.get(canary().connection.id)
        assert found is not None
        assert found.enabled is False
    finally:
        pipeline.app.registry.put(canary().connection)


@pytest.mark.parametrize("station", PASSED)
def test_it_says_at_which_function_the_event_stopped(
    station: str, pipeline: "Pipeline", home: Path, means: Means
) -> None:
    command(home, pipeline.url)
    with detached(pipeline, station.replace("_", "-")):
        came_of_it = run_once(pipeline, means, timeout_s=1.5)
    last = came_of_it.steps[-1]
    assert (last.step, last.ok, last.code) == (station, False, "no_audit_row")
    assert last.detail == f"accepted, and stopped at {station}: it has not taken the event within 1.5 s"
    passed = PASSED[: PASSED.index(station)]
    assert [step.step for step in came_of_it.steps] == ["prepare", "send", *passed, station]
    assert pipeline.drained()
    assert left(pipeline), "what is left can be traced"
    assert run_once(pipeline, means).ok
    assert left(pipeline) == {}, "the next run removes it"


def test_a_clean_up_that_fails_fails_the_test(pipeline: "Pipeline", home: Path, means: Means) -> None:
    command(home, pipeline.url)
    with pipeline.owner.begin() as connection:
        connection.execute(text("REVOKE DELETE ON outbox FROM upstream_smoke"))
    try:
        told = command(home, pipeline.url, code=1)
    finally:
        with pipeline.owner.begin() as connection:
            connection.execute(text("GRANT DELETE ON outbox TO upstream_smoke"))
    assert [step["ok"] for step in told["steps"]] == [True] * 5 + [False]
    assert told["steps"][-1]["step"] == "clean_up"
    assert "SQLSTATE 42501" in told["said"]
    assert run_once(pipeline, means).ok
    assert left(pipeline) == {}


def test_two_at_once_do_each_other_no_harm(pipeline: "Pipeline", home: Path, means: Means) -> None:
    command(home, pipeline.url)
    outcomes: list[Smoke] = []
    threads = [threading.Thread(target=lambda: outcomes.append(run_once(pipeline, means))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found.ok for found in outcomes] == [True, True]
    assert len({found.event_id for found in outcomes}) == 2
    assert left(pipeline) == {}


def test_one_that_waits_for_another_too_long_says_so(pipeline: "Pipeline", home: Path, means: Means) -> None:
    command(home, pipeline.url)
    with means.desk.alone(wait_s=1):
        came_of_it = run_once(pipeline, means, timeout_s=0.5)
    assert [(step.step, step.code) for step in came_of_it.steps] == [("prepare", "key_held")]


def test_its_role_sees_and_removes_nobody_elses_rows(pipeline: "Pipeline") -> None:
    stranger = pipeline.customer()
    pipeline.send(pipeline.connection(stranger), b"not anything")
    assert pipeline.drained()
    settings = pipeline.threaded.runtime.settings
    engine = build_engine(settings, user="upstream_smoke", database=settings.database_name)
    with engine.begin() as connection:
        seen = set(connection.execute(text("SELECT id FROM customers")).scalars())
        removed = connection.execute(text("DELETE FROM inbox")).rowcount
    engine.dispose()
    assert seen <= {canary().customer_id}
    assert removed == 0
    assert pipeline.rows("SELECT 1 FROM inbox WHERE customer_id = CAST(:id AS uuid)", id=str(stranger))
