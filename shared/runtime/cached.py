"""Remembers what a slow look-up said for a while, on an event loop, with at most one look-up a key at a time."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Cached(Generic[K, V]):
    """A look-up that blocks, made quick: fresh answers come from memory, others from a thread.

    An answer older than `ttl_s` is never used, so that a disabled connection or a withdrawn secret is gone by then.
    """

    def __init__(
        self, look_up: Callable[[K], V], *, ttl_s: float, now_s: Callable[[], float], max_keys: int = 10_000
    ) -> None:
        """Ask `look_up` at most once per key and `ttl_s`; its errors are not remembered."""
        self._look_up = look_up
        self._ttl_s = ttl_s
        self._now_s = now_s
        self._max_keys = max_keys
        self._fresh: dict[K, tuple[float, V]] = {}
        self._pending: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, *, newer_than_s: float | None = None) -> V:
        """Return the answer for `key`. newer_than_s: refuse an answer that was learnt more than this long ago.

        Raises: what the look-up raises.
        """
        entry = self._fresh.get(key)
        if entry is not None and self._now_s() - entry[0] < (
            self._ttl_s if newer_than_s is None else newer_than_s
        ):
            return entry[1]
        task = self._pending.get(key)
        if task is None:
            task = asyncio.create_task(self._learn(key))
            self._pending[key] = task
            task.add_done_callback(lambda _: self._pending.pop(key, None))
        return await asyncio.shield(task)

    async def _learn(self, key: K) -> V:
        asked_s = self._now_s()  # a slow answer is as old as its question
        value = await asyncio.to_thread(self._look_up, key)
        self._fresh.pop(key, None)
        if len(self._fresh) >= self._max_keys:
            del self._fresh[next(iter(self._fresh))]
        self._fresh[key] = (asked_s, value)
        return value
