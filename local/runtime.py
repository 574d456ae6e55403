"""Starts the pipeline on this machine and stops it again: PostgreSQL, function processes, the broker."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from local.broker import Broker, Faults, Queue
from local.postgres import LOCAL_OWNER, LocalPostgres
from local.push import Pusher
from local.subscriptions import retry, subscriptions
from shared.adapters.postgres.engine import build_engine
from shared.runtime.settings import Settings, to_environment

ROOT: Final = Path(__file__).parents[1]
START_TIMEOUT_S: Final = 60.0


class LocalRuntime:
    """The embedded runtime. Everything it starts ends with it, and its port was free when it began.

    hosts: function processes; each serves every function. retry_scale: shortens the declared back-off.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        port: int = 0,
        hosts: int = 2,
        retry_scale: float = 1.0,
        faults: Faults | None = None,
        log_file: Path | None = None,
    ) -> None:
        """port: 0 picks a free one. log_file: where the functions' logs go; None is this process's own output."""
        self.settings = settings
        self._port = port
        self._hosts = hosts
        self._retry_scale = retry_scale
        self._faults = faults
        self._log_file = log_file
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start everything; return when all of it answers.

        Raises:
            RuntimeError: a function process did not come up; its log says why.
        """
        async with AsyncExitStack() as stack:
            self.postgres = stack.enter_context(LocalPostgres(self.settings.home))
            self.settings = await asyncio.to_thread(
                self.postgres.prepare, replace(self.settings, runtime="embedded")
            )
            self._listening = stack.enter_context(_listen(self._port))
            self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
            stack.callback(self._stop_hosts)
            for _ in range(self._hosts):
                self._processes.append(self._spawn())
            await self._ready()
            await self._start_broker(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, the newest first."""
        await self._stack.aclose()

    async def drained(self, *, timeout_s: float, settle_s: float = 0.05) -> bool:
        """Wait until no message is left. Returns False when the time is up."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if await asyncio.to_thread(self.queue.depth) == 0:
                return True
            await asyncio.sleep(settle_s)
        return False

    def host_pids(self) -> list[int]:
        """Return the function processes."""
        return [process.pid for process in self._processes]

    def restart_host(self, nth: int) -> None:
        """Kill one function process without warning and start another in its place."""
        self._processes[nth].send_signal(signal.SIGKILL)
        self._processes[nth].wait()
        self._processes[nth] = self._spawn()

    async def _start_broker(self, stack: AsyncExitStack) -> None:
        engine = build_engine(
            replace(self.settings, pool_size=6), user=LOCAL_OWNER, database=self.settings.local_database_name
        )
        stack.callback(engine.dispose)
        declared = subscriptions()
        self.queue = Queue(engine, declared)
        pusher = Pusher(self.url)
        stack.push_async_callback(pusher.close)
        broker = Broker(
            self.queue, pusher, declared=declared, policy=retry(scale=self._retry_scale), faults=self._faults
        )
        task = asyncio.create_task(broker.run())
        stack.push_async_callback(_cancelled, task)

    def _spawn(self) -> subprocess.Popen[bytes]:
        output = None if self._log_file is None else self._log_file.open("ab")
        fd = self._listening.fileno()
        try:
            return subprocess.Popen(
                [sys.executable, "-m", "local.host", "--fd", str(fd)],
                cwd=ROOT,
                env={**os.environ, **to_environment(self.settings)},
                pass_fds=[fd],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        finally:
            if output is not None:
                output.close()

    async def _ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not await asyncio.to_thread(_answers, f"{self.url}/functions/process_webhook/_health/ready"):
            if any(process.poll() is not None for process in self._processes) or time.monotonic() > deadline:
                raise RuntimeError("a function process did not come up; its log says why")
            await asyncio.sleep(0.05)

    def _stop_hosts(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            if process.poll() is None:
                process.kill()
                process.wait()


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(2048)
    return listening


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 - our own loopback address
            return bool(reply.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, OSError):
        return False


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
