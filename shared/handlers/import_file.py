"""A file of any size enters the pipeline as if a payer had sent each of its transaction sets, each once.

A set's event id follows from the connection and the set's own bytes. So a file that is imported again after it was
interrupted publishes what is left, and the same set in two files takes effect once.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final

from shared.domain.events import Event, Outgoing
from shared.domain.ids import event_id
from shared.formats.x12.interchange import Stream
from shared.formats.x12.split import TransactionSet, transaction_sets
from shared.handlers.claim_check import checked_in
from shared.ports.clock import Clock
from shared.ports.connections import Connection
from shared.ports.idempotency import IdempotencyStore, Settled
from shared.ports.payloads import PayloadStore
from shared.ports.publisher import Publisher
from shared.runtime.envelope import to_message
from shared.runtime.settings import KEY_TTL_S, MAX_BODY_BYTES, PUBLISH_TIMEOUT_S

CONSUMER: Final = "import_file"


@dataclass(frozen=True, slots=True)
class Importer:
    """What importing needs of the world."""

    keys: IdempotencyStore
    publisher: Publisher
    payloads: PayloadStore
    clock: Clock


@dataclass(frozen=True, slots=True)
class Imported:
    """One set that is durable. repeat: it was before."""

    place: str
    kind: str
    size_bytes: int
    event_id: str
    repeat: bool


async def import_file(
    stream: Stream, connection: Connection, *, trace_parent: str, importer: Importer
) -> AsyncIterator[Imported]:
    """Yield each transaction set of an X12 file once it is durable.

    Raises:
        UnreadableError: as `transaction_sets`. The sets before are in; correct the file and import it again.
        TransientError: a store or the broker did not answer. Import it again: what is in is left out.
    """
    for found in transaction_sets(stream, limit=MAX_BODY_BYTES):
        yield await _import(found, _event(found, connection, trace_parent, importer.clock), importer)


async def _import(found: TransactionSet, event: Event, importer: Importer) -> Imported:
    claim = await importer.keys.claim(
        f"{CONSUMER}:{event.id}",
        payload_sha256=sha256(event.data).hexdigest(),
        lease_s=0,  # nobody waits for an import that was killed: a second copy is dropped by its id
        expires_at=event.time + timedelta(seconds=KEY_TTL_S),
    )
    repeat = isinstance(claim, Settled)
    if not isinstance(claim, Settled):
        carried = await checked_in(event, importer.payloads)
        message = to_message(Outgoing("webhook-events", carried))
        await importer.publisher.publish([message], timeout_s=PUBLISH_TIMEOUT_S)
        await importer.keys.settle(claim, {"event_id": str(event.id)})
    return Imported(found.place, found.kind, len(found.body), str(event.id), repeat)


def _event(found: TransactionSet, connection: Connection, trace_parent: str, clock: Clock) -> Event:
    digest = sha256(found.body).hexdigest()
    delivery_id = f"import:{digest}"
    return Event(
        id=event_id(connection.id, delivery_id, digest),
        type="webhook.received",
        source=f"/connections/{connection.id}",
        subject=f"connections/{connection.id}",
        time=clock(),
        customer_id=connection.customer_id,
        data=found.body,
        content_type="application/edi-x12",
        trace_parent=trace_parent,
        extensions={
            "connectionid": str(connection.id),
            "provider": connection.provider,
            "payloadformat": "x12",
            "deliveryid": delivery_id,
        },
    )
