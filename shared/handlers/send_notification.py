"""Tells a customer, on each of its channels, at least once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from shared.ports.notification_log import NotificationLog
from shared.ports.notifier import Channel, Notification, Notifier
from shared.runtime.errors import PermanentError, TransientError

if __debug__:
    from shared.runtime.crash_points import reach

SEND_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one attempt, by channel id. A channel done with in an earlier attempt is in neither."""

    delivered: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def send_notification(
    notification: Notification,
    *,
    log: NotificationLog,
    notifier: Notifier,
    only: Collection[str] = (),
    timeout_s: float = SEND_TIMEOUT_S,
) -> Sent:
    """Return once every channel of the customer took the notification or said no for good.

    only: ids of the channels that are meant; empty is all of them.
    Killed after a send and before its record, the redelivery sends to that channel again, under the same id.

    Raises:
        TransientError: some channel or the log is away; the others were tried. Nack: only what is left is tried again.
        PoisonError: `unknown_customer`. Dead-letter.
    """
    undelivered = log.undelivered(notification.customer_id, notification.id)
    channels = [channel for channel in undelivered if not only or channel.id in only]
    results = [(channel.id, _tell(notification, channel, log, notifier, timeout_s)) for channel in channels]
    _raise_if_any_is_left([result for _, result in results if isinstance(result, TransientError)])
    return Sent(
        delivered=tuple(name for name, result in results if result is None),
        refused=tuple(name for name, result in results if isinstance(result, PermanentError)),
    )


def _tell(
    notification: Notification, channel: Channel, log: NotificationLog, notifier: Notifier, timeout_s: float
) -> TransientError | PermanentError | None:
    """Send and record, if nobody else did meanwhile; return the channel's failure, which must not stop the others."""
    with log.turn(notification.customer_id, notification.id, channel.id) as turn:
        if turn is None:
            return None
        try:
            notifier.send(notification, channel, timeout_s=timeout_s)
        except TransientError as exc:
            return exc
        except PermanentError as exc:
            turn.record("refused", exc.code)
            return exc
        if __debug__:
            reach("notify.after_send")
        turn.record("delivered")
        return None


def _raise_if_any_is_left(failures: Sequence[TransientError]) -> None:
    """Come back when the most patient receiver asks for it."""
    if not failures:
        return
    waits = [failure.retry_after_s for failure in failures if failure.retry_after_s is not None]
    detail = f"{len(failures)} channels left: {failures[0].detail}"
    raise TransientError(failures[0].code, detail, retry_after_s=max(waits, default=None)) from failures[0]
