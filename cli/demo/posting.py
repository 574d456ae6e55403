"""Posts deliveries the way their senders would: signed, concurrently, a day after the other."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import aiohttp

from cli.connections import new_secret
from cli.demo.senders import Senders
from local.sample_month import SampleDelivery
from shared.runtime.signatures import sign

AT_ONCE: Final = 16
TIMEOUT_S: Final = 30
STALE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Reply:
    """What ingress answered. code: `accepted`, `duplicate`, or why it refused."""

    delivery: SampleDelivery
    status: int
    code: str
    event_id: str
    ms: float


@dataclass(frozen=True, slots=True)
class Poster:
    """Posts over kept-alive connections. settled: returns once all that was accepted is dealt with."""

    url: str
    senders: Senders
    settled: Callable[[], Awaitable[None]]
    posted: Callable[[Reply], None]

    async def play(self, deliveries: Sequence[SampleDelivery]) -> list[Reply]:
        """Return the replies in the order of the deliveries. What must wait for another to be done with, waits."""
        replies: list[Reply] = []
        connector = aiohttp.TCPConnector(limit=AT_ONCE)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(self.url, connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(_warmed_up(session) for _ in range(AT_ONCE)))
            for together in waves(deliveries):
                replies += await asyncio.gather(*(self._post(session, delivery) for delivery in together))
                await self.settled()
        return replies

    async def _post(self, session: aiohttp.ClientSession, delivery: SampleDelivery) -> Reply:
        sender = self.senders[delivery.practice, delivery.provider]
        headers = {**self._signature(delivery), "Content-Type": delivery.content_type}
        started = time.perf_counter()
        async with session.post(sender.path, data=delivery.body, headers=headers) as answer:
            reply = await answer.json(content_type=None)
        reply_ms = (time.perf_counter() - started) * 1000
        code = reply.get("code") or reply["status"]
        done = Reply(delivery, answer.status, code, reply.get("event_id", ""), reply_ms)
        self.posted(done)
        return done

    def _signature(self, delivery: SampleDelivery) -> dict[str, str]:
        sender = self.senders[delivery.practice, delivery.provider]
        secret = new_secret() if delivery.signature == "wrong" else sender.secret
        now = datetime.now(UTC) - (STALE if delivery.signature == "stale" else timedelta(0))
        return {
            **sign(sender.scheme, delivery.delivery_id, delivery.body, secret, now),
            "traceparent": f"00-{uuid4().hex}-{uuid4().hex[:16]}-01",
        }


async def _warmed_up(session: aiohttp.ClientSession) -> None:
    """Have a function process open its connections: what is timed afterwards is no cold start."""
    async with session.get("/_health/ready") as answer:
        await answer.read()


def waves(deliveries: Iterable[SampleDelivery]) -> Iterator[list[SampleDelivery]]:
    """Yield what may be sent together: of one day, and no delivery id twice. Pure."""
    wave: list[SampleDelivery] = []
    ids: set[tuple[str, str, str]] = set()
    for delivery in deliveries:
        identity = (delivery.practice, delivery.provider, delivery.delivery_id)
        if wave and (delivery.at.date() != wave[-1].at.date() or identity in ids):
            yield wave
            wave, ids = [], set()
        wave.append(delivery)
        ids.add(identity)
    if wave:
        yield wave
