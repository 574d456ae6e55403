"""The notification log in PostgreSQL: copies of one message tell each channel once; a dead worker holds nobody up."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from time import sleep
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from shared.handlers.send_notification import send_notification
from shared.ports.notifier import Channel, Notification
from shared.runtime.errors import TransientError

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline


@dataclass
class SlowNotifier:
    """A receiver that takes its time, so that copies meet."""

    told: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def send(self, notification: Notification, channel: Channel, *, timeout_s: float) -> None:  # noqa: ARG002
        sleep(0.05)
        with self.lock:
            self.told.append(channel.id)


def notification(customer: UUID) -> Notification:
    return Notification(uuid4(), customer, "info", "Title", "Text", uuid4())


def channels(*names: str) -> list[dict[str, str]]:
    return [{"id": name, "kind": "email", "target": f"{name}@example.com"} for name in names]


def test_copies_at_the_same_moment_tell_each_channel_once(pipeline: "Pipeline") -> None:
    told = notification(pipeline.customer("Practice", channels("one", "two")))
    notifier, log = SlowNotifier(), pipeline.app.notification_log
    with ThreadPoolExecutor(4) as threads:
        copies = [threads.submit(send_notification, told, log=log, notifier=notifier) for _ in range(4)]
    assert [copy.exception() for copy in copies] == [None] * 4
    assert sorted(notifier.told) == ["one", "two"]
    rows = pipeline.rows(
        "SELECT channel_id, outcome FROM notifications WHERE id = CAST(:id AS uuid)", id=str(told.id)
    )
    assert sorted((row["channel_id"], row["outcome"]) for row in rows) == [
        ("one", "delivered"),
        ("two", "delivered"),
    ]


def test_a_turn_that_fails_leaves_the_channel_to_the_next(pipeline: "Pipeline") -> None:
    customer = pipeline.customer("Practice", channels("one"))
    log, told = pipeline.app.notification_log, notification(customer)
    with pytest.raises(TransientError), log.turn(customer, told.id, "one"):
        raise TransientError("delivery_failed")
    with log.turn(customer, told.id, "one") as turn:
        assert turn is not None
