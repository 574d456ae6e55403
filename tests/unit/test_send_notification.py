from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from shared.adapters.notifiers.memory import InMemoryNotificationLog, InMemoryNotifier
from shared.handlers.send_notification import Sent, send_notification
from shared.ports.notifier import Channel, Notification
from shared.runtime.errors import PermanentError, PoisonError, TransientError

CUSTOMER = UUID(int=1)
MAIL = Channel("mail", "email", "billing@practice.example")
CHAT = Channel("chat", "slack", "https://hooks.example/x")
HOOK = Channel("hook", "webhook", "https://practice.example/hook", "hook-secret")
NOTIFICATION = Notification(
    id=UUID(int=7),
    customer_id=CUSTOMER,
    severity="warning",
    title="Denied",
    text="CO-29",
    event_id=UUID(int=8),
)


def log_of(*channels: Channel) -> InMemoryNotificationLog:
    return InMemoryNotificationLog({CUSTOMER: channels})


def away(retry_after_s: int | None = None) -> TransientError:
    return TransientError("delivery_failed", "away", retry_after_s=retry_after_s)


def test_every_channel_is_told_once() -> None:
    log, notifier = log_of(MAIL, CHAT, HOOK), InMemoryNotifier()
    assert send_notification(NOTIFICATION, log=log, notifier=notifier) == Sent(
        delivered=("mail", "chat", "hook")
    )
    assert send_notification(NOTIFICATION, log=log, notifier=notifier) == Sent()
    assert notifier.attempts == ["mail", "chat", "hook"]


def test_a_customer_without_channels_is_told_nothing() -> None:
    assert send_notification(NOTIFICATION, log=log_of(), notifier=InMemoryNotifier()) == Sent()


def test_a_refusal_is_recorded_and_does_not_stop_the_others() -> None:
    log = log_of(MAIL, CHAT)
    notifier = InMemoryNotifier(failures={"mail": [PermanentError("invalid_recipient")]})
    sent = send_notification(NOTIFICATION, log=log, notifier=notifier)
    assert sent == Sent(delivered=("chat",), refused=("mail",))
    assert log.outcomes == {
        (NOTIFICATION.id, "mail"): ("refused", "invalid_recipient"),
        (NOTIFICATION.id, "chat"): ("delivered", None),
    }
    assert send_notification(NOTIFICATION, log=log, notifier=notifier) == Sent()


def test_a_channel_that_is_away_does_not_stop_the_others_and_alone_is_tried_again() -> None:
    log = log_of(MAIL, CHAT, HOOK)
    notifier = InMemoryNotifier(failures={"mail": [away()], "chat": [PermanentError("delivery_refused")]})
    with pytest.raises(TransientError, match="1 channels left"):
        send_notification(NOTIFICATION, log=log, notifier=notifier)
    assert [channel.id for _, channel in notifier.sent] == ["hook"]
    assert send_notification(NOTIFICATION, log=log, notifier=notifier) == Sent(delivered=("mail",))
    assert notifier.attempts == ["mail", "chat", "hook", "mail"]


def test_the_longest_wait_asked_for_is_kept() -> None:
    log = log_of(MAIL, CHAT, HOOK)
    notifier = InMemoryNotifier(failures={"mail": [away(30)], "chat": [away(90)], "hook": [away()]})
    with pytest.raises(TransientError) as raised:
        send_notification(NOTIFICATION, log=log, notifier=notifier)
    assert (raised.value.code, raised.value.retry_after_s) == ("delivery_failed", 90)


def test_an_unknown_customer_is_poison() -> None:
    log = InMemoryNotificationLog({})
    with pytest.raises(PoisonError) as raised:
        send_notification(NOTIFICATION, log=log, notifier=InMemoryNotifier())
    assert raised.value.code == "unknown_customer"


class Killed(BaseException):
    """The process dies here."""


@dataclass(frozen=True)
class FailingTurn:
    error: BaseException

    def record(self, *_args: object, **_kwargs: object) -> None:
        raise self.error


@dataclass
class FailingLog(InMemoryNotificationLog):
    error: BaseException = field(default_factory=Killed)

    @contextmanager
    def turn(self, *_args: object) -> Iterator[FailingTurn]:  # type: ignore[override]
        yield FailingTurn(self.error)


def test_killed_between_send_and_record_the_channel_is_told_again_under_the_same_id() -> None:
    log, notifier = log_of(MAIL, CHAT), InMemoryNotifier()
    with pytest.raises(Killed):
        send_notification(NOTIFICATION, log=FailingLog(log.channels), notifier=notifier)
    assert send_notification(NOTIFICATION, log=log, notifier=notifier) == Sent(delivered=("mail", "chat"))
    assert [(sent.id, channel.id) for sent, channel in notifier.sent] == [
        (NOTIFICATION.id, "mail"),
        (NOTIFICATION.id, "mail"),
        (NOTIFICATION.id, "chat"),
    ]


def test_a_log_that_fails_to_record_has_the_message_tried_again() -> None:
    log = FailingLog({CUSTOMER: [MAIL]}, error=TransientError("unavailable"))
    with pytest.raises(TransientError) as raised:
        send_notification(NOTIFICATION, log=log, notifier=InMemoryNotifier())
    assert raised.value.code == "unavailable"


def test_a_channel_that_is_done_with_gives_nobody_a_turn() -> None:
    log = log_of(MAIL)
    with log.turn(CUSTOMER, NOTIFICATION.id, "mail") as turn:
        assert turn is not None
        turn.record("delivered")
    with log.turn(CUSTOMER, NOTIFICATION.id, "mail") as turn:
        assert turn is None
    assert log.undelivered(CUSTOMER, NOTIFICATION.id) == []
    assert log.undelivered(CUSTOMER, UUID(int=9)) == [MAIL]


def test_copies_of_a_message_at_the_same_moment_tell_each_channel_once() -> None:
    log, notifier = log_of(MAIL, CHAT), InMemoryNotifier()
    with ThreadPoolExecutor(8) as threads:
        copies = [
            threads.submit(send_notification, NOTIFICATION, log=log, notifier=notifier) for _ in range(8)
        ]
    assert [copy.exception() for copy in copies] == [None] * 8
    assert sorted(notifier.attempts) == ["chat", "mail"]
