"""`upstream jobs` and `upstream authorizations import`, on the running pipeline."""

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.workspace import announce, withdraw
from shared.runtime.settings import to_environment

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline


@pytest.fixture
def home(pipeline: "Pipeline") -> Iterator[Path]:
    runtime = pipeline.threaded.runtime
    environment = to_environment(runtime.settings)
    found = runtime.settings.home
    announce(found, url=runtime.url, host_pids=runtime.host_pids(), environment=environment, ready=True)
    yield found
    withdraw(found)


def run(home: Path, *words: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, [*words, "--home", str(home)])
    assert result.exit_code == exit_code, (result.output, result.exception)
    return str(result.stdout)


def shown(home: Path, *words: str, exit_code: int = 0) -> Any:  # noqa: ANN401 - JSON
    return json.loads(run(home, *words, "--json", exit_code=exit_code))


def test_jobs_are_listed_paused_resumed_run_and_remembered(pipeline: "Pipeline", home: Path) -> None:
    pipeline.customer("Remembered Practice")
    assert {job["name"]: job["paused"] for job in shown(home, "jobs", "list")} == {
        "build_risk_baselines": False, "check_expiring_authorizations": False, "detect_behavioral_changes": False,
        "release_actions": False,
        "measure_backlog": False,
    }  # fmt: skip
    run(home, "jobs", "pause", "build_risk_baselines")
    assert "paused" in run(home, "jobs", "list")
    run(home, "jobs", "resume", "build_risk_baselines")
    assert "paused" not in run(home, "jobs", "list")
    run(home, "jobs", "run", "build_risk_baselines")
    assert pipeline.drained()
    past = shown(home, "jobs", "history", "build_risk_baselines", "--tasks", "--limit", "1")
    assert (past["runs"][0]["state"], past["runs"][0]["done"]) == ("finished", past["runs"][0]["tasks"])
    assert [t["state"] for t in past["tasks"] if t["customer"] == "Remembered Practice"] == ["done"]
    assert "build_risk_baselines" in run(home, "jobs", "history")


def test_a_backfill_is_a_run_of_its_own(pipeline: "Pipeline", home: Path) -> None:
    customer = pipeline.customer()
    pipeline.execute(
        "INSERT INTO claim_daily_stats"
        " (customer_id, payer_key, procedure, day, decided, denied, charge_cents, paid_cents)"
        " VALUES (CAST(:c AS uuid), 'oak', '99213', '2026-05-02', 10, 2, 1, 0)",
        c=str(customer),
    )  # fmt: skip
    run(home, "jobs", "backfill", "build_risk_baselines", "--from", "2026-05-01", "--to", "2026-05-03")
    assert pipeline.drained()
    rows = pipeline.rows(
        "SELECT since, decided FROM risk_baselines WHERE customer_id = CAST(:c AS uuid)", c=str(customer)
    )
    assert [(str(row["since"]), row["decided"]) for row in rows] == [("2026-05-02", 10)]
    for words in (
        ("detect_behavioral_changes", "--from", "2026-05-01", "--to", "2026-05-03"),
        ("build_risk_baselines", "--from", "2026-05-03", "--to", "2026-05-01"),
        ("build_risk_baselines", "--from", "2025-05-03", "--to", "2026-05-01"),
    ):
        run(home, "jobs", "backfill", *words, exit_code=1)


def table(tmp_path: Path, *rows: str) -> Path:
    file = tmp_path / "authorizations.csv"
    file.write_text("payer,number,procedure,expires_on,member_id,patient_name\n" + "\n".join(rows) + "\n")
    return file


def test_a_table_is_stored_whole_and_once(pipeline: "Pipeline", home: Path, tmp_path: Path) -> None:
    customer = pipeline.customer("Table Practice")
    ends = date.today() + timedelta(days=10)  # noqa: DTZ011 - any day soon
    file = table(tmp_path, *(f"Aetna,N{n},97110,{ends},M{n},Pat Sample {n}" for n in range(1_200)))
    words = ("authorizations", "import", str(file), "--customer", "Table Practice")
    assert "would be stored" in run(home, *words, "--dry-run")
    count = "SELECT count(*) AS n FROM authorizations WHERE customer_id = CAST(:c AS uuid)"
    assert pipeline.rows(count, c=str(customer)) == [{"n": 0}]
    for _ in range(2):
        assert "1200 authorizations" in run(home, *words)
    assert pipeline.drained()
    assert pipeline.rows(count, c=str(customer)) == [{"n": 1_200}]
    decided = pipeline.rows(
        "SELECT count(*) AS n FROM executions WHERE customer_id = CAST(:c AS uuid)"
        " AND event_type = 'authorization.decided'",
        c=str(customer),
    )
    assert decided == [{"n": 1_200}]


def test_a_table_with_a_problem_is_not_stored_at_all(
    pipeline: "Pipeline", home: Path, tmp_path: Path
) -> None:
    customer = pipeline.customer("Strict Practice")
    file = table(
        tmp_path, *(f"Aetna,N{n},97110,2027-01-01,," for n in range(5)), "Aetna,X,97110,soon,,Pat Sample"
    )
    words = ("authorizations", "import", str(file), "--customer", "Strict Practice")
    output = run(home, *words, exit_code=1)
    assert re.search(r"7\s+expires_on\s+is no date", output)
    assert "Pat Sample" not in output
    assert shown(home, *words, exit_code=1)["problems"] == [
        {"row": 7, "column": "expires_on", "problem": "is no date, YYYY-MM-DD"}
    ]
    count = "SELECT count(*) AS n FROM authorizations WHERE customer_id = CAST(:c AS uuid)"
    assert pipeline.rows(count, c=str(customer)) == [{"n": 0}]
