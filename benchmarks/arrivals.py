"""An open loop: requests are sent when they are due, whether or not earlier ones were answered. Loopback only.

A closed loop slows down with what it measures and so leaves out the waiting that it causes (coordinated omission).
Here each latency counts from the moment that the request was due: one that found all connections taken has waited.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.load import reply_length

CONNECTIONS = 256
GIVE_UP_S = 5.0  # after the last request was due


@dataclass(slots=True)
class Step:
    """What came of one rate. due_s: of each answered request, from the start, in the order of their replies.

    latencies_s: from due to answered; service_s: from sent to answered. unanswered: given up on.
    """

    asked_per_s: float
    due_s: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    service_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    unanswered: int = 0
    elapsed_s: float = 0.0

    @property
    def answered_per_s(self) -> float:
        """Replies a second, until the last one."""
        return len(self.latencies_s) / self.elapsed_s if self.elapsed_s else 0.0


def poisson(per_s: float, duration_s: float, *, seed: int, most: int) -> list[float]:
    """Return when requests are due, in seconds from the start: at random, as independent senders do.

    most: of them, whatever the rate.
    """
    return list(_arrivals(random.Random(seed), per_s, duration_s, most))


def _arrivals(chance: random.Random, per_s: float, duration_s: float, most: int) -> Iterator[float]:
    at_s = chance.expovariate(per_s)
    for _ in range(most):
        if at_s >= duration_s:
            return
        yield at_s
        at_s += chance.expovariate(per_s)


async def send(port: int, requests: Sequence[bytes], due_s: Sequence[float], *, per_s: float) -> Step:
    """Send each request when it is due, over as many connections as there are, the longest due first.

    Raises:
        ConnectionError, EOFError: the server closed a connection.
    """
    step = Step(per_s)
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    opened = [
        await asyncio.open_connection("127.0.0.1", port) for _ in range(min(CONNECTIONS, len(requests)))
    ]
    started = time.perf_counter()
    callers = [asyncio.create_task(_call(port, *pair, waiting, step, started)) for pair in opened]
    try:
        for at_s, request in zip(due_s, requests, strict=True):
            if (wait := started + at_s - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            waiting.put_nowait((at_s, request))
        await _answered(waiting, callers)
    finally:
        step.unanswered = len(requests) - len(step.latencies_s)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    return step


async def _answered(
    waiting: "asyncio.Queue[tuple[float, bytes]]", callers: "Sequence[asyncio.Task[None]]"
) -> None:
    """Return once everything was answered, or it has taken too long."""
    everything = asyncio.create_task(waiting.join())
    done, _ = await asyncio.wait(
        {everything, *callers}, timeout=GIVE_UP_S, return_when=asyncio.FIRST_COMPLETED
    )
    everything.cancel()
    for task in done - {everything}:
        task.result()  # a caller ends with an error only


async def _call(
    port: int,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    waiting: "asyncio.Queue[tuple[float, bytes]]",
    step: Step,
    started: float,
) -> None:
    try:
        while True:
            at_s, request = await waiting.get()
            if reader.at_eof():  # it was idle for longer than the server keeps one
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await _answer(reader, writer, request, at_s, step, started)
            waiting.task_done()
    finally:
        writer.close()


async def _answer(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: bytes,
    at_s: float,
    step: Step,
    started: float,
) -> None:
    sent = time.perf_counter()
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(reply_length(head))
    answered = time.perf_counter()
    step.due_s.append(at_s)
    step.latencies_s.append(answered - started - at_s)
    step.service_s.append(answered - sent)
    step.elapsed_s = answered - started
    status = int(head[9:12])
    step.statuses[status] = step.statuses.get(status, 0) + 1
