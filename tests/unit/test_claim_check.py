"""Which payloads leave their message, and that only what was sent comes back."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from shared.adapters.memory import InMemoryPayloadStore
from shared.domain.events import Event
from shared.handlers.claim_check import checked_in, payload_of
from shared.runtime.envelope import from_headers, to_attributes
from shared.runtime.errors import PoisonError
from shared.runtime.settings import MAX_INLINE_BYTES

EVENT = Event(
    id=UUID(int=2),
    type="webhook.received",
    source="/test",
    subject="",
    time=datetime(2026, 11, 27, tzinfo=UTC),
    customer_id=UUID(int=1),
    data=b"",
)


@pytest.mark.parametrize(
    ("size", "kept"), [(0, False), (MAX_INLINE_BYTES, False), (MAX_INLINE_BYTES + 1, True)]
)
def test_a_large_payload_goes_apart_and_comes_back(size: int, kept: bool) -> None:  # noqa: FBT001 - a parameter
    payloads = InMemoryPayloadStore()
    event = replace(EVENT, data=b"x" * size)
    carried = asyncio.run(checked_in(event, payloads))
    assert bool(payloads.kept) is kept
    assert carried.data == (b"" if kept else event.data)
    headers = {name.lower(): value for name, value in to_attributes(carried).items()}
    arrived = from_headers(headers, carried.data).event
    assert payload_of(arrived, payloads) == event.data


def test_a_payload_that_is_not_the_one_that_was_sent_is_poison() -> None:
    payloads = InMemoryPayloadStore()
    carried = asyncio.run(checked_in(replace(EVENT, data=b"x" * (MAX_INLINE_BYTES + 1)), payloads))
    payloads.kept = dict.fromkeys(payloads.kept, b"y")
    with pytest.raises(PoisonError) as raised:
        payload_of(carried, payloads)
    assert raised.value.code == "payload_changed"
