"""The one way out of a visit's browser: tunnels that let no request be sent a second time once Submit was pressed.

Chromium sends a request again, a POST too, when a connection that it had opened before ends without a reply, or replies
408 (net/http, `HttpNetworkTransaction`, `ShouldResendRequest` and `DoReadHeadersComplete`). Nobody asked it to: if the
portal had filed the first one, the second is a double submission. It cannot be told not to. So every connection of a
visit runs through a SOCKS proxy of its own. Submit takes none that was there before: as the commit begins those at rest
are cut, and those at work take no further request. And from the commit on, the first that ends between a request and
its reply closes the gate: the others are cut, and no new one is let through. The page then fails, the outcome is
doubtful, and doubt is looked up.

With HTTP/2 a portal sends bytes that are no reply; `browser.py` disables it, so that a reply can be told from none.
"""

import asyncio
import contextlib
import ipaddress
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

CHUNK_BYTES: Final = 64 * 1024
CONNECTED_WITHIN_S: Final = 15.0
POLL_S: Final = 0.02
REST_S: Final = 0.1  # a connection over which nothing comes for so long, and nothing is asked, is at rest
QUIET_S: Final = 0.3
QUIET_WITHIN_S: Final = 2.0
# Less than any status line with its TLS record; more than the alert that says goodbye.
REPLY_BYTES: Final = 40

# RFC 1928
VERSION: Final = 5
GREETING_ACCEPTED: Final = bytes((VERSION, 0))
CONNECT: Final = 1
ADDRESS_BYTES: Final = {1: 4, 4: 16}
DOMAIN: Final = 3
SUCCEEDED: Final = bytes((VERSION, 0, 0, 1, 0, 0, 0, 0, 0, 0))
REFUSED: Final = bytes((VERSION, 2, 0, 1, 0, 0, 0, 0, 0, 0))
UNREACHABLE: Final = bytes((VERSION, 4, 0, 1, 0, 0, 0, 0, 0, 0))


@dataclass(slots=True, eq=False)
class _Tunnel:
    """One connection.

    asked: the browser has sent something since the commit. waiting: it sent something, and nothing has come since.
    answered: bytes since it last sent. moved_s: when bytes went through last. old: opened before the commit.
    """

    browser: asyncio.StreamWriter
    asked: bool = False
    waiting: bool = False
    answered: int = 0
    moved_s: float = field(default_factory=time.monotonic)
    old: bool = False

    @property
    def rests(self) -> bool:
        """Whether it waits for nothing."""
        return not self.waiting and time.monotonic() - self.moved_s >= REST_S


class Gate:
    """One visit's connections. Lives on the browser's event loop."""

    def __init__(self) -> None:
        self._tunnels: set[_Tunnel] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._committing = False
        self.is_closed = False
        self.port = 0

    async def commit_begins(self) -> None:
        """Give what follows connections of its own; from here on, one that ends without a reply is the last.

        A page that lost a connection may open others for what it loads by itself, its icon such: they are cut, too,
        until it is quiet or the time is over.
        """
        began_s = quiet_s = time.monotonic()
        while (now_s := time.monotonic()) - quiet_s < QUIET_S and now_s - began_s < QUIET_WITHIN_S:
            for tunnel in self._tunnels:
                tunnel.old = True
                if tunnel.rests:
                    tunnel.browser.transport.abort()
            if self._tunnels:
                quiet_s = time.monotonic()
            await asyncio.sleep(POLL_S)
        self._committing = True

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Gate"]:
        """Take connections on the loopback interface until the block ends; cut them all then."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self._close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._handle(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
                await self._serve(reader, writer)
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = await _asked_for(reader, writer)
        if self.is_closed:
            writer.write(REFUSED)
            await writer.drain()
            return
        try:
            async with asyncio.timeout(CONNECTED_WITHIN_S):
                portal_reader, portal_writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError):
            writer.write(UNREACHABLE)
            await writer.drain()
            return
        tunnel = _Tunnel(writer)
        self._tunnels.add(tunnel)
        try:
            writer.write(SUCCEEDED)
            await self._carry(tunnel, reader, portal_reader, portal_writer)
        finally:
            self._tunnels.discard(tunnel)
            portal_writer.close()

    async def _carry(
        self,
        tunnel: _Tunnel,
        browser: asyncio.StreamReader,
        portal: asyncio.StreamReader,
        portal_writer: asyncio.StreamWriter,
    ) -> None:
        """Carry bytes both ways until either side ends. The gate closes before the browser learns of it."""
        ways = [
            asyncio.create_task(self._ask(tunnel, browser, portal_writer)),
            asyncio.create_task(self._answer(tunnel, portal)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if self._committing and tunnel.asked and tunnel.answered < REPLY_BYTES:
                self._close()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _ask(
        self, tunnel: _Tunnel, browser: asyncio.StreamReader, portal: asyncio.StreamWriter
    ) -> None:
        while data := await browser.read(CHUNK_BYTES):
            if self.is_closed or (tunnel.old and not tunnel.waiting):
                return  # the portal never sees it; the browser sends it again, over a connection of its own
            tunnel.waiting, tunnel.moved_s = True, time.monotonic()
            tunnel.asked = tunnel.asked or self._committing
            tunnel.answered = 0
            portal.write(data)
            await portal.drain()

    async def _answer(self, tunnel: _Tunnel, portal: asyncio.StreamReader) -> None:
        while data := await portal.read(CHUNK_BYTES):
            tunnel.waiting, tunnel.moved_s = False, time.monotonic()
            tunnel.answered += len(data)
            tunnel.browser.write(data)
            await tunnel.browser.drain()

    def _close(self) -> None:
        self.is_closed = True
        for tunnel in self._tunnels:
            tunnel.browser.transport.abort()


async def _asked_for(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
    """Shake hands; return which host and port the browser wants.

    Raises:
        ValueError: it does not speak SOCKS 5, or wants something other than a connection.
    """
    version, methods = await reader.readexactly(2)
    await reader.readexactly(methods)
    writer.write(GREETING_ACCEPTED)
    asked_version, command, _, kind = await reader.readexactly(4)
    if (version, asked_version, command) != (VERSION, VERSION, CONNECT):
        raise ValueError("not a SOCKS 5 connection")
    host = await _host(reader, kind)
    (port,) = struct.unpack("!H", await reader.readexactly(2))
    return host, port


async def _host(reader: asyncio.StreamReader, kind: int) -> str:
    if kind == DOMAIN:
        (length,) = await reader.readexactly(1)
        return (await reader.readexactly(length)).decode("ascii")
    return str(ipaddress.ip_address(await reader.readexactly(ADDRESS_BYTES.get(kind, 4))))
