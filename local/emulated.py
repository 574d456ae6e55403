"""The pipeline on Google's emulators: the same functions and record, with the real client libraries in between."""

import asyncio
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import ClassVar, Final

from local.bridge import Bridge
from local.broker import Faults
from local.emulators import Emulators
from local.runtime import LocalRuntime
from local.subscriptions import Retry, Subscription, retry, subscriptions
from shared.runtime.settings import Runtime, Settings

SETTLE_S: Final = (
    0.5  # the emulator hands a message out some 20 ms after it was published, and looks every 50 ms
)


class EmulatedRuntime(LocalRuntime):
    """`LocalRuntime` with Pub/Sub and Firestore in place of tables. Secrets stay in files.

    Google's clients in this process find the emulators too while it runs: their two variables are set meanwhile.
    """

    kind: ClassVar[Runtime] = "emulators"

    def __init__(
        self,
        settings: Settings,
        *,
        port: int = 0,
        hosts: int = 2,
        retry_scale: float = 1.0,
        faults: Faults | None = None,
        log_file: Path | None = None,
        emulators: Emulators | None = None,
    ) -> None:
        """emulators: running ones to join, in a project of `settings.project_id`; None starts a pair.

        retry_scale: the emulator waits a second or more after each attempt but the first; 0 is no back-off at all.
        """
        super().__init__(
            settings, port=port, hosts=hosts, retry_scale=retry_scale, faults=faults, log_file=log_file
        )
        self._joined = emulators

    async def drained(self, *, timeout_s: float, settle_s: float = SETTLE_S) -> bool:
        """Wait until nothing is due and nothing has happened for `settle_s`. Returns False when the time is up.

        Pub/Sub tells nobody how many messages it has. The bridge knows those that it has seen and that are to come
        again; one that was just published shows itself well within `settle_s`.
        """
        deadline = time.monotonic() + timeout_s
        asked_at = time.monotonic()
        while time.monotonic() < deadline:
            idle_s = min(self.bridge.idle_s(), time.monotonic() - asked_at)
            if not self.broker.busy and idle_s >= settle_s:
                return True
            await asyncio.sleep(settle_s / 10)
        return False

    async def _prepare(self, stack: AsyncExitStack) -> None:
        self.emulators = self._joined or Emulators()
        if self._joined is None:
            await asyncio.to_thread(self.emulators.start)
            stack.push_async_callback(asyncio.to_thread, self.emulators.stop)
        stack.enter_context(_environment(self.emulators.environment))
        policy = retry(scale=self._retry_scale)
        await asyncio.to_thread(self.emulators.declare, self.settings.project_id, subscriptions(), policy)

    async def _source(self, stack: AsyncExitStack, declared: Sequence[Subscription], policy: Retry) -> Bridge:
        self.bridge = Bridge(
            self.emulators.environment["PUBSUB_EMULATOR_HOST"],
            self.settings.project_id,
            declared,
            max_delivery_attempts=policy.max_delivery_attempts,
        )
        stack.push_async_callback(self.bridge.close)
        return self.bridge


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
