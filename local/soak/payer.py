"""Sends as a payer does: the same id again, with back-off, until somebody says yes or no."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

import aiohttp

from local.sample_month import SampleDelivery
from local.soak.world import Senders, secret_of
from shared.runtime.signatures import sign

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 2.0
REPLY_TIMEOUT_S: Final = 20.0
STALE: Final = timedelta(hours=1)
NO_REPLY: Final = 0


class GaveUpError(RuntimeError):
    """A sender had no final answer in time: the pipeline is down, or refuses what it should take."""


@dataclass(slots=True)
class Sent:
    """One delivery and every answer to it, the last one final. `NO_REPLY` is a connection that broke off."""

    delivery: SampleDelivery
    statuses: list[int] = field(default_factory=list)
    event_id: str = ""

    @property
    def taken(self) -> bool:
        """Whether it was answered with a promise."""
        return bool(self.statuses) and self.statuses[-1] in (200, 202)


class Progress:
    """How far the sending is. sent: what had its final answer, in that order."""

    def __init__(self, total: int) -> None:
        self.sent: list[Sent] = []
        self._total = total
        self._moved = asyncio.Event()

    def add(self, sent: Sent) -> None:
        """Note one more."""
        self.sent.append(sent)
        self._moved.set()

    async def reaches(self, share: float) -> None:
        """Return once that share, 0 to 1, had its final answer."""
        while len(self.sent) < share * self._total:
            self._moved.clear()
            await self._moved.wait()


class Payers:
    """All senders of a soak, over kept-alive connections."""

    def __init__(self, url: str, senders: Senders, *, patience_s: float = 240.0, seed: int = 0) -> None:
        """patience_s: how long a delivery is tried."""
        self._senders = senders
        self._patience_s = patience_s
        self._random = Random(seed)  # noqa: S311 - jitter
        self._session = aiohttp.ClientSession(
            url,
            connector=aiohttp.TCPConnector(limit=64, keepalive_timeout=4),
            timeout=aiohttp.ClientTimeout(total=REPLY_TIMEOUT_S),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def send(self, delivery: SampleDelivery) -> Sent:
        """Return once there is a final answer: any 2xx, or a 4xx that asks for no retry.

        Raises:
            GaveUpError: there was none in time.
        """
        sent, wait_s = Sent(delivery), FIRST_WAIT_S
        deadline = asyncio.get_running_loop().time() + self._patience_s
        while not await self._try(sent):
            if asyncio.get_running_loop().time() > deadline:
                raise GaveUpError(f"{delivery.delivery_id}: {sent.statuses[-5:]}")
            await asyncio.sleep(wait_s * self._random.uniform(0.5, 1.0))
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)
        return sent

    async def _try(self, sent: Sent) -> bool:
        delivery = sent.delivery
        connection = self._senders[delivery.practice, delivery.provider]
        secret = secret_of("wrong" if delivery.signature == "wrong" else connection.secret_name)
        at = datetime.now(UTC) - (STALE if delivery.signature == "stale" else timedelta(0))
        signed = sign(connection.scheme, delivery.delivery_id, delivery.body, secret, at)
        try:
            async with self._session.post(
                f"/v1/webhooks/{connection.provider}/{connection.id}",
                data=delivery.body,
                headers={**signed, "Content-Type": delivery.content_type},
            ) as answer:
                said = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            sent.statuses.append(NO_REPLY)
            return False
        sent.statuses.append(answer.status)
        sent.event_id = said.get("event_id", "")
        return answer.status < 500 and answer.status != 429  # noqa: PLR2004 - the sender's side of RFC 9110
