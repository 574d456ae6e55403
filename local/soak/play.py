"""One run: start a pipeline, send everything, wait until nothing is left, and read what that came to."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

from local.broker import Faults
from local.runtime import LocalRuntime
from local.sample_month import SampleDelivery
from local.sample_month.month import SampleMonth
from local.soak.payer import Payers, Progress, Sent
from local.soak.state import EndState, read_state
from local.soak.trouble import Done, Plan, drained, make_trouble
from local.soak.world import Receiver, Senders, set_up, wanted_of
from shared.adapters.postgres.action_desk import PostgresActionDesk
from shared.adapters.postgres.engine import build_engine
from shared.handlers.action_desk import publish_waiting, wake_actions
from shared.ports.clock import system_clock
from shared.runtime.bootstrap import App
from shared.runtime.settings import Settings

AT_ONCE: Final = 24
DRAIN_TIMEOUT_S: Final = 300.0
ACTION_LEASE_S: Final = 1.0  # a worker that was killed is given up soon
RETRY_SCALE: Final = 0.02  # what fails comes again after 0.2 s, and not after ten
SHARE: Final = 0.1
BAD_DAY: Final = Faults(duplicate=SHARE, reorder=SHARE, drop_ack=SHARE)


@dataclass(frozen=True, slots=True)
class Load:
    """What both runs send. plan: what goes wrong in the second."""

    deliveries: Sequence[SampleDelivery]
    months: Sequence[SampleMonth]
    seed: int
    plan: Plan


@dataclass(frozen=True, slots=True)
class Run:
    """What one run came to. sent: in the order of sending, repeats too. received: by `webhook-id`, repeats dropped."""

    sent: Sequence[Sent]
    state: EndState
    received: dict[str, str]
    repeats: int
    refused: int
    done: Done
    seconds: float

    @property
    def statuses(self) -> Counter[int]:
        """Return every answer that a sender had, by status; 0 is none."""
        return Counter(status for sent in self.sent for status in sent.statuses)


async def play(home: Path, load: Load, *, disturbed: bool, hosts: int = 2) -> Run:
    """Return the run, on a folder of its own. Everything it started has ended by then.

    Raises:
        GaveUpError: a delivery had no final answer in time.
        TimeoutError: messages were left over.
    """
    began_s = time.perf_counter()
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver())
        runtime = await stack.enter_async_context(
            LocalRuntime(
                Settings(home=home, action_lease_s=ACTION_LEASE_S),
                hosts=hosts,
                retry_scale=RETRY_SCALE,
                faults=replace(BAD_DAY, seed=load.seed) if disturbed else None,
                log_file=home / "functions.log",
            )
        )
        senders = await asyncio.to_thread(_world, runtime, load, receiver)
        done = Done()
        sent = await (
            _sent_in_trouble(runtime, senders, load, done) if disturbed else _sent(runtime, senders, load)
        )
        if not await drained(runtime, timeout_s=DRAIN_TIMEOUT_S):
            raise TimeoutError(f"messages were left after {DRAIN_TIMEOUT_S:.0f} s")
        await _wake_actions(runtime)
        state = await asyncio.to_thread(_state, runtime)
    seconds = time.perf_counter() - began_s
    return Run(sent, state, receiver.once(), receiver.repeats, receiver.refused, done, seconds)


async def _wake_actions(runtime: LocalRuntime) -> None:
    """Do what the schedule does: send a message for every action whose worker was lost and whose message is spent."""
    settings = replace(runtime.settings, pool_size=1)
    engine = build_engine(settings, user="upstream_operator", database=settings.database_name)
    app, desk = App(settings), PostgresActionDesk(engine)
    try:
        await asyncio.sleep(ACTION_LEASE_S)
        while await asyncio.to_thread(lambda: wake_actions(desk=desk, now=system_clock())):
            await publish_waiting(desk=desk, record=app.record, publisher=app.publisher)
            if not await drained(runtime, timeout_s=DRAIN_TIMEOUT_S):
                raise TimeoutError(f"actions were left after {DRAIN_TIMEOUT_S:.0f} s")
    finally:
        engine.dispose()
        app.engine.dispose()
        app.local_engine.dispose()


def shuffled(deliveries: Sequence[SampleDelivery], random: Random) -> list[SampleDelivery]:
    """Return the deliveries with a tenth of them sent again somewhere, and a tenth moved anywhere."""
    again = random.sample(deliveries, round(len(deliveries) * SHARE))
    moved = set(random.sample(range(len(deliveries)), round(len(deliveries) * SHARE)))
    order = [delivery for nth, delivery in enumerate(deliveries) if nth not in moved]
    for delivery in [*(deliveries[nth] for nth in sorted(moved)), *again]:
        order.insert(random.randrange(len(order) + 1), delivery)
    return order


def _world(runtime: LocalRuntime, load: Load, receiver: Receiver) -> Senders:
    wanted = wanted_of(load.months, (delivery.practice for delivery in load.deliveries))
    return set_up(runtime.settings, wanted, load.months, receiver.url)


async def _sent(runtime: LocalRuntime, senders: Senders, load: Load) -> list[Sent]:
    return await post_all(Payers(runtime.url, senders), load.deliveries, Progress(len(load.deliveries)))


async def _sent_in_trouble(runtime: LocalRuntime, senders: Senders, load: Load, done: Done) -> list[Sent]:
    order = shuffled(load.deliveries, Random(load.seed))  # noqa: S311 - a load, not a secret
    progress = Progress(len(order))
    trouble = asyncio.create_task(make_trouble(runtime, load.plan, progress, done))
    try:
        return await post_all(Payers(runtime.url, senders, seed=load.seed), order, progress)
    finally:
        await _ended(trouble)


async def _ended(trouble: "asyncio.Task[None]") -> None:
    """End the trouble; what it raised itself is raised here."""
    if not trouble.done():
        trouble.cancel()
    with suppress(asyncio.CancelledError):
        await trouble


async def post_all(
    payers: Payers, deliveries: Sequence[SampleDelivery], progress: Progress, *, at_once: int = AT_ONCE
) -> list[Sent]:
    """Return what became of each, in the order of their final answers. Closes the payers.

    Raises:
        GaveUpError: one of them had none in time.
    """
    waiting = iter(deliveries)

    async def work() -> None:
        for delivery in waiting:
            progress.add(await payers.send(delivery))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
    finally:
        await payers.close()
    return progress.sent


def _state(runtime: LocalRuntime) -> EndState:
    settings = replace(runtime.settings, pool_size=1)
    engine = build_engine(settings, user="upstream_operator", database=settings.database_name)
    try:
        return read_state(engine)
    finally:
        engine.dispose()
