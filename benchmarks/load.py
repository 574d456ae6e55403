"""A load generator that costs the measured machine little: keep-alive connections, requests built before the clock.

It only ever talks to loopback, and is bounded by the list of requests it is given.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast


@dataclass(slots=True)
class Measured:
    """One run. latencies_s: by request, in the order of their replies. statuses: how often each came."""

    elapsed_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def per_s(self) -> float:
        """Replies a second."""
        return len(self.latencies_s) / self.elapsed_s if self.elapsed_s else 0.0


def request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return the bytes of one POST."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


class _Caller(asyncio.Protocol):
    """One connection: sends the next request as soon as the reply to the last is whole, or when it is due."""

    def __init__(self, requests: Iterator[bytes], measured: Measured, done: asyncio.Event) -> None:
        self._requests = requests
        self._measured = measured
        self._done = done
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it
        self._next()

    def _next(self) -> None:
        wanted = next(self._requests, None)
        if wanted is None:
            self._transport.close()
            self._done.set()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(wanted)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found or len(rest) < reply_length(head):
            return
        self._buffer = b""
        self._measured.latencies_s.append(time.perf_counter() - self._sent_at)
        status = int(head[9:12])
        self._measured.statuses[status] = self._measured.statuses.get(status, 0) + 1
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever the reason
        self._done.set()


def reply_length(head: bytes) -> int:
    """Return how many bytes a reply has below its head."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def closed_loop(port: int, requests: Sequence[bytes], *, concurrency: int) -> Measured:
    """Send all requests over so many connections, each waiting for its reply before the next."""
    measured = Measured()
    shared = iter(requests)
    loop = asyncio.get_running_loop()
    finished = [asyncio.Event() for _ in range(concurrency)]
    started = time.perf_counter()
    for done in finished:
        await loop.create_connection(partial(_Caller, shared, measured, done), "127.0.0.1", port)
    await asyncio.gather(*(done.wait() for done in finished))
    measured.elapsed_s = time.perf_counter() - started
    return measured


async def open_loop(port: int, requests: Sequence[bytes], *, per_s: float, connections: int = 64) -> Measured:
    """Send requests at a steady rate, whether or not replies keep up.

    Latency counts from when a request was due: a server that stalls is charged for everyone it kept waiting.
    """
    measured = Measured()
    due: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()
    started = time.perf_counter()
    callers = [asyncio.create_task(_answer_due(port, due, measured)) for _ in range(connections)]
    for nth, wanted in enumerate(requests):
        at = started + nth / per_s
        if (wait := at - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        due.put_nowait((at, wanted))
    for _ in callers:
        due.put_nowait(None)
    await asyncio.gather(*callers)
    measured.elapsed_s = time.perf_counter() - started
    return measured


async def _answer_due(
    port: int, due: "asyncio.Queue[tuple[float, bytes] | None]", measured: Measured
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (item := await due.get()) is not None:
        at, wanted = item
        writer.write(wanted)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(reply_length(head))
        measured.latencies_s.append(time.perf_counter() - at)
        status = int(head[9:12])
        measured.statuses[status] = measured.statuses.get(status, 0) + 1
    writer.close()
    await writer.wait_closed()
