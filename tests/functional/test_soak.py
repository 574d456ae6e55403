"""A small soak, for every build: three hundred deliveries through kills, a database crash and a broker that hangs."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.soak.deliveries import mix
from local.soak.play import Load, play
from local.soak.trouble import Plan
from local.soak.verdict import broken, findings

N = 300
PLAN = Plan(kill_every_s=2.0, postgres_s=2.0, broker_s=2.0)


# pg8000 says goodbye before it closes a socket; to a server that is gone it cannot, and leaves that to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.timeout(300)  # two whole runs, one of them through outages
def test_a_disturbed_run_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    deliveries, months = mix(N, seed=7, today=datetime.now(UTC).date())
    assert len(deliveries) == N
    load = Load(deliveries, months, 7, PLAN)
    for name in ("calm", "stormy"):
        (tmp_path / name).mkdir()
    calm = asyncio.run(play(tmp_path / "calm", load, disturbed=False))
    stormy = asyncio.run(play(tmp_path / "stormy", load, disturbed=True))
    assert (stormy.done.killed, stormy.done.postgres_s, stormy.done.broker_s) > (0, 0, 0)
    assert stormy.statuses[503]
    assert broken(findings(calm, stormy)) == []
    assert calm.state.figures["dead letters"] == 3
    for name in ("calm", "stormy"):
        logged = (tmp_path / name / "functions.log").read_text().splitlines()
        assert [line for line in logged if not line.startswith("{")] == []
