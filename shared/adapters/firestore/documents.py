"""One key's document, as Firestore's messages hold it. Pure: no I/O.

Fields: `state` (`claimed` or `settled`), `owner` (of the last claim), `payload_sha256`, `outcome`, `lease_expires_at`,
`expires_at`. A TTL policy on `expires_at` deletes documents some time after it has passed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from google.cloud.firestore_v1.types import Document, DocumentMask, MapValue, Precondition, Value, Write
from google.protobuf.timestamp_pb2 import Timestamp

MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Ask:
    """What a claim asks for. name: the document's full name. owner: drawn for this claim alone."""

    name: str
    owner: str
    payload_sha256: str
    lease_expires_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """A key's document as it was read. version_us: its update time, which names this very state of it."""

    state: str
    owner: str
    payload_sha256: str
    outcome: Mapping[str, str]
    lease_expires_at: datetime
    expires_at: datetime
    version_us: int


def creation(ask: Ask) -> Write:
    """Return a write that succeeds only where there is no such document."""
    return Write(update=_document(ask), current_document=Precondition(exists=False))


def take_over(ask: Ask, *, version_us: int) -> Write:
    """Return a write that replaces the document as it was at that version, and nothing later."""
    return Write(update=_document(ask), current_document=_unchanged(version_us))


def settlement(name: str, outcome: Mapping[str, str], *, version_us: int) -> Write:
    """Return a write that settles the document as it was at that version, and nothing later."""
    kept = MapValue(fields={key: Value(string_value=value) for key, value in outcome.items()})
    fields = {"state": Value(string_value="settled"), "outcome": Value(map_value=kept)}
    return Write(
        update=Document(name=name, fields=fields),
        update_mask=DocumentMask(field_paths=list(fields)),
        current_document=_unchanged(version_us),
    )


def deletion(name: str, *, version_us: int) -> Write:
    """Return a write that deletes the document as it was at that version, and nothing later."""
    return Write(delete=name, current_document=_unchanged(version_us))


def target(write: Write) -> str:
    """Return the name of the document that a write is about."""
    return str(write.update.name or write.delete)


def held(document: Document) -> Held:
    """Return what a key's document says."""
    raw = Document.pb(document)
    fields = raw.fields
    return Held(
        state=fields["state"].string_value,
        owner=fields["owner"].string_value,
        payload_sha256=fields["payload_sha256"].string_value,
        outcome={key: value.string_value for key, value in fields["outcome"].map_value.fields.items()},
        lease_expires_at=fields["lease_expires_at"].timestamp_value.ToDatetime(UTC),
        expires_at=fields["expires_at"].timestamp_value.ToDatetime(UTC),
        version_us=micros(raw.update_time),
    )


def micros(time: Timestamp) -> int:
    """Return an update time in microseconds since 1970, which is as fine as Firestore's are."""
    return int(time.seconds) * MICROS + int(time.nanos) // 1000


def _document(ask: Ask) -> Document:
    return Document(
        name=ask.name,
        fields={
            "state": Value(string_value="claimed"),
            "owner": Value(string_value=ask.owner),
            "payload_sha256": Value(string_value=ask.payload_sha256),
            "lease_expires_at": Value(timestamp_value=ask.lease_expires_at),
            "expires_at": Value(timestamp_value=ask.expires_at),
        },
    )


def _unchanged(version_us: int) -> Precondition:
    seconds, rest = divmod(version_us, MICROS)
    return Precondition(update_time=Timestamp(seconds=seconds, nanos=rest * 1000))
