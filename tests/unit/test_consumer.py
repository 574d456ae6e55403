import asyncio
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any
from uuid import UUID

import pytest
from starlette.requests import Request
from starlette.responses import Response
from structlog.testing import capture_logs

from shared.adapters.memory import InMemoryPublisher
from shared.domain.events import Message
from shared.ports.record import Emitted
from shared.runtime.consumer import MAX_PUSH_BYTES, deliver
from shared.runtime.errors import PoisonError, TransientError
from shared.runtime.spans import Span

CUSTOMER, EVENT = UUID(int=3), UUID(int=7)


class Desk:
    """waiting: what the outbox has, a list for each time that it is asked."""

    def __init__(self, waiting: Sequence[Emitted] = ()) -> None:
        self.publisher = InMemoryPublisher()
        self.marked: list[UUID] = []
        self._waiting = list(waiting)

    async def mark_published(self, emitted: Emitted) -> None:
        assert len(self.publisher.messages) == len(self.marked) + len(emitted.ids)
        self.marked += emitted.ids

    async def unpublished(self, consumer: str, event_id: UUID, *, customer_id: UUID) -> Emitted:
        assert (consumer, event_id, customer_id) == ("process_webhook", EVENT, CUSTOMER)
        return self._waiting.pop(0)


def pushed(desk: Desk, *came: MutableMapping[str, Any], handle: Callable[[bytes], Emitted]) -> Response:
    """Push a request of which these messages come; return the answer."""
    left = iter(came)

    async def receive() -> MutableMapping[str, Any]:
        return next(left)

    async def work(body: bytes, _headers: Mapping[str, str], _span: Span) -> Emitted:
        return handle(body)

    headers = [(b"ce-id", str(EVENT).encode()), (b"ce-customerid", str(CUSTOMER).encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    return asyncio.run(deliver(Request(scope, receive), work, consumer="process_webhook", desk=desk))


def poison(_body: bytes) -> Emitted:
    raise PoisonError("unreadable_payload")


@pytest.mark.parametrize(
    "came",
    [
        [{"type": "http.disconnect"}],
        [
            {"type": "http.request", "body": b"half", "more_body": True},
            {"type": "http.disconnect"},
        ],
        [{"type": "http.request", "body": b"x" * (MAX_PUSH_BYTES + 1)}],
    ],
)
def test_a_push_that_did_not_come_whole_comes_again_and_is_no_dead_letter(
    came: list[MutableMapping[str, Any]],
) -> None:
    desk = Desk()
    assert pushed(desk, *came, handle=poison).status_code == 503
    assert desk.publisher.messages == []


def test_a_message_that_can_never_be_processed_is_a_dead_letter_with_its_bytes() -> None:
    desk = Desk()
    whole = {"type": "http.request", "body": b"what a payer sent"}
    assert pushed(desk, whole, handle=poison).status_code == 204
    [letter] = desk.publisher.messages
    assert (letter.topic, letter.data) == ("dead-letters", b"what a payer sent")


def test_what_a_large_file_caused_is_published_and_marked_in_parts_until_none_is_left() -> None:
    parts = [some(1, 2, more=True), some(3, 4, more=True), some(5)]
    desk = Desk(parts[1:])
    with capture_logs() as log:
        assert (
            pushed(desk, {"type": "http.request", "body": b""}, handle=lambda _: parts[0]).status_code == 204
        )
    assert desk.marked == [UUID(int=n) for n in (1, 2, 3, 4, 5)]
    assert log[-1]["count"] == 5


def test_a_broker_that_goes_away_in_between_leaves_the_published_part_marked() -> None:
    desk = Desk([some(3, more=True)])

    class FailsOnce(InMemoryPublisher):
        async def publish(self, messages: Sequence[Message], *, timeout_s: float) -> None:
            if self.messages:
                raise TransientError("timeout", "broker")
            await super().publish(messages, timeout_s=timeout_s)

    desk.publisher = FailsOnce()
    whole = {"type": "http.request", "body": b""}
    assert pushed(desk, whole, handle=lambda _: some(1, 2, more=True)).status_code == 503
    assert desk.marked == [UUID(int=1), UUID(int=2)]


def some(*numbers: int, more: bool = False) -> Emitted:
    ids = tuple(UUID(int=number) for number in numbers)
    messages = tuple(Message("domain-events", b"{}", {"ce-id": str(key)}) for key in ids)
    return Emitted(CUSTOMER, ids, messages, EVENT if more else None)
