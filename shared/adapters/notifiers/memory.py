"""Fakes of the notification ports, for tests and dry runs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from uuid import UUID

from shared.ports.notification_log import NotificationOutcome
from shared.ports.notifier import Channel, Notification
from shared.runtime.errors import ErrorCode, PoisonError, UpstreamError


@dataclass(slots=True)
class InMemoryNotifier:
    """Keeps what it was given. failures: by channel id, what the next attempts raise before one is taken."""

    sent: list[tuple[Notification, Channel]] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    failures: dict[str, list[UpstreamError]] = field(default_factory=dict)

    def send(self, notification: Notification, channel: Channel, *, timeout_s: float) -> None:  # noqa: ARG002 - waits for nothing
        """Take the notification, or raise the next failure foreseen for the channel."""
        self.attempts.append(channel.id)
        if self.failures.get(channel.id):
            raise self.failures[channel.id].pop(0)
        self.sent.append((notification, channel))


@dataclass(slots=True)
class InMemoryNotificationLog:
    """channels: by customer. outcomes: by notification and channel."""

    channels: Mapping[UUID, Sequence[Channel]]
    outcomes: dict[tuple[UUID, str], tuple[NotificationOutcome, ErrorCode | None]] = field(
        default_factory=dict
    )
    locks: dict[tuple[UUID, str], Lock] = field(default_factory=dict)

    def undelivered(self, customer_id: UUID, notification_id: UUID) -> Sequence[Channel]:
        """Return the customer's channels without an outcome for this notification."""
        if customer_id not in self.channels:
            raise PoisonError("unknown_customer")
        return [
            channel
            for channel in self.channels[customer_id]
            if (notification_id, channel.id) not in self.outcomes
        ]

    @contextmanager
    def turn(
        self,
        customer_id: UUID,  # noqa: ARG002 - a notification's id is of one customer
        notification_id: UUID,
        channel_id: str,
    ) -> Iterator["InMemoryTurn | None"]:
        """Wait for whoever is telling the channel, then have the turn; None if an outcome was recorded meanwhile."""
        key = (notification_id, channel_id)
        with self.locks.setdefault(key, Lock()):
            yield None if key in self.outcomes else InMemoryTurn(self.outcomes, key)


@dataclass(frozen=True, slots=True)
class InMemoryTurn:
    """outcomes: the log's."""

    outcomes: dict[tuple[UUID, str], tuple[NotificationOutcome, ErrorCode | None]]
    key: tuple[UUID, str]

    def record(self, outcome: NotificationOutcome, code: ErrorCode | None = None) -> None:
        """Keep the channel's outcome."""
        self.outcomes[self.key] = (outcome, code)
