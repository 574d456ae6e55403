"""The embedded broker: at-least-once push with leases, back-off, attempts and dead letters, out of one table.

On request it delays, duplicates, reorders and drops acknowledgements, as a real one does on a bad day.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy import Engine, text

from local.push import Pushed, Pusher
from local.subscriptions import Retry, Subscription
from shared.adapters.postgres.engine import database_errors
from shared.runtime.batcher import Batcher
from shared.runtime.errors import TransientError

POLL_S: Final = 0.01
OUTAGE_POLL_S: Final = 0.25

PULL = text("""
WITH next AS (
    SELECT m.seq, s.ack_deadline_s
    FROM jsonb_to_recordset(CAST(:wanted AS jsonb)) AS s(subscription text, n integer, ack_deadline_s integer),
    LATERAL (
        SELECT seq FROM messages
        WHERE subscription = s.subscription AND visible_at <= clock_timestamp()
        ORDER BY visible_at LIMIT s.n FOR UPDATE SKIP LOCKED
    ) m
)
UPDATE messages m SET
    attempt = m.attempt + 1, visible_at = clock_timestamp() + make_interval(secs => next.ack_deadline_s)
FROM next WHERE m.seq = next.seq
RETURNING m.seq, m.subscription, m.message_id, m.published_at, m.attempt, m.attributes, m.data
""")

ACK = text("DELETE FROM messages WHERE seq = ANY(CAST(:seqs AS bigint[]))")

NACK = text("""
UPDATE messages m SET visible_at = clock_timestamp() + make_interval(secs => r.delay_s)
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(seq bigint, delay_s double precision)
WHERE m.seq = r.seq
""")

FORWARD = text("""
WITH dead AS (
    DELETE FROM messages WHERE seq = CAST(:seq AS bigint) RETURNING message_id, published_at, attributes, data
)
INSERT INTO messages (subscription, message_id, attributes, data)
SELECT s.subscription, dead.message_id, dead.attributes || CAST(:source AS jsonb) ||
    jsonb_build_object('CloudPubSubDeadLetterSourceTopicPublishTime', dead.published_at), dead.data
FROM dead, unnest(CAST(:subscriptions AS text[])) AS s(subscription)
""")


@dataclass(frozen=True, slots=True)
class Faults:
    """How the broker misbehaves: each a share of deliveries, 0 to 1. delay_s: of those that are delayed, at most."""

    duplicate: float = 0.0
    reorder: float = 0.0
    drop_ack: float = 0.0
    delay: float = 0.0
    delay_s: float = 0.5
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Leased:
    """A message that is ours until its acknowledgement deadline."""

    seq: int
    pushed: Pushed


class Queue:
    """The broker's table. Blocks: call it from a thread.

    Leases and acknowledgements are committed without waiting for the disk: losing one to a crash means a redelivery.
    """

    def __init__(self, engine: Engine, declared: Sequence[Subscription]) -> None:
        """engine: of the embedded runtime's own database."""
        self._engine = engine
        self._declared = {subscription.name: subscription for subscription in declared}

    def pull(self, wanted: Mapping[str, int]) -> list[Leased]:
        """Lease up to so many messages of each subscription, oldest first.

        Raises:
            TransientError: the database is away.
        """
        rows = [
            {"subscription": name, "n": n, "ack_deadline_s": self._declared[name].ack_deadline_s}
            for name, n in wanted.items()
        ]
        with database_errors(), self._engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            found = connection.execute(PULL, {"wanted": orjson.dumps(rows).decode()}).all()
        return [
            Leased(
                row.seq,
                Pushed(
                    row.subscription,
                    row.message_id,
                    row.published_at,
                    row.attempt,
                    row.attributes,
                    bytes(row.data),
                ),
            )
            for row in sorted(found, key=lambda row: int(row.seq))
        ]

    def ack(self, seqs: Sequence[int]) -> None:
        """Forget messages.

        Raises:
            TransientError: the database is away; they will come again.
        """
        with database_errors(), self._engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            connection.execute(ACK, {"seqs": list(seqs)})

    def nack(self, delays_s: Mapping[int, float]) -> None:
        """Let messages come again after their delays.

        Raises:
            TransientError: the database is away; they come again when their lease ends.
        """
        rows = [{"seq": seq, "delay_s": delay_s} for seq, delay_s in delays_s.items()]
        with database_errors(), self._engine.begin() as connection:
            connection.execute(NACK, {"rows": orjson.dumps(rows).decode()})

    def forward(self, leased: Leased, subscription: Subscription) -> None:
        """Move a message to its dead-letter topic, with the attributes that Pub/Sub adds, in one transaction.

        Raises:
            TransientError: the database is away; the message stays where it is.
        """
        source = {
            "CloudPubSubDeadLetterSourceSubscription": f"projects/local/subscriptions/{subscription.name}",
            "CloudPubSubDeadLetterSourceSubscriptionProject": "local",
            "CloudPubSubDeadLetterSourceDeliveryCount": str(leased.pushed.attempt),
        }
        targets = [s.name for s in self._declared.values() if s.topic == subscription.dead_letter_topic]
        with database_errors(), self._engine.begin() as connection:
            connection.execute(
                FORWARD,
                {"seq": leased.seq, "source": orjson.dumps(source).decode(), "subscriptions": targets},
            )

    def depth(self) -> int:
        """Return how many messages are not acknowledged yet.

        Raises:
            TransientError: the database is away.
        """
        with database_errors(), self._engine.begin() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM messages").scalar_one())


