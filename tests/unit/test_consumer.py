import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import pytest
from starlette.requests import Request
from starlette.responses import Response

from shared.adapters.memory import InMemoryPublisher
from shared.ports.record import Emitted
from shared.runtime.consumer import MAX_PUSH_BYTES, deliver
from shared.runtime.errors import PoisonError
from shared.runtime.spans import Span

CUSTOMER = UUID(int=3)


class Desk:
    def __init__(self) -> None:
        self.publisher = InMemoryPublisher()
        self.marked: list[UUID] = []

    async def mark_published(self, emitted: Emitted) -> None:
        self.marked += emitted.ids


def pushed(desk: Desk, *came: Mapping[str, Any], handle: Callable[[bytes], Emitted]) -> Response:
    """Push a request of which these messages come; return the answer."""
    left = iter(came)

    async def receive() -> Mapping[str, Any]:
        return next(left)

    async def work(body: bytes, _headers: Mapping[str, str], _span: Span) -> Emitted:
        return handle(body)

    headers = [(b"ce-id", str(UUID(int=7)).encode()), (b"ce-customerid", str(CUSTOMER).encode())]
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
    came: list[Mapping[str, Any]],
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
