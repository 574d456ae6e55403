"""How a failed message travels to `dead-letters`: its own bytes and attributes, and why it failed. Pure: no I/O.

We send what can never be processed there at once; Pub/Sub sends what crashed too often, with attributes of its own.
Source: Pub/Sub "Handle message failures" (`CloudPubSubDeadLetterSource*`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID, uuid5

from shared.domain.events import Event, Message, Received
from shared.ports.clock import system_clock
from shared.runtime.envelope import (
    MAX_ATTRIBUTE_BYTES,
    REPLAY_ATTRIBUTES,
    attempt_of,
    attributes_of,
    count_of,
    from_headers,
)
from shared.runtime.errors import PoisonError, UpstreamError

NOBODY: Final = UUID(int=0)  # the customer of a message that names none
FORWARDED: Final = "cloudpubsubdeadlettersource"
OURS: Final = "upstream-"
LETTER: Final = "upstream-letter"  # of a replayed message: the dead letter that it is
REPLAY: Final = "upstream-replay"  # of a replayed message: the row that says who replayed it and why


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message is a dead letter. reason: ids, places and codes, never patient data.

    letter_id, replay_id: of a message that was a dead letter before and was replayed, so that it is the same one again.
    """

    consumer: str
    subscription: str
    code: str
    reason: str
    attempts: int
    letter_id: UUID | None = None
    replay_id: UUID | None = None


def to_dead_letter(
    body: bytes, headers: Mapping[str, str], *, consumer: str, error: UpstreamError
) -> Message:
    """Return the message to publish for one that can never be processed. headers: names in lower case."""
    attributes = {
        name: value
        for name, value in attributes_of(headers).items()
        if not name.startswith(OURS) or name in (LETTER, REPLAY)
    }
    attributes |= {
        "upstream-consumer": consumer,
        "upstream-subscription": headers.get("x-goog-pubsub-subscription-name", ""),
        "upstream-code": error.code,
        "upstream-reason": _bounded(str(error)),
        "upstream-attempts": str(attempt_of(headers)),
    }
    return Message("dead-letters", body, attributes)


def original(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return a dead letter's attributes as its message first had them: without what failing and replaying added."""
    return {
        name: value
        for name, value in attributes.items()
        if not name.lower().startswith((OURS, FORWARDED)) and name.lower() not in REPLAY_ATTRIBUTES
    }


def failure_of(headers: Mapping[str, str]) -> Failure:
    """Return why this message is a dead letter, as we or Pub/Sub wrote it on the message."""
    letter_id, replay_id = uuid_of(headers.get(LETTER, "")), uuid_of(headers.get(REPLAY, ""))
    if "upstream-code" in headers:
        return Failure(
            consumer=headers.get("upstream-consumer", ""),
            subscription=headers.get("upstream-subscription", ""),
            code=headers["upstream-code"],
            reason=headers.get("upstream-reason", ""),
            attempts=count_of(headers.get("upstream-attempts", "")),
            letter_id=letter_id,
            replay_id=replay_id,
        )
    subscription = headers.get(f"{FORWARDED}subscription", "")
    return Failure(
        consumer=subscription.rsplit("/", 1)[-1].replace("-", "_"),
        subscription=subscription,
        code="unhandled",
        reason="delivered too often without an acknowledgement",
        attempts=count_of(headers.get(f"{FORWARDED}deliverycount", "")),
        letter_id=letter_id,
        replay_id=replay_id,
    )


def stand_in(body: bytes, headers: Mapping[str, str]) -> Received:
    """Return the dead letter's event; for what is not one of our events, one of nobody's that stands in for it.

    A letter is told from every other by its event and consumer, so that a redelivery writes the same row.
    """
    try:
        return from_headers(headers, body)
    except PoisonError:
        attributes = attributes_of(headers)
        event = Event(
            id=uuid5(NOBODY, repr(sorted(original(attributes).items())) + body.hex()),
            type="webhook.received",
            source="",
            subject="",
            time=system_clock(),
            customer_id=NOBODY,
            data=body,
            trace_parent=headers.get("traceparent", ""),
        )
        return Received(event=event, attempt=attempt_of(headers), subscription="", attributes=attributes)


def as_nobodys(received: Received) -> Received:
    """Return the same letter without a customer, for an event whose customer does not exist."""
    return replace(received, event=replace(received.event, customer_id=NOBODY))


def uuid_of(text: str) -> UUID | None:
    """Return the UUID that an attribute holds, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _bounded(reason: str) -> str:
    """Return the reason as an attribute holds it: printable ASCII within Pub/Sub's limit, so that it fits a header."""
    text = "".join(c if " " <= c <= "~" else "?" for c in reason)
    return text[:MAX_ATTRIBUTE_BYTES]
