"""`NotificationLog` in PostgreSQL."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from shared.adapters.postgres.engine import database_errors
from shared.adapters.postgres.record import tenant
from shared.ports.notification_log import NotificationOutcome
from shared.ports.notifier import Channel
from shared.runtime.errors import ErrorCode, PoisonError

LONGEST_TURN_S: Final = 30

CHANNELS = text("SELECT channels FROM customers WHERE id = CAST(:customer_id AS uuid)")
DONE = text("SELECT channel_id FROM notifications WHERE id = CAST(:id AS uuid)")
LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:channel_id, hashtextextended(:id, 0)))")
IS_DONE = text("SELECT 1 FROM notifications WHERE id = CAST(:id AS uuid) AND channel_id = :channel_id")
RECORD = text("""
INSERT INTO notifications (id, channel_id, customer_id, outcome, code)
VALUES (CAST(:id AS uuid), :channel_id, CAST(:customer_id AS uuid), :outcome, :code)
ON CONFLICT (id, channel_id) DO NOTHING
""")


@dataclass(frozen=True, slots=True)
class PostgresTurn:
    """A turn within the transaction that holds its lock."""

    connection: Connection
    key: Mapping[str, str]

    def record(self, outcome: NotificationOutcome, code: ErrorCode | None = None) -> None:
        """Keep the channel's outcome; it is committed when the turn ends."""
        self.connection.execute(RECORD, {**self.key, "outcome": outcome, "code": code or ""})


class PostgresNotificationLog:
    """One row a channel that is done with."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_app`."""
        self._engine = engine

    def undelivered(self, customer_id: UUID, notification_id: UUID) -> Sequence[Channel]:
        """Return the customer's channels without an outcome for this notification, in the customer's order."""
        with database_errors(), tenant(self._engine, customer_id) as connection:
            channels = connection.execute(CHANNELS, {"customer_id": str(customer_id)}).scalar_one_or_none()
            if channels is None:
                raise PoisonError("unknown_customer", f"no customer {customer_id}")
            done = set(connection.execute(DONE, {"id": str(notification_id)}).scalars())
        return [Channel(**channel) for channel in channels if channel["id"] not in done]

    @contextmanager
    def turn(
        self, customer_id: UUID, notification_id: UUID, channel_id: str
    ) -> Iterator[PostgresTurn | None]:
        """Wait for whoever is telling the channel, then have the turn; None if an outcome was recorded meanwhile.

        The turn is a transaction-level lock: it ends with its transaction, and a process that dies takes it along.
        """
        key = {"id": str(notification_id), "channel_id": channel_id, "customer_id": str(customer_id)}
        with database_errors(), tenant(self._engine, customer_id) as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LONGEST_TURN_S}s'")
            connection.execute(LOCK, {"id": key["id"], "channel_id": channel_id})
            done = connection.execute(
                IS_DONE, {"id": key["id"], "channel_id": channel_id}
            ).scalar_one_or_none()
            yield None if done else PostgresTurn(connection, key)