class Broker:
    """Pushes messages to functions until it is cancelled."""

    def __init__(
        self,
        queue: Queue,
        pusher: Pusher,
        *,
        declared: Sequence[Subscription],
        policy: Retry,
        faults: Faults | None = None,
        max_in_flight: int = 24,
    ) -> None:
        """max_in_flight: pushes under way for one subscription."""
        self._queue = queue
        self._pusher = pusher
        self._declared = {subscription.name: subscription for subscription in declared}
        self._policy = policy
        self._faults = faults or Faults()
        self._random = random.Random(self._faults.seed)  # noqa: S311 - faults, not secrets
        self._max_in_flight = max_in_flight
        self._in_flight = dict.fromkeys(self._declared, 0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._acks: Batcher[int, None] = Batcher(self._ack_all)

    async def run(self) -> None:
        """Pull and push for ever. While the database is away, it waits for it."""
        while True:
            wanted = {
                name: self._max_in_flight - n
                for name, n in self._in_flight.items()
                if n < self._max_in_flight
            }
            try:
                leased = await asyncio.to_thread(self._queue.pull, wanted) if wanted else []
            except TransientError:
                await asyncio.sleep(OUTAGE_POLL_S)
                continue
            for message in self._misordered(leased):
                self._start(message)
            await self._pause(busy=bool(leased))

    async def _pause(self, *, busy: bool) -> None:
        """Wait for new messages; when there were some, only until one of them is done."""
        self._room.clear()
        try:
            async with asyncio.timeout(POLL_S if not busy else POLL_S / 2):
                await self._room.wait()
        except TimeoutError:
            pass

    def _misordered(self, leased: list[Leased]) -> list[Leased]:
        if self._faults.reorder and self._random.random() < self._faults.reorder:
            self._random.shuffle(leased)
        twice = [message for message in leased if self._random.random() < self._faults.duplicate]
        return leased + twice

    def _start(self, leased: Leased) -> None:
        self._in_flight[leased.pushed.subscription] += 1
        task = asyncio.create_task(self._deliver(leased))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, leased: Leased) -> None:
        subscription = self._declared[leased.pushed.subscription]
        try:
            if self._random.random() < self._faults.delay:
                await asyncio.sleep(self._random.random() * self._faults.delay_s)
            acknowledged = await self._pusher.post(
                subscription.function, leased.pushed, timeout_s=subscription.ack_deadline_s
            )
            await self._conclude(leased, subscription, acknowledged=acknowledged)
        except TransientError:
            pass  # the database is away: the lease ends, and the message comes again
        finally:
            self._in_flight[leased.pushed.subscription] -= 1
            self._room.set()

    async def _conclude(self, leased: Leased, subscription: Subscription, *, acknowledged: bool) -> None:
        attempt = leased.pushed.attempt
        if acknowledged and self._random.random() < self._faults.drop_ack:
            await asyncio.to_thread(self._queue.nack, {leased.seq: self._policy.backoff_s(attempt)})
        elif acknowledged:
            await self._acks.submit(leased.seq)
        elif subscription.dead_letter_topic and attempt >= self._policy.max_delivery_attempts:
            await asyncio.to_thread(self._queue.forward, leased, subscription)
        else:
            await asyncio.to_thread(self._queue.nack, {leased.seq: self._policy.backoff_s(attempt)})

    async def _ack_all(self, seqs: Sequence[int]) -> Sequence[None | Exception]:
        await asyncio.to_thread(self._queue.ack, seqs)
        return [None] * len(seqs)
