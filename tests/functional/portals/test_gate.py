"""Chromium repeats a POST when a used connection ends without a reply, or says 408; through the gate it does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from shared.portals.browser import BrowserHost
from shared.portals.gate import Gate

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

PAGE = b"<!doctype html><button onclick=\"fetch('/submit', {method: 'POST', body: 'x'})\">Submit</button>"
GONE_AGAIN_S = 1.0  # long enough for another request to come


TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Forgetful:
    """A server that files what is posted, and drops the connection instead of saying so. answer: what it says first."""

    answer: bytes = b""
    filed: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            length = 0
            while (header := await reader.readline()).strip():
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            await reader.readexactly(length)
            if line.startswith(b"POST"):
                self.filed += 1
                writer.write(self.answer)
                await writer.drain()
                break
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE
            )
            await writer.drain()
        writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Forgetful"]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


async def press(context: "BrowserContext", port: int, gate: Gate | None) -> None:
    page = await context.new_page()
    await page.goto(f"http://127.0.0.1:{port}/")
    if gate is not None:
        await gate.commit_begins()
    await page.get_by_role("button", name="Submit").click()
    await asyncio.sleep(GONE_AGAIN_S)


async def filed_through_the_gate(host: BrowserHost, answer: bytes) -> tuple[int, bool]:
    async with (
        Forgetful(answer).running() as server,
        Gate().listening() as gate,
        host.context(proxy_port=gate.port) as context,
    ):
        await press(context, server.port, gate)
        return server.filed, gate.is_closed


async def filed_without(host: BrowserHost, answer: bytes) -> int:
    async with Forgetful(answer).running() as server, host.context() as context:
        await press(context, server.port, None)
        return server.filed


@pytest.mark.parametrize(("answer", "closed"), [(b"", True), (TIMED_OUT, False)], ids=["none", "408"])
def test_chromium_alone_files_twice_and_through_the_gate_once(
    host: BrowserHost, answer: bytes, *, closed: bool
) -> None:
    assert host.run(filed_without(host, answer), timeout_s=30) > 1
    assert host.run(filed_through_the_gate(host, answer), timeout_s=30) == (1, closed)


async def carried(answer: bytes, *, committing: bool) -> tuple[bytes, bool, bool]:
    """Ask through the gate and return the answer, whether the gate closed, and whether it takes another."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Gate().listening() as gate:
        if committing:
            await gate.commit_begins()
        got = await asked(gate.port, port)
        closed = gate.is_closed
        again = await asked(gate.port, port)
    server.close()
    return got, closed, bool(again)


async def asked(gate_port: int, port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", gate_port)
    writer.write(b"\x05\x01\x00" + b"\x05\x01\x00\x03\x09127.0.0.1" + port.to_bytes(2, "big"))
    head = await reader.readexactly(12)
    if head[3] != 0:
        writer.close()
        return b""
    writer.write(b"ping")
    got = b""
    try:
        got = await reader.read()
    except ConnectionError:
        got = b""
    writer.close()
    return got


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("committing", "answer", "closed"),
    [
        pytest.param(False, ANSWER, False, id="before the commit, a reply"),
        pytest.param(False, b"", False, id="before the commit, no reply: the browser may ask again"),
        pytest.param(True, ANSWER, False, id="after the commit, a reply"),
        pytest.param(True, b"", True, id="after the commit, no reply"),
        pytest.param(
            True, b"\x15\x03\x03\x00\x13" + b"x" * 19, True, id="after the commit, only a TLS goodbye"
        ),
    ],
)
async def test_only_a_connection_that_ends_unanswered_after_the_commit_closes_the_gate(
    *, committing: bool, answer: bytes, closed: bool
) -> None:
    got, is_closed, again = await carried(answer, committing=committing)
    assert is_closed == closed
    assert again == (bool(answer) and not closed)
    assert closed or got == answer


@dataclass
class Counting:
    """A server that answers every four bytes after a while, and counts them and its connections."""

    slow_s: float = 0.0
    connections: int = 0
    asked: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while await reader.readexactly(4):
                self.asked += 1
                await asyncio.sleep(self.slow_s)
                writer.write(ANSWER)
        writer.close()


async def tunnel(gate_port: int, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gate_port)
    writer.write(b"\x05\x01\x00" + b"\x05\x01\x00\x03\x09127.0.0.1" + port.to_bytes(2, "big"))
    await reader.readexactly(12)
    return reader, writer


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), 5) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("at", ["at rest", "never used", "at work"])
async def test_after_the_commit_no_request_goes_over_a_connection_that_was_there_before(at: str) -> None:
    counting = Counting(slow_s=3.0 if at == "at work" else 0.0)
    server = await asyncio.start_server(counting.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Gate().listening() as gate:
        reader, writer = await tunnel(gate.port, port)
        before = 0 if at == "never used" else 1
        if before:
            writer.write(b"ping")
        if at == "at rest":
            await reader.readexactly(len(ANSWER))
        await asyncio.sleep(0.1)
        await gate.commit_begins()
        if at == "at work":  # what was asked before is still answered
            assert await reader.readexactly(len(ANSWER)) == ANSWER
            writer.write(b"post")
        assert await ended(reader)
        assert (counting.asked, gate.is_closed) == (before, False)
        again, fresh = await tunnel(gate.port, port)
        fresh.write(b"post")
        assert await again.readexactly(len(ANSWER)) == ANSWER
        assert (counting.asked, counting.connections) == (before + 1, 2)
        writer.close()
        fresh.close()
    server.close()
