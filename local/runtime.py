"""Starts the pipeline on this machine and stops it again: PostgreSQL, function processes, the broker."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from prometheus_client.multiprocess import mark_process_dead

from local.broker import Broker, Faults, Source
from local.postgres import LocalPostgres
from local.push import Pusher
from local.queue import THREADS, Queue
from local.subscriptions import Retry, Subscription, retry, subscriptions
from shared.adapters.embedded.engine import build_local_engine
from shared.runtime.metrics import SHARED_FOLDER
from shared.runtime.settings import Runtime, Settings, to_environment

ROOT: Final = Path(__file__).parents[1]
START_TIMEOUT_S: Final = 60.0


class LocalRuntime:
    """The embedded runtime. Everything it starts ends with it, and its port was free when it began.

    `local/emulated.py` is the same on Google's emulators. hosts: function processes; each serves every function.
    retry_scale: shortens the declared back-off.
    """

    kind: ClassVar[Runtime] = "embedded"

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
                self.postgres.prepare, replace(self.settings, runtime=self.kind)
            )
            await self._prepare(stack)
            self.listening = stack.enter_context(listen(self._port))
            self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
            shutil.rmtree(self._counts, ignore_errors=True)
            self._counts.mkdir(parents=True)
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
        # Its connections are gone.
        mark_process_dead(self._processes[nth].pid, str(self._counts))  # type: ignore[no-untyped-call]
        self._processes[nth] = self._spawn()

    @property
    def _counts(self) -> Path:
        return self.settings.home / "metrics"

    async def _prepare(self, stack: AsyncExitStack) -> None:
        """Start what the functions need besides PostgreSQL: nothing."""

    def _environment(self) -> dict[str, str]:
        """Return the variables of a function process. All of them count together, into one folder."""
        settings = replace(self.settings, metrics=True)
        return {**os.environ, **to_environment(settings), SHARED_FOLDER: str(self._counts)}

    async def _source(self, stack: AsyncExitStack, declared: Sequence[Subscription], policy: Retry) -> Source:
        """Return where the messages come from."""
        engine = build_local_engine(replace(self.settings, pool_size=THREADS + 1))
        stack.callback(engine.dispose)
        self.queue = Queue(engine, declared, policy)
        stack.push_async_callback(self.queue.close)
        return self.queue

    async def _start_broker(self, stack: AsyncExitStack) -> None:
        declared, policy = subscriptions(), retry(scale=self._retry_scale)
        source = await self._source(stack, declared, policy)
        pusher = Pusher(self.url)
        stack.push_async_callback(pusher.close)
        self.broker = Broker(
            source,
            pusher,
            declared=declared,
            max_delivery_attempts=policy.max_delivery_attempts,
            faults=self._faults,
        )
        task = asyncio.create_task(self.broker.run())
        stack.push_async_callback(_cancelled, task)

    def _spawn(self) -> subprocess.Popen[bytes]:
        output = None if self._log_file is None else self._log_file.open("ab")
        fd = self.listening.fileno()
        try:
            return subprocess.Popen(
                [sys.executable, "-m", "local.host", "--fd", str(fd)],
                cwd=ROOT,
                env=self._environment(),
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


def listen(port: int) -> socket.socket:
    """Return a listening socket on loopback. port: 0 picks a free one."""
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
