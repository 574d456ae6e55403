"""Breaks a running pipeline, and mends what somebody outside would mend: a dead process is started again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Final

import psutil
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from local.runtime import LocalRuntime
from local.soak.payer import Progress
from shared.adapters.embedded.engine import build_local_engine
from shared.adapters.postgres.engine import database_errors
from shared.runtime.errors import TransientError

POLL_S: Final = 0.05
BOTH_SHARE: Final = 0.25  # of the kills, those that leave nobody to answer

# Nobody reads or writes a message while this lock is held: publishing, delivering and acknowledging all hang.
HANG = "LOCK TABLE messages IN ACCESS EXCLUSIVE MODE"
# Pub/Sub gives a message up for lost after its deadline of a minute or two; here that is now.
END_LEASES = text(
    "UPDATE messages SET visible_at = clock_timestamp() WHERE visible_at > clock_timestamp() + interval '15 s'"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to go wrong. 0 s is never. *_at: how much of the sending is done by then, 0 to 1."""

    kill_every_s: float = 3.0
    postgres_at: float = 0.35
    postgres_s: float = 10.0
    broker_at: float = 0.7
    broker_s: float = 8.0
    seed: int = 0


@dataclass(slots=True)
class Done:
    """What did go wrong."""

    killed: int = 0
    postgres_s: float = 0.0
    broker_s: float = 0.0
    leases_ended: int = 0


@asynccontextmanager
async def kept_alive(runtime: LocalRuntime) -> AsyncIterator[list[int]]:
    """Start function processes again that died, as Cloud Run does. Yields the ids of those that were found dead."""
    died: list[int] = []
    task = asyncio.create_task(_keep_alive(runtime, died))
    try:
        yield died
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def is_dead(pid: int) -> bool:
    """Return whether a process ended, whether or not its parent knows."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def _keep_alive(runtime: LocalRuntime, died: list[int]) -> None:
    while True:
        for nth, pid in enumerate(runtime.host_pids()):
            if is_dead(pid):
                died.append(pid)
                runtime.restart_host(nth)
        await asyncio.sleep(POLL_S)


async def make_trouble(runtime: LocalRuntime, plan: Plan, progress: Progress, done: Done) -> None:
    """Kill, stop and hang things as planned until cancelled, and note it. What was stopped runs again afterwards."""
    async with asyncio.TaskGroup() as group:
        if plan.kill_every_s:
            group.create_task(_kill_now_and_then(runtime, plan, done))
        group.create_task(_stop_in_turn(runtime, plan, progress, done))


async def _kill_now_and_then(runtime: LocalRuntime, plan: Plan, done: Done) -> None:
    random = Random(plan.seed)  # noqa: S311 - trouble, not secrets
    while True:
        await asyncio.sleep(plan.kill_every_s * random.uniform(0.5, 1.5))
        hosts = range(len(runtime.host_pids()))
        chosen = hosts if random.random() < BOTH_SHARE else [random.choice(hosts)]
        for nth in chosen:
            runtime.restart_host(nth)
            done.killed += 1


async def _stop_in_turn(runtime: LocalRuntime, plan: Plan, progress: Progress, done: Done) -> None:
    if plan.postgres_s:
        await progress.reaches(plan.postgres_at)
        await postgres_away(runtime, plan.postgres_s)
        done.postgres_s = plan.postgres_s
        await asyncio.sleep(1.0)
        done.leases_ended = await end_leases(runtime)
    if plan.broker_s:
        await progress.reaches(plan.broker_at)
        await broker_hangs(runtime, plan.broker_s)
        done.broker_s = plan.broker_s


async def postgres_away(runtime: LocalRuntime, seconds: float) -> None:
    """Crash the database, and recover it so much later."""
    await asyncio.to_thread(runtime.postgres.stop)
    try:
        await asyncio.sleep(seconds)
    finally:
        await asyncio.to_thread(runtime.postgres.start)


async def broker_hangs(runtime: LocalRuntime, seconds: float) -> None:
    """Let the embedded broker answer nobody for so long. What was asked of it meanwhile happens late, or twice."""
    engine = build_local_engine(replace(runtime.settings, pool_size=1))
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        await asyncio.to_thread(connection.exec_driver_sql, HANG)
        await asyncio.sleep(seconds)
        connection.exec_driver_sql("COMMIT")
    engine.dispose()


async def end_leases(runtime: LocalRuntime) -> int:
    """Let messages come again that were under way when their broker went; return how many."""
    return await asyncio.to_thread(_end_leases, runtime)


def _end_leases(runtime: LocalRuntime) -> int:
    engine = build_local_engine(replace(runtime.settings, pool_size=1))
    try:
        with database_errors(), engine.connect() as connection:
            return connection.execute(END_LEASES).rowcount
    finally:
        engine.dispose()


async def drained(runtime: LocalRuntime, *, timeout_s: float) -> bool:
    """Wait until no message is left, through outages. Returns False when the time is up."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while (left_s := deadline - loop.time()) > 0:
        with suppress(TransientError, DBAPIError):
            return await runtime.drained(timeout_s=left_s)
        await asyncio.sleep(POLL_S)
    return False
