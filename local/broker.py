"""Delivers a broker's messages to functions: at least once, many at a time, out of any `Source`.

On request it delays, duplicates, reorders and drops acknowledgements, as a real broker does on a bad day.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from local.push import Pushed, Pusher
from local.subscriptions import Subscription
from shared.runtime.batcher import Batcher
from shared.runtime.errors import TransientError

POLL_S: Final = 0.01
OUTAGE_POLL_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Faults:
    """How the broker misbehaves: each a share of deliveries, 0 to 1. delay_s: of those that are delayed, at most."""

    duplicate: float = 0.0
    reorder: float = 0.0
    drop_ack: float = 0.0
    delay: float = 0.0
    delay_s: float = 0.5
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Leased:
    """A message that is ours until its acknowledgement deadline. receipt: names this delivery to its source."""

    receipt: str
    pushed: Pushed


class Source(Protocol):
    """A broker's subscriptions. Back-off, attempts and dead letters are its own business."""

    async def pull(self, wanted: Mapping[str, int], *, wake: Callable[[], None]) -> Sequence[Leased]:
        """Lease up to so many messages of each subscription, without waiting for any.

        wake: may be called when there are messages to pull later; the caller polls as well.
        Raises:
            TransientError: the broker is away.
        """
        ...

    async def ack(self, leased: Sequence[Leased]) -> None:
        """Forget messages.

        Raises:
            TransientError: the broker is away; they will come again.
        """
        ...

    async def nack(self, leased: Leased) -> None:
        """Let a message come again after its back-off, or become a dead letter after its last attempt.

        Raises:
            TransientError: the broker is away; it comes again when its lease ends.
        """
        ...


class Broker:
    """Pushes messages to functions until it is cancelled."""

    def __init__(
        self,
        source: Source,
        pusher: Pusher,
        *,
        declared: Sequence[Subscription],
        max_delivery_attempts: int,
        faults: Faults | None = None,
        max_in_flight: int = 64,
    ) -> None:
        """max_in_flight: pushes under way for one subscription."""
        self._source = source
        self._pusher = pusher
        self._declared = {subscription.name: subscription for subscription in declared}
        self._max_delivery_attempts = max_delivery_attempts
        self._faults = faults or Faults()
        self._random = random.Random(self._faults.seed)  # noqa: S311 - faults, not secrets
        self._max_in_flight = max_in_flight
        self._in_flight = dict.fromkeys(self._declared, 0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._change = asyncio.Event()
        self._acks: Batcher[Leased, None] = Batcher(self._ack_all)

    @property
    def busy(self) -> bool:
        """Whether a delivery is under way."""
        return bool(self._tasks)

    async def run(self) -> None:
        """Pull and push until cancelled. While the broker is away, wait for it."""
        try:
            await self._run()
        finally:
            under_way = [*self._tasks]
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            wanted = {
                name: self._max_in_flight - n
                for name, n in self._in_flight.items()
                if n < self._max_in_flight
            }
            try:
                leased = await self._source.pull(wanted, wake=self._change.set) if wanted else []
            except TransientError:
                await asyncio.sleep(OUTAGE_POLL_S)
                continue
            for message in self._misordered(leased):
                self._start(message)
            await self._pause(busy=bool(leased))

    async def _pause(self, *, busy: bool) -> None:
        """Wait for new messages; when there were some, only until one of them is done."""
        self._change.clear()
        try:
            async with asyncio.timeout(POLL_S if not busy else POLL_S / 2):
                await self._change.wait()
        except TimeoutError:
            pass

    def _misordered(self, leased: Sequence[Leased]) -> Sequence[Leased]:
        if self._faults.reorder and self._random.random() < self._faults.reorder:
            leased = self._random.sample(leased, len(leased))
        twice = [message for message in leased if self._random.random() < self._faults.duplicate]
        return [*leased, *twice]

    def _start(self, leased: Leased) -> None:
        self._in_flight[leased.pushed.subscription] += 1
        task = asyncio.create_task(self._deliver(leased))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, leased: Leased) -> None:
        subscription = self._declared[leased.pushed.subscription]
        try:
            if self._random.random() < self._faults.delay:
                await asyncio.sleep(self._random.random() * self._faults.delay_s)
            acknowledged = await self._pusher.post(
                subscription.function, leased.pushed, timeout_s=subscription.ack_deadline_s
            )
            if acknowledged and not self._drops_ack(leased):
                await self._acks.submit(leased)
            else:
                await self._source.nack(leased)
        except TransientError:
            pass  # the broker is away: the lease ends, and the message comes again
        finally:
            self._in_flight[leased.pushed.subscription] -= 1
            self._change.set()

    def _drops_ack(self, leased: Leased) -> bool:
        """Return whether an acknowledgement gets lost; never the last one, or a success would become a dead letter."""
        last = leased.pushed.attempt >= self._max_delivery_attempts
        return not last and self._random.random() < self._faults.drop_ack

    async def _ack_all(self, leased: Sequence[Leased]) -> Sequence[Exception | None]:
        await self._source.ack(leased)
        return [None] * len(leased)
