"""A local runtime behind a plain, blocking face: for tests, benchmarks and scripts."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

import uvloop

from local.runtime import LocalRuntime

T = TypeVar("T")


class ThreadedRuntime:
    """Runs a `LocalRuntime` on an event loop of its own thread. Leaving it stops everything that it started."""

    def __init__(self, runtime: LocalRuntime) -> None:
        """runtime: not entered yet."""
        self.runtime = runtime
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="local-runtime", daemon=True)

    def __enter__(self) -> Self:
        """Start the runtime; return when it answers."""
        self._thread.start()
        try:
            self.run(self.runtime.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the runtime."""
        try:
            self.run(self.runtime.__aexit__(kind, error, trace))
        finally:
            self._end()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine on the runtime's loop returns."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result()

    def drained(self, *, timeout_s: float = 30.0) -> bool:
        """Wait until no message is left. Returns False when the time is up."""
        return self.run(self.runtime.drained(timeout_s=timeout_s))

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
