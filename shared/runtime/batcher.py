"""Natural batching: while one batch is being written, what arrives meanwhile becomes the next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Turns many small awaits into few writes. Alone, an item waits for nothing; under load, batches grow.

    write: takes the items in order and returns one result or exception for each; if it raises, all of them failed.
    """

    def __init__(
        self, write: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]], *, max_items: int = 256
    ) -> None:
        """Write at most `max_items` at a time."""
        self._write = write
        self._max_items = max_items
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._writer: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nobody waits, and nothing is being written."""
        return self._writer is None and not self._waiting

    async def submit(self, item: T) -> R:
        """Return what the write made of `item`.

        Raises: the exception the write gave for it.
        """
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._writer is None:
            self._writer = asyncio.create_task(self._drain())
        return await result

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._max_items], self._waiting[self._max_items :]
                await self._write_batch(batch)
        finally:
            self._writer = None

    async def _write_batch(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        outcomes: Sequence[R | Exception]
        try:
            outcomes = await self._write([item for item, _ in batch])
            if len(outcomes) != len(batch):  # or somebody would wait for ever
                raise ValueError("a write has to answer for each of its items")  # noqa: TRY301
        except Exception as exc:  # noqa: BLE001 - not handled here: handed to everyone who waits for this batch
            outcomes = [exc] * len(batch)
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if future.done():  # the caller gave up
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
