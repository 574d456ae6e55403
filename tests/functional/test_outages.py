"""What the pipeline stands on goes away for a while, and comes back: nothing is lost, nothing happens twice."""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from local.emulated import EmulatedRuntime
from local.emulators import EmulatorsMissingError
from local.sample_month import SampleDelivery
from local.soak.deliveries import mix
from local.soak.payer import Payers, Progress, Sent
from local.soak.play import Load, Run, play, post_all
from local.soak.state import EndState, differences, read_state
from local.soak.trouble import Plan
from local.soak.verdict import broken, findings
from local.soak.world import Receiver, Senders, set_up, wanted_of
from local.threaded import ThreadedRuntime
from shared.adapters.postgres.engine import build_engine
from shared.runtime.settings import Settings

AWAY_S = 3.0
DELIVERIES, MONTHS = mix(60, seed=3, today=datetime.now(UTC).date())
LOAD = Load(DELIVERIES, MONTHS, 3, Plan(kill_every_s=0.0, postgres_s=AWAY_S, broker_s=0.0))
# pg8000 says goodbye before it closes a socket; to a server that is gone it cannot, and leaves that to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = asyncio.run(play(tmp_path_factory.mktemp("calm"), LOAD, disturbed=False))
    assert not run.state.broken
    return run


def test_embedded_senders_wait_while_postgresql_is_away_and_everything_is_there_afterwards(
    undisturbed: Run, tmp_path: Path
) -> None:
    """Keys and messages live in PostgreSQL, too, in this runtime: nothing can be promised meanwhile."""
    run = asyncio.run(play(tmp_path, LOAD, disturbed=True))
    assert run.done.postgres_s == AWAY_S
    assert run.statuses[503]
    assert broken(findings(undisturbed, run)) == []


@dataclass
class Emulated:
    """The pipeline on Google's emulators, with a payer in front of it."""

    threaded: ThreadedRuntime
    runtime: EmulatedRuntime
    senders: Senders

    def send(
        self, deliveries: Sequence[SampleDelivery], meanwhile: Callable[[], AbstractContextManager[None]]
    ) -> list[Sent]:
        """Send them all at once while something is going on; return what each was told."""
        return self.threaded.run(self._send(deliveries, meanwhile))

    async def _send(
        self, deliveries: Sequence[SampleDelivery], meanwhile: Callable[[], AbstractContextManager[None]]
    ) -> list[Sent]:
        payers = Payers(self.runtime.url, self.senders)
        with meanwhile():
            sending = asyncio.create_task(post_all(payers, deliveries, Progress(len(deliveries))))
            await asyncio.sleep(2 * AWAY_S)
        return await sending

    @contextmanager
    def postgres_stopped(self) -> Iterator[None]:
        self.runtime.postgres.stop()
        try:
            yield
        finally:
            self.runtime.postgres.start()

    def state(self) -> EndState:
        settings = replace(self.runtime.settings, pool_size=1)
        engine = build_engine(settings, user="upstream_operator", database=settings.database_name)
        try:
            return read_state(engine)
        finally:
            engine.dispose()


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    home = tmp_path_factory.mktemp("emulated")
    settings = Settings(home=home, project_id=f"test-{uuid4().hex[:12]}")
    # Five attempts take 45 s so: a server that recovers beside another test's browsers is back before they are used up.
    runtime = EmulatedRuntime(settings, hosts=1, retry_scale=0.3, log_file=home / "functions.log")
    try:
        threaded = ThreadedRuntime(runtime).__enter__()
    except EmulatorsMissingError as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(str(exc))
        pytest.skip(str(exc))
    receiver = Receiver()
    threaded.run(receiver.__aenter__())
    wanted = wanted_of(MONTHS, (delivery.practice for delivery in DELIVERIES))
    yield Emulated(threaded, runtime, set_up(runtime.settings, wanted, MONTHS, receiver.url))
    threaded.run(receiver.__aexit__(None, None, None))
    threaded.__exit__(None, None, None)


@pytest.mark.emulators
def test_deliveries_are_taken_while_postgresql_is_stopped_and_the_backlog_drains(
    emulated: Emulated, undisturbed: Run
) -> None:
    sent = emulated.send(DELIVERIES, emulated.postgres_stopped)
    assert {tuple(one.statuses) for one in sent} <= {(202,), (401,), (415,)}
    assert sum(one.taken for one in sent) == sum(one.taken for one in undisturbed.sent)
    assert emulated.threaded.drained(timeout_s=90)
    state = emulated.state()
    assert not state.broken
    assert differences(undisturbed.state, state) == {}


@pytest.mark.emulators
@pytest.mark.parametrize("away", ["firestore", "pubsub"])
def test_senders_are_refused_while_firestore_or_pubsub_is_away_and_their_retry_is_taken(
    emulated: Emulated, away: str
) -> None:
    emulators = emulated.runtime.emulators
    paused = emulators.firestore_paused if away == "firestore" else emulators.pubsub_paused
    again = [
        replace(one, delivery_id=f"{one.delivery_id}-{away}") for one in DELIVERIES if one.reply == "accepted"
    ][:5]
    sent = emulated.send(again, paused)
    assert all(503 in one.statuses and one.statuses[-1] == 202 for one in sent)
    assert emulated.threaded.drained(timeout_s=90)
    state = emulated.state()
    assert not state.broken
    assert {len(state.effects[one.event_id]) for one in sent} == {1}
