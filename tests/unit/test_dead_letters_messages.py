"""What a failed message carries to `dead-letters` and back: everything it had, and the way to its letter."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.memory import InMemoryPayloadStore
from shared.domain.events import Event
from shared.handlers.claim_check import checked_in, payload_of
from shared.handlers.dead_letters.replay import message
from shared.ports.dead_letters import Claimed, Run
from shared.runtime.dead_letters import failure_of, original, stand_in, to_dead_letter
from shared.runtime.envelope import acting_id, as_asked, from_headers, to_attributes
from shared.runtime.errors import UnreadableError
from shared.runtime.settings import MAX_INLINE_BYTES

EVENT = Event(
    id=UUID(int=1),
    type="webhook.received",
    source="/connections/1",
    subject="connections/1",
    time=datetime(2026, 2, 3, tzinfo=UTC),
    customer_id=UUID(int=2),
    data=b"ISA",
    content_type="application/edi-x12",
    trace_parent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    parent_id=UUID(int=1),
    extensions={"connectionid": str(UUID(int=3)), "deliveryid": "d-1"},
)
ERROR = UnreadableError("not a date", place="$.created")
CLAIMED = Claimed(uuid4(), uuid4(), "process_webhook", to_attributes(EVENT), b"ISA")
RUN = Run(uuid4(), by="ada", why="fixed")
words = st.text("abc-/.:0123456789", min_size=1, max_size=20)


def pushed(attributes: dict[str, str], attempt: int = 1) -> dict[str, str]:
    """Return the headers of unwrapped push."""
    headers = {name.lower(): value for name, value in attributes.items()}
    return {**headers, "x-goog-pubsub-delivery-attempt": str(attempt), "host": "localhost"}


@given(st.dictionaries(st.sampled_from(("connectionid", "provider", "payloadformat", "deliveryid")), words))
def test_a_letter_has_the_attributes_that_its_message_had(extensions: dict[str, str]) -> None:
    attributes = to_attributes(replace(EVENT, extensions=extensions))
    letter = to_dead_letter(b"ISA", pushed(attributes), consumer="process_webhook", error=ERROR)
    assert original(letter.attributes) == attributes
    assert letter.data == b"ISA"


def test_a_letter_says_why_it_failed_and_how_often() -> None:
    letter = to_dead_letter(b"", pushed(to_attributes(EVENT), 3), consumer="process_webhook", error=ERROR)
    failure = failure_of(pushed(dict(letter.attributes)))
    assert (failure.consumer, failure.code, failure.attempts) == ("process_webhook", "unreadable_payload", 3)
    assert failure.reason == "$.created: not a date"
    assert (failure.letter_id, failure.replay_id) == (None, None)


def test_a_replayed_message_is_the_first_one_with_the_way_back_to_its_letter() -> None:
    replayed = message(CLAIMED, "webhook-events", RUN)
    assert original(replayed.attributes) == CLAIMED.attributes
    assert from_headers(pushed(dict(replayed.attributes)), replayed.data).event == EVENT
    failed = to_dead_letter(b"", pushed(dict(replayed.attributes)), consumer="process_webhook", error=ERROR)
    failure = failure_of(pushed(dict(failed.attributes)))
    assert (failure.letter_id, failure.replay_id) == (CLAIMED.letter_id, CLAIMED.id)
    crashed = failure_of(
        pushed({**replayed.attributes, "CloudPubSubDeadLetterSourceSubscription": "process-webhook"})
    )
    assert (crashed.letter_id, crashed.replay_id) == (CLAIMED.letter_id, CLAIMED.id)
    assert (crashed.code, crashed.consumer) == ("unhandled", "process_webhook")


def test_a_correction_is_read_instead_of_a_payload_that_was_kept_apart() -> None:
    payloads = InMemoryPayloadStore()
    whole = replace(EVENT, data=b"x" * (MAX_INLINE_BYTES + 1))
    apart = asyncio.run(checked_in(whole, payloads))
    letter = replace(CLAIMED, attributes=to_attributes(apart), body=b"")
    for run, body, expected in ((RUN, b"", whole.data), (replace(RUN, edited=b"ISA"), b"ISA", b"ISA")):
        replayed = message(replace(letter, body=body), "webhook-events", run)
        received = from_headers(pushed(dict(replayed.attributes)), replayed.data)
        assert payload_of(received.event, payloads) == expected


def test_what_failing_and_replaying_added_is_not_published_again() -> None:
    attributes = {
        **to_attributes(EVENT),
        "upstream-code": "unhandled",
        "upstream-replay": str(uuid4()),
        "CloudPubSubDeadLetterSourceSubscription": "process-webhook",
        "cloudpubsubdeadlettersourcedeliverycount": "5",
        "ce-replayid": "earlier",
        "ce-replayfor": "process_webhook",
    }
    replayed = message(replace(CLAIMED, attributes=attributes), "webhook-events", RUN)
    assert original(replayed.attributes) == to_attributes(EVENT)
    assert replayed.attributes["upstream-replay"] == str(CLAIMED.id)
    assert "ce-replayid" not in replayed.attributes


def test_a_replay_id_is_for_one_consumer_and_makes_the_event_a_new_one_to_it() -> None:
    attributes = message(CLAIMED, "webhook-events", replace(RUN, replay_id="r-1")).attributes
    received = from_headers(pushed(dict(attributes)), b"ISA")
    again = as_asked(received, consumer="process_webhook").event
    assert (again.id, again.parent_id) == (acting_id(EVENT.id, "process_webhook", "r-1"), EVENT.id)
    assert again.id not in {EVENT.id, acting_id(EVENT.id, "process_webhook", "r-2")}
    assert replace(again, id=EVENT.id) == EVENT
    assert as_asked(received, consumer="apply_rules") == received
    assert (
        as_asked(from_headers(pushed(to_attributes(EVENT)), b""), consumer="process_webhook").event.id
        == EVENT.id
    )


def test_a_replay_id_goes_no_further_than_the_consumer_it_is_for() -> None:
    attributes = message(CLAIMED, "webhook-events", replace(RUN, replay_id="r-1")).attributes
    again = as_asked(from_headers(pushed(dict(attributes)), b"ISA"), consumer="process_webhook").event
    assert not {name for name in to_attributes(again) if "replay" in name}


def test_what_is_no_event_stands_in_for_one_however_often_it_fails() -> None:
    headers = pushed({"ce-subject": "strange"})
    first = to_dead_letter(b"?", headers, consumer="process_webhook", error=ERROR)
    second = to_dead_letter(
        b"?", pushed({"ce-subject": "strange"}, 4), consumer="process_webhook", error=ERROR
    )
    ids = {stand_in(b"?", pushed(dict(one.attributes))).event.id for one in (first, second)}
    assert ids == {stand_in(b"?", headers).event.id}
    assert stand_in(b"!", headers).event.id not in ids
