"""Which channels of a notification are done with."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol
from uuid import UUID

from shared.ports.notifier import Channel
from shared.runtime.errors import ErrorCode

NotificationOutcome = Literal[
    "delivered",  # the receiver took it
    "refused",  # the receiver said no for good; the code says how
]


class Turn(Protocol):
    """The right to tell one channel of one notification. Nobody else has it until it ends, or its process dies."""

    def record(self, outcome: NotificationOutcome, code: ErrorCode | None = None) -> None:
        """Keep the channel's outcome. code: why it was refused.

        Raises:
            TransientError: the log did not answer. The channel is tried again.
        """
        ...


class NotificationLog(Protocol):
    """Remembers, per notification and channel, that nothing is left to do. Blocks."""

    def undelivered(self, customer_id: UUID, notification_id: UUID) -> Sequence[Channel]:
        """Return the customer's channels without an outcome for this notification, in the customer's order.

        Raises:
            TransientError: the log did not answer.
            PoisonError: `unknown_customer`.
        """
        ...

    def turn(
        self, customer_id: UUID, notification_id: UUID, channel_id: str
    ) -> AbstractContextManager[Turn | None]:
        """Wait for whoever is telling the channel, then have the turn; None if an outcome was recorded meanwhile.

        Raises:
            TransientError: the log did not answer, or whoever has the turn keeps it for long. Nack.
        """
        ...
