"""Payers' payloads become rows and domain events, in one transaction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import structlog

from shared.domain.claims import Delivery, FetchTask, Record
from shared.domain.events import Event, Outgoing, Received
from shared.domain.narration import narrate
from shared.formats.code_sets import unknown_codes
from shared.formats.registry import read
from shared.handlers.claim_check import payload_of
from shared.handlers.claim_names import under_their_numbers
from shared.ports.clock import Clock
from shared.ports.payloads import PayloadStore
from shared.ports.record import Emitted, EventRecord, EventTransaction

CONSUMER = "process_webhook"
log = structlog.get_logger()
CHUNK = 500  # records held at a time


def process_webhook(
    received: Sequence[Received], *, record: EventRecord, payloads: PayloadStore, clock: Clock
) -> Sequence[Emitted]:
    """Store what the payloads of one customer state; return, for each, the domain events that it causes.

    Raises:
        PoisonError: a payload does not parse; the place says where. Or it is not where its event says. Nothing was
            stored, of any of them.
        TransientError: the database or the store of payloads is away or busy. Nothing was stored.
    """
    bodies = [
        payload_of(one.event, payloads) for one in received
    ]  # before the transaction: it waits for nobody
    with record.events(CONSUMER, received) as transactions:
        for one, body, transaction in zip(received, bodies, transactions, strict=True):
            if not transaction.repeat:
                _store(transaction, one.event, body, clock)
    return [transaction.emitted for transaction in transactions]


def _store(transaction: EventTransaction, event: Event, body: bytes, clock: Clock) -> None:
    records = read(
        Delivery(
            body=body,
            content_type=event.content_type,
            format=event.extensions.get("payloadformat", "auto"),
            connection_id=event.extensions.get("connectionid", ""),
        )
    )
    strange: Counter[tuple[str, str]] = Counter()
    while chunk := [_whose(record, event) for record in islice(records, CHUNK)]:
        chunk = [*under_their_numbers(chunk, transaction)]
        transaction.store(chunk)
        strange.update(code for record in chunk for code in unknown_codes(record))
        told = (narrate(record, cause=event, now=clock()) for record in chunk)
        transaction.emit([Outgoing("domain-events", event) for event in told if event is not None])
    for (kind, code), count in strange.items():
        log.info("code.unknown", kind=kind, code=code, count=count)


def _whose(record: Record, event: Event) -> Record:
    """Return a record; what is only named goes with the connection whose sender named it, to be fetched there."""
    if isinstance(record, FetchTask):
        return replace(record, connection_id=event.extensions.get("connectionid", ""))
    return record
