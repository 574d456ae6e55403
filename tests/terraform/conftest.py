"""The plans that `make terraform-check` made before it runs these tests."""

import json
import os
from pathlib import Path

import pytest

from tests.terraform.plans import Plan, read_plan

ENVIRONMENTS = ("dev", "prod")


@pytest.fixture(scope="session", params=ENVIRONMENTS)
def plan(request: pytest.FixtureRequest) -> Plan:
    return read(request.param)


@pytest.fixture(scope="session")
def prod() -> Plan:
    return read("prod")


def read(environment: str) -> Plan:
    folder = os.environ.get("UPSTREAM_PLANS")
    if folder is None:
        pytest.skip("reads plans: make terraform-check")
    return read_plan(environment, json.loads(Path(folder, f"{environment}.json").read_text()))
