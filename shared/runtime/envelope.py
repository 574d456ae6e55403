"""Events to Pub/Sub attributes and back from the headers that unwrapped push makes of them. Pure: no I/O.

Source: CloudEvents 1.0.2 "Google Cloud Pub/Sub Protocol Binding"; Pub/Sub "Payload unwrapping" (`write_metadata`).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

from shared.domain.events import (
    PAYLOAD_REF,
    PAYLOAD_SHA256,
    SPEC_VERSION,
    TYPE_PREFIX,
    Event,
    EventType,
    Message,
    Outgoing,
    Received,
)
from shared.domain.ids import derive
from shared.runtime.errors import PoisonError

MAX_ATTRIBUTE_BYTES = 1024
MAX_ATTEMPT_DIGITS = 9  # what a column of the record holds; more is nobody's count
EVENT_TYPES: dict[str, EventType] = {TYPE_PREFIX + name: name for name in get_args(EventType)}
EXTENSIONS = (
    "connectionid",
    "provider",
    "payloadformat",
    "deliveryid",
    PAYLOAD_REF,
    PAYLOAD_SHA256,
    "rulechain",
)
REPLAY_ID, REPLAY_FOR = "ce-replayid", "ce-replayfor"
REPLAY_ATTRIBUTES = (REPLAY_ID, REPLAY_FOR)


def to_attributes(event: Event) -> dict[str, str]:
    """Return the event's Pub/Sub attributes.

    Raises:
        PoisonError: an attribute is larger than Pub/Sub takes.
    Source: Pub/Sub quotas, "Attribute value size: 1,024 bytes".
    """
    event_id = str(event.id)
    attributes = {
        "ce-id": event_id,
        "ce-type": TYPE_PREFIX + event.type,
        "ce-source": event.source,
        "ce-subject": event.subject,
        "ce-time": event.time.astimezone(UTC).isoformat(timespec="microseconds"),
        "ce-specversion": SPEC_VERSION,
        "ce-customerid": str(event.customer_id),
        "ce-parentid": event_id if event.parent_id is None else str(event.parent_id),
        "Content-Type": event.content_type,
        "traceparent": event.trace_parent,
    }
    attributes.update((f"ce-{name}", value) for name, value in event.extensions.items())
    for name, value in attributes.items():
        if len(value) > MAX_ATTRIBUTE_BYTES // 4 and len(value.encode()) > MAX_ATTRIBUTE_BYTES:
            raise PoisonError("invalid_event", f"attribute {name} is over {MAX_ATTRIBUTE_BYTES} bytes")
    return attributes


def to_message(outgoing: Outgoing) -> Message:
    """Return the message that carries the event.

    Raises:
        PoisonError: an attribute is larger than Pub/Sub takes.
    """
    return Message(outgoing.topic, outgoing.event.data, to_attributes(outgoing.event))


def from_headers(headers: Mapping[str, str], body: bytes) -> Received:
    """Return the event of a pushed request. headers: lower-case names.

    Raises:
        PoisonError: not one of our CloudEvents (`invalid_event`).
    """
    try:
        event = Event(
            id=UUID(headers["ce-id"]),
            type=EVENT_TYPES[headers["ce-type"]],
            source=headers["ce-source"],
            subject=headers.get("ce-subject", ""),
            time=datetime.fromisoformat(headers["ce-time"]),
            customer_id=UUID(headers["ce-customerid"]),
            data=body,
            content_type=headers.get("content-type", ""),
            trace_parent=headers.get("traceparent", ""),
            parent_id=UUID(headers["ce-parentid"]),
            extensions={name: headers[f"ce-{name}"] for name in EXTENSIONS if f"ce-{name}" in headers},
        )
    except (KeyError, ValueError) as exc:
        raise PoisonError("invalid_event", f"not one of our events: {type(exc).__name__} {exc}") from exc
    if headers.get("ce-specversion") != SPEC_VERSION or event.time.tzinfo is None:
        raise PoisonError("invalid_event", "not CloudEvents 1.0, or a time without a zone")
    return Received(
        event=event,
        attempt=attempt_of(headers),
        subscription=headers.get("x-goog-pubsub-subscription-name", ""),
        attributes=attributes_of(headers),
    )


def as_asked(received: Received, *, consumer: str) -> Received:
    """Return the event as this consumer is to take it: under an id of its own where it was asked to act again.

    An engineer's replay names one consumer and a replay id. To that consumer the event is a new one, caused by the
    one it settled (the key `consumer:event_id:replay_id`); to every other it is the one it took before.
    """
    replay_id = received.attributes.get(REPLAY_ID, "")
    if not replay_id or received.attributes.get(REPLAY_FOR) != consumer:
        return received
    event = received.event
    again = replace(event, id=acting_id(event.id, consumer, replay_id), parent_id=event.id)
    return replace(received, event=again)


def acting_id(event_id: UUID, consumer: str, replay_id: str) -> UUID:
    """Return the id that a consumer takes an event under. replay_id: empty unless it is to act again."""
    return derive(event_id, "replay", consumer, replay_id) if replay_id else event_id


def attempt_of(headers: Mapping[str, str]) -> int:
    """Return which delivery this is, from 1, as far as push says."""
    return count_of(headers.get("x-goog-pubsub-delivery-attempt", ""))


def count_of(text: str) -> int:
    """Return the number of attempts that a header states, from 1; 1 if it states none."""
    stated = text.isascii() and text.isdigit() and len(text) <= MAX_ATTEMPT_DIGITS
    return max(int(text), 1) if stated else 1


def attributes_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that were attributes of the message, so that it can be published again as it was."""
    return {
        "Content-Type" if name == "content-type" else name: value
        for name, value in headers.items()
        if name.startswith(("ce-", "cloudpubsubdeadlettersource", "upstream-"))
        or name in ("content-type", "traceparent")
    }
