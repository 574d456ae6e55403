"""Keeps what could not be processed, whole, with why."""

from collections.abc import Mapping

from shared.domain.events import Received, trace_id
from shared.domain.ids import derive
from shared.ports.record import DeadLetter, Emitted, EventRecord
from shared.runtime.dead_letters import NOBODY, Failure, as_nobodys, failure_of, stand_in, uuid_of
from shared.runtime.errors import PoisonError

CONSUMER = "record_dead_letter"


def record_dead_letter(body: bytes, headers: Mapping[str, str], *, record: EventRecord) -> Emitted:
    """Store the message with its original bytes. Takes anything: what is not even an event is kept as nobody's.

    Raises:
        TransientError: the database is away or busy. Nack.
    """
    received = stand_in(body, headers)
    failure = failure_of(headers)
    try:
        return _keep(received, failure, record)
    except PoisonError:  # no such customer: the letter is kept all the same
        return _keep(as_nobodys(received), failure, record)


def _keep(received: Received, failure: Failure, record: EventRecord) -> Emitted:
    letter = _letter(received, failure)
    with record.event(CONSUMER, received) as transaction:
        transaction.keep_dead_letter(letter)
    return Emitted(letter.customer_id)


def _letter(received: Received, failure: Failure) -> DeadLetter:
    """Return the letter. A customer's and nobody's are never one row, since neither may see the other's."""
    event = received.event
    known = event.customer_id != NOBODY
    whose = () if known else ("nobody",)
    return DeadLetter(
        id=failure.letter_id or derive(event.id, failure.consumer, *whose),
        customer_id=event.customer_id,
        event_id=uuid_of(received.attributes.get("ce-id", "")),
        connection_id=uuid_of(event.extensions.get("connectionid", "")),
        consumer=failure.consumer,
        subscription=failure.subscription,
        event_type=event.type if known else "",
        code=failure.code,
        reason=failure.reason,
        attempts=failure.attempts,
        trace_id=trace_id(event.trace_parent),
        attributes=received.attributes,
        body=event.data,
        replay_id=failure.replay_id,
    )
