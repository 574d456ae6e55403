"""`NotificationLog` in PostgreSQL."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Engine, text

from shared.adapters.postgres.engine import database_errors
from shared.adapters.postgres.record import tenant
from shared.ports.notification_log import NotificationOutcome
from shared.ports.notifier import Channel
from shared.runtime.errors import ErrorCode, PoisonError

CHANNELS = text("SELECT channels FROM customers WHERE id = CAST(:customer_id AS uuid)")
DONE = text("SELECT channel_id FROM notifications WHERE id = CAST(:id AS uuid)")
RECORD = text("""
INSERT INTO notifications (id, channel_id, customer_id, outcome, code)
VALUES (CAST(:id AS uuid), :channel_id, CAST(:customer_id AS uuid), :outcome, :code)
ON CONFLICT (id, channel_id) DO NOTHING
""")


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

    def record(
        self,
        customer_id: UUID,
        notification_id: UUID,
        channel_id: str,
        outcome: NotificationOutcome,
        code: ErrorCode | None = None,
    ) -> None:
        """Keep the channel's outcome; the first one stays."""
        with database_errors(), tenant(self._engine, customer_id) as connection:
            connection.execute(
                RECORD,
                {
                    "id": str(notification_id),
                    "channel_id": channel_id,
                    "customer_id": str(customer_id),
                    "outcome": outcome,
                    "code": code or "",
                },
            )
