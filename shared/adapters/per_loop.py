"""One of something per event loop: an asyncio gRPC channel belongs to the loop that opened it."""

import asyncio
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Builds on first use in each loop. A function has one loop; tests and command lines have several."""

    def __init__(self, build: Callable[[], T]) -> None:
        """build: called inside the loop that is to own the result."""
        self._build = build
        self._built: dict[asyncio.AbstractEventLoop, T] = {}
        self._lock = Lock()

    def get(self) -> T:
        """Return this loop's."""
        loop = asyncio.get_running_loop()
        built = self._built.get(loop)
        if built is None:
            built = self._build()
            with self._lock:
                kept = {known: value for known, value in self._built.items() if not known.is_closed()}
                self._built = {**kept, loop: built}
        return built

    def pop(self) -> T | None:
        """Return this loop's, if it was built, and forget it."""
        with self._lock:
            return self._built.pop(asyncio.get_running_loop(), None)
