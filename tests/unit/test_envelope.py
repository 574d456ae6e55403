"""An event is the same event after Pub/Sub: attributes become headers, and anybody's CloudEvents SDK can read those."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import get_args
from uuid import UUID

import pytest
from cloudevents.http import from_http
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.events import TYPE_PREFIX, Event, EventType, Outgoing, Received
from shared.runtime.envelope import (
    EXTENSIONS,
    MAX_ATTRIBUTE_BYTES,
    attempt_of,
    attributes_of,
    from_headers,
    to_attributes,
    to_message,
)
from shared.runtime.errors import PoisonError

# What a header can hold and every hop leaves alone: visible ASCII, with spaces inside at most.
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=zones)  # noqa: DTZ001
events = st.builds(
    Event,
    id=st.uuids(),
    type=st.sampled_from(get_args(EventType)),
    source=words,
    subject=words,
    time=times,
    customer_id=st.uuids(),
    data=st.binary(max_size=100),
    content_type=st.sampled_from(["application/json", "application/edi-x12; charset=utf-8", "text/plain"]),
    trace_parent=st.just("00-" + "a" * 32 + "-" + "b" * 16 + "-01"),
    parent_id=st.none() | st.uuids(),
    extensions=st.dictionaries(st.sampled_from(EXTENSIONS), words),
)
EVENT = Event(
    id=UUID(int=1),
    type="claim.denied",
    source="/connections/1",
    subject="claims/2",
    time=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
    customer_id=UUID(int=3),
    data=b"{}",
)


def pushed(event: Event, **more: str) -> dict[str, str]:
    """The headers of unwrapped push, as a server hands them over."""
    return {name.lower(): value for name, value in to_attributes(event).items()} | more


@given(event=events)
def test_an_event_comes_back_from_its_headers(event: Event) -> None:
    received = from_headers(pushed(event), event.data)
    assert received.event == replace(event, parent_id=event.parent_id or event.id)
    assert received.event.time.utcoffset() == timedelta(0)
    assert received.attempt == 1


@given(event=events)
def test_the_cloudevents_sdk_reads_the_same_event(event: Event) -> None:
    read = from_http(pushed(event), event.data, data_unmarshaller=lambda data: data)
    assert read["specversion"] == "1.0"
    assert (read["id"], read["type"]) == (str(event.id), TYPE_PREFIX + event.type)
    assert (read["source"], read["subject"]) == (event.source, event.subject)
    assert datetime.fromisoformat(read["time"]) == event.time
    assert (read["customerid"], read["datacontenttype"]) == (str(event.customer_id), event.content_type)
    assert (read.get_data() or b"") == event.data  # it says None for no bytes


@given(event=events)
def test_a_message_can_be_published_again_as_it_was(event: Event) -> None:
    message = to_message(Outgoing("webhook-events", event))
    headers = pushed(
        event, **{"x-goog-pubsub-subscription-name": "s", "authorization": "Bearer x", "host": "h"}
    )
    assert attributes_of(headers) == message.attributes
    assert from_headers(headers, message.data).attributes == message.attributes


@pytest.mark.parametrize("size", [MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTE_BYTES + 1])
@pytest.mark.parametrize("letter", ["a", "é", "😀"])
def test_an_attribute_larger_than_the_broker_takes_is_refused_before_it_is_sent(
    size: int, letter: str
) -> None:
    value = letter * (size // len(letter.encode())) + "x" * (size % len(letter.encode()))
    event = replace(EVENT, extensions={"deliveryid": value})
    if size <= MAX_ATTRIBUTE_BYTES:
        assert to_attributes(event)["ce-deliveryid"] == value
        return
    with pytest.raises(PoisonError) as refused:
        to_attributes(event)
    assert refused.value.code == "invalid_event"


NAMES = [*pushed(EVENT), "x-goog-pubsub-delivery-attempt"]
texts = st.text(st.characters(max_codepoint=255), max_size=60)


@given(changes=st.dictionaries(st.sampled_from(NAMES), texts), missing=st.sets(st.sampled_from(NAMES)))
@example(changes={"ce-time": "2026-03-02T09:30:00"}, missing=set())  # no zone
@example(changes={"ce-time": "2026-03-02"}, missing=set())
@example(changes={"ce-specversion": "0.3"}, missing=set())
@example(changes={"ce-type": "com.example.other"}, missing=set())
@example(changes={"x-goog-pubsub-delivery-attempt": "9" * 5_000}, missing=set())
@example(changes={"x-goog-pubsub-delivery-attempt": "\xb2"}, missing=set())
def test_any_headers_are_an_event_or_refused(changes: dict[str, str], missing: set[str]) -> None:
    headers = {name: value for name, value in (pushed(EVENT) | changes).items() if name not in missing}
    received: Received | None = None
    with contextlib.suppress(PoisonError):
        received = from_headers(headers, b"{}")
    needed = {"ce-id", "ce-type", "ce-source", "ce-time", "ce-customerid", "ce-parentid", "ce-specversion"}
    if missing & needed:
        assert received is None
    if not (changes.keys() | missing) & needed:
        assert received is not None
        assert 1 <= received.attempt < 10**9


@pytest.mark.parametrize(
    ("text", "attempt"),
    [
        ("1", 1),
        ("5", 5),
        ("", 1),
        ("0", 1),
        ("-1", 1),
        ("2.0", 1),
        ("²", 1),
        ("٣", 1),
        ("9" * 10, 1),
        ("9" * 5_000, 1),
    ],
)
def test_the_attempt_is_what_push_says_as_far_as_it_is_a_count(text: str, attempt: int) -> None:
    assert attempt_of({"x-goog-pubsub-delivery-attempt": text}) == attempt
    assert attempt_of({}) == 1
