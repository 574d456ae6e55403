"""Against a deployed environment, which UPSTREAM_ENVIRONMENT names: opt-in, with `make e2e`."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_an_event_comes_through_every_deployed_function() -> None:
    environment = os.environ["UPSTREAM_ENVIRONMENT"]
    subprocess.run([ROOT / "terraform" / "deploy.sh", "smoke", environment], check=True, timeout=900)
