"""What the contract suites run on: one PostgreSQL, and one pair of Google's emulators, for the whole session.

Tests do not see each other: each has keys, a Google Cloud project, or a subscription of its own.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from local.emulators import Emulators, EmulatorsMissingError
from local.postgres import LocalPostgres
from shared.adapters.embedded.engine import build_local_engine
from shared.runtime.settings import Settings


@dataclass
class Hands:
    """A clock that stands still until somebody moves its hands."""

    now: datetime = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture(scope="session")
def embedded_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    home = tmp_path_factory.mktemp("contract")
    with LocalPostgres(home) as postgres:
        yield replace(postgres.prepare(Settings(home=home)), pool_size=20)


@pytest.fixture(scope="session")
def local_engine(embedded_settings: Settings) -> Iterator[Engine]:
    engine = build_local_engine(embedded_settings)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def emulators() -> Iterator[Emulators]:
    """Both emulators, with the variables that lead to them. CI may not do without them."""
    running = Emulators()
    try:
        running.start()
    except EmulatorsMissingError as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(str(exc))
        pytest.skip(str(exc))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running
    running.stop()


@pytest.fixture
def project() -> str:
    """A project that no other test uses."""
    return f"test-{uuid4().hex[:12]}"
