"""A practice's table of authorizations becomes rows and domain events, all of it in one transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

from shared.domain.claims import Authorization
from shared.domain.events import Event, Outgoing, Received
from shared.domain.ids import derive
from shared.domain.jobs import trace_of
from shared.domain.narration import narrate
from shared.ports.record import Emitted, EventRecord

CONSUMER: Final = "import_authorizations"
CHUNK: Final = 500


def import_authorizations(
    customer_id: UUID,
    body: bytes,
    records: Sequence[Authorization],
    *,
    record: EventRecord,
    now: datetime,
    stored: Callable[[int], None],
) -> Emitted:
    """Store the table's rows and return the events that they cause. The same file again stores nothing.

    stored: told how many rows more were written; they are kept once this returns.

    Raises:
        TransientError: the database is away or busy. Nothing was stored.
    """
    cause = _cause(customer_id, body, now)
    with record.event(CONSUMER, Received(cause, attempt=1, subscription="", attributes={})) as transaction:
        if not transaction.repeat:
            for at in range(0, len(records), CHUNK):
                chunk = records[at : at + CHUNK]
                transaction.store(chunk)
                told = (narrate(one, cause=cause, now=now) for one in chunk)
                transaction.emit([Outgoing("domain-events", event) for event in told if event is not None])
                stored(len(chunk))
    return transaction.emitted


def _cause(customer_id: UUID, body: bytes, now: datetime) -> Event:
    identity = derive(customer_id, "authorizations import", sha256(body).hexdigest())
    return Event(
        id=identity,
        type="webhook.received",
        source="/commands/authorizations-import",
        subject="",
        time=now,
        customer_id=customer_id,
        data=b"",
        content_type="text/csv",
        trace_parent=trace_of(identity),
    )
