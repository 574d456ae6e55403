"""Events that arrive together are handled together: one transaction for those of one customer (docs/adr/0011).

A transaction costs the same round trips and the same flush for one event as for thirty. Alone, an event waits for
nothing; under load, those that come while a transaction is under way share the next. One whose payload is kept apart
has a transaction to itself, and there are few of those at a time: the payload may have any size that we take.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Final
from uuid import UUID

from shared.domain.events import PAYLOAD_REF, Received
from shared.ports.record import Emitted
from shared.runtime.batcher import Batcher
from shared.runtime.errors import TransientError

Handle = Callable[[Sequence[Received]], Sequence[Emitted]]
InThread = Callable[[Callable[[], Sequence[Emitted]]], Awaitable[Sequence[Emitted]]]

MAX_EVENTS: Final = 64
MAX_BYTES: Final = 512 * 1024  # of payloads; a larger one has a transaction to itself
LARGE_AT_A_TIME: Final = 2  # whose payload is kept apart: up to 32 MiB, and many times that as JSON


class Together:
    """Hands events to a handler, those of one customer together and one transaction of theirs at a time."""

    def __init__(self, handle: Handle, in_thread: InThread) -> None:
        """handle: takes different events of one customer, all or none. in_thread: runs it where it may block."""
        self._handle = handle
        self._in_thread = in_thread
        self._desks: dict[UUID, Batcher[Received, Emitted]] = {}
        self._large = asyncio.Semaphore(LARGE_AT_A_TIME)

    def __len__(self) -> int:
        """Return how many customers have events here."""
        return len(self._desks)

    async def submit(self, received: Received) -> Emitted:
        """Return what the handler made of the event.

        Raises: what the handler raises for this event alone; a TransientError of the transaction that it shared.
        """
        customer_id = received.event.customer_id
        desk = self._desks.get(customer_id)
        if desk is None:
            desk = self._desks[customer_id] = Batcher(self._handle_all, max_items=MAX_EVENTS)
        try:
            return await desk.submit(received)
        finally:
            if desk.idle:
                self._desks.pop(customer_id, None)  # bounded by the customers whose events are under way

    async def _handle_all(self, batch: Sequence[Received]) -> Sequence[Emitted | Exception]:
        answers: dict[int, Emitted | Exception] = {}
        for turn in _turns(batch):
            events = [batch[nth] for nth in turn]
            async with self._large if _apart(events[0]) else nullcontext():
                found = await self._handle_turn(events)
            answers.update(zip(turn, found, strict=True))
        return [answers[nth] for nth in range(len(batch))]

    async def _handle_turn(self, events: Sequence[Received]) -> Sequence[Emitted | Exception]:
        """Handle events in one transaction or, when one of them is at fault, each in its own."""
        if len(events) > 1:
            try:
                return await self._in_thread(lambda: self._handle(events))
            except TransientError:
                raise
            except Exception:  # noqa: BLE001, S110 - whose fault it is shows when each is handled alone
                pass
        return [await self._handle_alone(one) for one in events]

    async def _handle_alone(self, event: Received) -> Emitted | Exception:
        try:
            (emitted,) = await self._in_thread(lambda: self._handle([event]))
        except Exception as exc:  # noqa: BLE001 - not handled here: raised to whoever submitted the event
            return exc
        return emitted


def _turns(batch: Sequence[Received]) -> Iterator[Sequence[int]]:
    """Yield which events go into one transaction: in their order, none twice, and not too many bytes."""
    turn: list[int] = []
    ids: set[UUID] = set()
    size = 0
    for nth, received in enumerate(batch):
        more = MAX_BYTES + 1 if _apart(received) else len(received.event.data)
        if turn and (received.event.id in ids or size + more > MAX_BYTES):
            yield turn
            turn, ids, size = [], set(), 0
        turn.append(nth)
        ids.add(received.event.id)
        size += more
    if turn:
        yield turn


def _apart(received: Received) -> bool:
    return PAYLOAD_REF in received.event.extensions
