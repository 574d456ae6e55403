"""A payer's payload becomes rows and domain events, in one transaction."""

from collections.abc import Iterator
from itertools import islice

from shared.domain.claims import Delivery, Record
from shared.domain.events import Event, Outgoing, Received
from shared.domain.narration import narrate
from shared.formats.registry import read
from shared.ports.clock import Clock
from shared.ports.record import Emitted, EventRecord, EventTransaction

CONSUMER = "process_webhook"
CHUNK = 500  # records written per round trip


def process_webhook(received: Received, *, record: EventRecord, clock: Clock) -> Emitted:
    """Store what the payload states and return the domain events that it causes.

    Raises:
        PoisonError: the payload does not parse; the place says where. Nothing was stored.
        TransientError: the database is away or busy. Nothing was stored.
    """
    event = received.event
    with record.event(CONSUMER, received) as transaction:
        if transaction.repeat:
            return transaction.unpublished()
        records = read(
            Delivery(
                body=event.data,
                content_type=event.content_type,
                format=event.extensions.get("payloadformat", "auto"),
            )
        )
        return _store(transaction, event, records, clock)


def _store(transaction: EventTransaction, event: Event, records: Iterator[Record], clock: Clock) -> Emitted:
    emitted = Emitted(event.customer_id)
    while chunk := list(islice(records, CHUNK)):
        transaction.store(chunk)
        told = (narrate(record, cause=event, now=clock()) for record in chunk)
        more = transaction.emit([Outgoing("domain-events", event) for event in told if event is not None])
        emitted = Emitted(event.customer_id, emitted.ids + more.ids, emitted.messages + more.messages)
    return emitted
