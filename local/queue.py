"""The embedded broker's messages: leases, back-off, attempts and dead letters, out of one table.

Leases and acknowledgements are committed without waiting for the disk: losing one to a crash means a redelivery.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

import orjson
from sqlalchemy import Engine, TextClause, text

from local.broker import Leased
from local.push import LOCAL_PROJECT, Pushed
from local.subscriptions import Retry, Subscription
from shared.adapters.postgres.engine import database_errors

P = ParamSpec("P")
T = TypeVar("T")
THREADS: Final = 6

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
UPDATE messages SET visible_at = clock_timestamp() + make_interval(secs => CAST(:delay_s AS double precision))
WHERE seq = CAST(:seq AS bigint)
""")

FORWARD = text("""
WITH dead AS (
    DELETE FROM messages WHERE seq = CAST(:seq AS bigint) RETURNING message_id, published_at, attributes, data
)
INSERT INTO messages (subscription, message_id, attributes, data)
SELECT s.subscription, dead.message_id, dead.attributes || CAST(:source AS jsonb) || jsonb_build_object(
    'CloudPubSubDeadLetterSourceTopicPublishTime',
    to_char(dead.published_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')), dead.data
FROM (SELECT set_config('synchronous_commit', 'on', true)) AS durable, dead,
    unnest(CAST(:subscriptions AS text[])) AS s(subscription)
""")


class Queue:
    """The broker's table as a source of messages. While the database is away, every method says so."""

    def __init__(self, engine: Engine, declared: Sequence[Subscription], policy: Retry) -> None:
        """engine: of the embedded runtime's own database. policy: how soon and how often a message comes again."""
        self._engine = engine
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="queue")
        self._declared = {subscription.name: subscription for subscription in declared}
        self._policy = policy

    async def close(self) -> None:
        """Wait for the statements under way. After that the engine can be disposed of."""
        await asyncio.to_thread(self._threads.shutdown)

    async def pull(self, wanted: Mapping[str, int], *, wake: Callable[[], None]) -> list[Leased]:  # noqa: ARG002
        """Lease up to so many messages of each subscription, oldest first. A table wakes nobody."""
        return await self._in_thread(self._pull, wanted)

    async def ack(self, leased: Sequence[Leased]) -> None:
        """Forget messages."""
        await self._in_thread(self._run, ACK, {"seqs": [int(one.receipt) for one in leased]})

    async def nack(self, leased: Leased) -> None:
        """Let a message come again after its back-off, or become a dead letter after its last attempt."""
        subscription, attempt = self._declared[leased.pushed.subscription], leased.pushed.attempt
        if subscription.dead_letter_topic and attempt >= self._policy.max_delivery_attempts:
            await self._in_thread(self._forward, leased, subscription)
            return
        again = {"seq": int(leased.receipt), "delay_s": self._policy.backoff_s(attempt)}
        await self._in_thread(self._run, NACK, again)

    def depth(self) -> int:
        """Return how many messages are not acknowledged yet. Blocks.

        Raises:
            TransientError: the database is away.
        """
        with database_errors(), self._engine.connect() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM messages").scalar_one())

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args, **kwargs))

    def _pull(self, wanted: Mapping[str, int]) -> list[Leased]:
        rows = [
            {"subscription": name, "n": n, "ack_deadline_s": self._declared[name].ack_deadline_s}
            for name, n in wanted.items()
        ]
        with database_errors(), self._engine.connect() as connection:
            found = connection.execute(PULL, {"wanted": orjson.dumps(rows).decode()}).all()
        return [
            Leased(
                str(row.seq),
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

    def _forward(self, leased: Leased, subscription: Subscription) -> None:
        """Move a message to its dead-letter topic with the attributes that Pub/Sub adds, in one statement."""
        source = {
            "CloudPubSubDeadLetterSourceSubscription": subscription.name,
            "CloudPubSubDeadLetterSourceSubscriptionProject": LOCAL_PROJECT,
            "CloudPubSubDeadLetterSourceDeliveryCount": str(leased.pushed.attempt),
        }
        targets = [s.name for s in self._declared.values() if s.topic == subscription.dead_letter_topic]
        given = {
            "seq": int(leased.receipt),
            "source": orjson.dumps(source).decode(),
            "subscriptions": targets,
        }
        self._run(FORWARD, given)

    def _run(self, statement: TextClause, parameters: Mapping[str, object]) -> None:
        with database_errors(), self._engine.connect() as connection:
            connection.execute(statement, parameters)
