"""A `notification.requested` event reaches the customer's channels."""

from collections.abc import Mapping
from typing import Any

import orjson

from shared.domain.events import Event, Received
from shared.handlers.send_notification import send_notification
from shared.ports.notification_log import NotificationLog
from shared.ports.notifier import Fact, Notification, Notifier
from shared.ports.record import Emitted, EventRecord
from shared.runtime.errors import PoisonError

CONSUMER = "notify"


def notify(received: Received, *, record: EventRecord, log: NotificationLog, notifier: Notifier) -> Emitted:
    """Return once every channel is done with, and the inbox says so.

    Sending cannot be part of a transaction: the channels' own log keeps a redelivery from sending twice, and the
    inbox row, written last, marks the whole.

    Raises:
        PoisonError: not a notification (`invalid_event`), or an unknown customer.
        TransientError: a channel or the database is away. Only what is left is tried again.
    """
    notification, channels = _read(received.event)
    send_notification(notification, log=log, notifier=notifier, only=channels)
    with record.event(CONSUMER, received) as transaction:
        pass  # the inbox row is all there is to write
    return transaction.emitted


def _read(event: Event) -> tuple[Notification, frozenset[str]]:
    try:
        data: Mapping[str, Any] = orjson.loads(event.data)
        notification = Notification(
            id=event.id,
            customer_id=event.customer_id,
            severity=data["severity"],
            title=data["title"],
            text=data["text"],
            event_id=data["event_id"],
            facts={name: _shown(value) for name, value in data["facts"].items()},
        )
        return notification, frozenset(data["channels"])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as exc:
        raise PoisonError("invalid_event", f"not a notification: {type(exc).__name__}") from exc


def _shown(value: object) -> Fact:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if value is None or isinstance(value, str | int | bool) else str(value)
