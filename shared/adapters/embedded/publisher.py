"""`Publisher` into the embedded broker's table. Messages that arrive together are committed together."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import orjson
from sqlalchemy import Engine, text

from shared.adapters.message_rules import check_message
from shared.adapters.postgres.engine import database_errors
from shared.domain.events import Message
from shared.runtime.batcher import Batcher
from shared.runtime.errors import TransientError

TOPICS = Path(__file__).parents[3] / "schemas" / "topics.json"

PUBLISH = text("""
INSERT INTO messages (subscription, message_id, attributes, data)
SELECT r.subscription, r.message_id, r.attributes, d.data
FROM (SELECT set_config('synchronous_commit', 'on', true)) AS durable, jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    subscription text, message_id text, attributes jsonb, nth bigint)
JOIN unnest(CAST(:data AS bytea[])) WITH ORDINALITY AS d(data, nth) USING (nth)
""")


class EmbeddedPublisher:
    """Publishes by commit: the transaction that inserts the messages has reached the disk when `publish` returns."""

    def __init__(self, engine: Engine) -> None:
        """engine: of the embedded runtime's own database."""
        self._engine = engine
        self._subscriptions = {
            topic: tuple(declared["subscriptions"])
            for topic, declared in json.loads(TOPICS.read_text())["topics"].items()
        }
        self._batcher: Batcher[Message, None] = Batcher(self._publish_all)

    async def publish(self, messages: Sequence[Message], *, timeout_s: float) -> None:
        """Return once every message is on disk, for each subscription of its topic."""
        for message in messages:
            check_message(message)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(self._batcher.submit(message) for message in messages))
        except TimeoutError as exc:
            raise TransientError("timeout", "broker") from exc

    async def ready(self) -> None:
        """Return if the database answers."""
        await asyncio.to_thread(self._ping)

    async def _publish_all(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        await asyncio.to_thread(self.publish_now, messages)
        return [None] * len(messages)

    def publish_now(self, messages: Sequence[Message]) -> None:
        """Publish from a thread, in one transaction.

        Raises:
            TransientError: the database is away or busy.
        """
        rows: list[Mapping[str, object]] = []
        data: list[bytes] = []
        for message in messages:
            message_id = uuid4().hex
            for subscription in self._subscriptions[message.topic]:
                rows.append(
                    {
                        "subscription": subscription,
                        "message_id": message_id,
                        "attributes": dict(message.attributes),
                        "nth": len(rows) + 1,
                    }
                )
                data.append(message.data)
        if rows:
            with database_errors(), self._engine.connect() as connection:
                connection.execute(PUBLISH, {"rows": orjson.dumps(rows).decode(), "data": data})

    def _ping(self) -> None:
        with database_errors(), self._engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
