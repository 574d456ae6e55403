"""One Chromium a process, on a thread of its own; a fresh context for each visit.

Playwright's asynchronous API behind a blocking one: its objects belong to one event loop, and a subscriber handles
messages on several threads. With its synchronous API each thread would need a browser of its own.

The browser is replaced after so many contexts, once the last of them is closed, since Chromium grows.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from shared.portals.chromium import find_chromium
from shared.runtime.errors import TransientError

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Playwright, ViewportSize

T = TypeVar("T")

CONTEXTS_PER_BROWSER: Final = 50
LAUNCHED_WITHIN_S: Final = 30.0
ENDED_WITHIN_S: Final = 10.0
ARGUMENTS: Final = (
    "--disable-dev-shm-usage",  # a container's /dev/shm holds 64 MB
    "--disable-gpu",
    "--disable-http2",  # gate.py must tell a reply from none
    "--disable-quic",
    "--disable-background-networking",  # it calls nobody but the portal
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    "--disable-extensions",
)
VIEWPORT: "Final[ViewportSize]" = {"width": 1280, "height": 900}


@dataclass(slots=True)
class _Running:
    """One browser. opened: contexts in its life; open: now."""

    browser: "Browser"
    opened: int = 0
    open: int = 0
    retired: bool = False


class BrowserHost:
    """Starts when first used. Safe under threads; close it once, at the end."""

    def __init__(self, executable: str = "", *, contexts_per_browser: int = CONTEXTS_PER_BROWSER) -> None:
        """executable: the Chromium to run; empty looks for one."""
        self._executable = executable
        self._limit = contexts_per_browser
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting: asyncio.Lock | None = None
        self._playwright: Playwright | None = None
        self._current: _Running | None = None
        self.launches = 0

    def run(self, work: Coroutine[Any, Any, T], *, timeout_s: float) -> T:
        """Return what a coroutine of the browser's thread returns.

        Raises:
            TransientError: `timeout`; the browser hangs. What the coroutine raises passes through.
        """
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._running_loop())
        try:
            return future.result(timeout_s)
        except FutureTimeoutError as exc:
            if future.done() and not future.cancelled():
                raise
            future.cancel()
            raise TransientError("timeout", "the browser did not answer") from exc

    @asynccontextmanager
    async def context(self, *, proxy_port: int | None = None) -> "AsyncIterator[BrowserContext]":
        """Open a context, and close it with the block. proxy_port: of the SOCKS proxy that is its way out.

        Raises:
            TransientError: `browser_unavailable`.
        """
        from playwright.async_api import Error

        running = await self._browser()
        running.open += 1
        running.opened += 1
        try:
            context = await _new_context(running.browser, proxy_port)
            try:
                yield context
            finally:
                with contextlib.suppress(Error):
                    await context.close()
        finally:
            running.open -= 1
            await self._retire(running)

    def close(self) -> None:
        """End the browser and its thread. Idempotent; another use begins anew."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        with contextlib.suppress(FutureTimeoutError):
            asyncio.run_coroutine_threadsafe(self._end(), loop).result(ENDED_WITHIN_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(ENDED_WITHIN_S)
        if not thread.is_alive():
            loop.close()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="browser", daemon=True)
                self._thread.start()
                self._starting = None
            return self._loop

    async def _browser(self) -> _Running:
        if self._starting is None:
            self._starting = asyncio.Lock()
        async with self._starting:
            current = self._current
            if current is not None and current.browser.is_connected() and current.opened < self._limit:
                return current
            self._current = _Running(await self._launch())
        if current is not None:
            current.retired = True
            await self._retire(current)
        return self._current

    async def _launch(self) -> "Browser":
        from playwright.async_api import Error, async_playwright

        executable = self._executable or find_chromium()
        if executable is None:
            raise TransientError("browser_unavailable", "no Chromium on this machine")
        try:
            if self._playwright is None:
                self._playwright = await async_playwright().start()
            browser = await self._playwright.chromium.launch(
                executable_path=executable,
                args=list(ARGUMENTS),
                chromium_sandbox=os.geteuid() != 0,  # Chromium refuses to run as root with its sandbox
                timeout=LAUNCHED_WITHIN_S * 1000,
            )
        except (Error, OSError) as exc:
            raise TransientError("browser_unavailable", "Chromium did not start") from exc
        self.launches += 1
        return browser

    async def _retire(self, running: _Running) -> None:
        """Close a browser whose successor has started, with its last context."""
        from playwright.async_api import Error

        if running.retired and running.open == 0:
            running.retired = False
            with contextlib.suppress(Error):
                await running.browser.close()

    async def _end(self) -> None:
        from playwright.async_api import Error

        current, playwright = self._current, self._playwright
        self._current = self._playwright = None
        if current is not None:
            with contextlib.suppress(Error):
                await current.browser.close()
        if playwright is not None:
            await playwright.stop()


async def _new_context(browser: "Browser", proxy_port: int | None) -> "BrowserContext":
    from playwright.async_api import Error

    try:
        return await browser.new_context(
            viewport=VIEWPORT,
            locale="en-US",
            accept_downloads=False,
            reduced_motion="reduce",
            proxy={"server": f"socks5://127.0.0.1:{proxy_port}"} if proxy_port else None,
        )
    except Error as exc:
        raise TransientError("browser_unavailable", "no context") from exc
