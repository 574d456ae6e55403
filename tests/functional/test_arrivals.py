"""The load generator against a server that stalls: whoever had to wait is counted, whether or not it could be sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks import arrivals
from benchmarks.arrivals import Step, poisson, send
from benchmarks.load import request
from benchmarks.load_plot import plot

REPLY = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok"
REQUEST = request("/", b"body", {})


@asynccontextmanager
async def server(*, stalls_at: int, for_s: float) -> AsyncIterator[int]:
    """Serve on a port of its own; answers nobody for a while, from a request on."""
    taken = 0
    free = asyncio.Event()
    free.set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(4)
                taken += 1
                if taken == stalls_at:
                    free.clear()
                    asyncio.get_running_loop().call_later(for_s, free.set)
                await free.wait()
                writer.write(REPLY)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield int(running.sockets[0].getsockname()[1])
    finally:
        free.set()
        running.close()


async def measured(*, stalls_at: int, for_s: float, count: int = 200, per_s: float = 400.0) -> Step:
    due_s = [nth / per_s for nth in range(count)]
    async with server(stalls_at=stalls_at, for_s=for_s) as port:
        return await send(port, [REQUEST] * count, due_s, per_s=per_s)


def test_a_stall_is_charged_for_all_that_were_due_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "CONNECTIONS", 2)
    step = asyncio.run(measured(stalls_at=50, for_s=0.25))
    waited = sum(late > 0.05 for late in step.latencies_s)
    noticed = sum(late > 0.05 for late in step.service_s)
    assert step.statuses == {202: 200}
    assert step.unanswered == 0
    assert waited >= 60, "80 were due in the last 200 ms of the stall"
    assert noticed <= 10, "a closed loop would have seen these only"


def test_nothing_is_sent_before_it_is_due() -> None:
    step = asyncio.run(measured(stalls_at=0, for_s=0, count=40, per_s=200))
    assert step.elapsed_s >= 39 / 200
    assert min(step.latencies_s) > 0
    assert step.answered_per_s == pytest.approx(200, rel=0.35)


def test_what_is_never_answered_is_given_up_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "GIVE_UP_S", 0.2)
    step = asyncio.run(measured(stalls_at=150, for_s=30))
    assert step.unanswered == 51
    assert len(step.latencies_s) == 149


def test_a_server_that_hangs_up_is_no_measurement() -> None:
    async def run() -> None:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        running = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with running:
            await send(int(running.sockets[0].getsockname()[1]), [REQUEST], [0.0], per_s=1)

    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        asyncio.run(run())


def test_the_picture_is_an_svg_that_names_what_was_measured(tmp_path: Path) -> None:
    steps = []
    for rate in (100.0, 200.0, 300.0):
        step = Step(rate, due_s=poisson(rate, 2, seed=1, most=1_000))
        step.latencies_s = [0.002 if rate < 300 else 0.5] * len(step.due_s)
        step.statuses = {202: len(step.due_s)}
        steps.append(step)
    plot({"memory": steps}, tmp_path / "new" / "load.svg")
    drawn = (tmp_path / "new" / "load.svg").read_text()
    assert drawn.startswith("<?xml")
    assert "memory, 200/s" in drawn
