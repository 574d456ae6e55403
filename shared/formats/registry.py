"""Every format that a payload can come in, and which one a delivery is in. Pure: no I/O.

THE place to add a format: one more entry in `_TABLE`, with a reader of bytes. A further X12 transaction set is a line
of `x12/reader.py`, a further FHIR resource one of `fhir/reader.py`, a further event of our own one of `canonical.py`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from shared.domain.claims import Delivery, Record
from shared.formats.canonical import read_canonical, read_canonical_value
from shared.formats.cloud_events import read_cloud_event
from shared.formats.fhir.local import scoped
from shared.formats.fhir.reader import read_fhir, read_fhir_value
from shared.formats.json_text import Json
from shared.formats.stedi import read_stedi, read_stedi_value
from shared.formats.x12.reader import read_x12
from shared.runtime.errors import UnreadableError

AUTO: Final = "auto"

_BLANK: Final = b"\xef\xbb\xbf \t\r\n"
_HEAD: Final = 4096  # prose that may stand before X12
_X12 = re.compile(
    rb"(?<![A-Za-z0-9])(?:ISA[^A-Za-z0-9 \r\n]|GS[^\w\s][A-Z]{2}[^\w\s]|ST[^\w\s][0-9]{3}[^\w\s])"
).search


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write records. looks_like: why a body is taken for it, at a glance; empty if it is not.

    read: raises UnreadableError only. content_types: those that mean this format and no other, for a body that looks
    like none. local_names: whether it, or what it wraps, may name things as one server alone does.
    """

    name: str
    content_types: frozenset[str]
    looks_like: Callable[[bytes], str]
    read: Callable[[bytes], Iterator[Record]]
    local_names: bool = True


@dataclass(frozen=True, slots=True)
class Detected:
    """The format that a delivery is read in, and why."""

    format: Format
    because: str


def _looks_like_json(body: bytes) -> str:
    return "it begins as JSON does" if body[:_HEAD].lstrip(_BLANK)[:1] in {b"{", b"["} else ""


def _json_with(name: bytes, what: str) -> Callable[[bytes], str]:
    """Return a look at whether a body is JSON that has a member of this name."""
    quoted = b'"' + name + b'"'
    return lambda body: what if quoted in body and _looks_like_json(body) else ""


def _looks_like_stedi(body: bytes) -> str:
    if not _looks_like_json(body):
        return ""
    if b'"detail-type"' in body:
        return "JSON with a detail-type, as Stedi's events have"
    thin = b'"relatedResources"' in body and b'"resource"' in body
    return "JSON that names resources, as Stedi's thin events do" if thin else ""


def _looks_like_x12(body: bytes) -> str:
    return "an ISA, GS or ST segment near its beginning" if _X12(body[:_HEAD]) else ""


def _read_enveloped(body: bytes) -> Iterator[Record]:
    return read_cloud_event(body, read_bytes=_read_inner, read_value=_read_inner_value)


def _read_inner(body: bytes, content_type: str) -> Iterator[Record]:
    """Read what an envelope holds as bytes; never another envelope."""
    found = _detect(Delivery(body, content_type), _TABLE[1:])
    return found.format.read(body)


def _read_inner_value(value: Json, place: str) -> Iterator[Record]:
    if "resourceType" in value:
        return read_fhir_value(value, place)
    if "detail-type" in value or "relatedResources" in value:
        return read_stedi_value(value, place)
    return read_canonical_value(value, place)


# The first that a body looks like is its format.
_TABLE: Final = (
    Format(
        "cloudevents",
        frozenset({"application/cloudevents+json"}),
        _json_with(b"specversion", "JSON with a specversion, as a CloudEvent has"),
        _read_enveloped,
    ),
    Format("stedi", frozenset(), _looks_like_stedi, read_stedi),
    Format(
        "fhir",
        frozenset({"application/fhir+json", "application/json+fhir"}),
        _json_with(b"resourceType", "JSON with a resourceType, as FHIR has"),
        read_fhir,
    ),
    Format("canonical", frozenset({"application/json"}), _looks_like_json, read_canonical),
    Format(
        "x12",
        frozenset({"application/edi-x12", "application/x12"}),
        _looks_like_x12,
        read_x12,
        local_names=False,
    ),
)
_BY_NAME: Final = {entry.name: entry for entry in _TABLE}

FORMATS: Final = tuple(_BY_NAME)


def read(delivery: Delivery) -> Iterator[Record]:
    """Yield what a payer's payload states, in its order, each record as soon as it is complete.

    A name that one server alone knows (FHIR) has the delivery's connection before it, so that no two servers share one.
    Raises:
        UnreadableError: at any point, also after records were yielded: keep none of them then. The place says what is
            at fault; `unknown_format` where we have no reader for it. No payload raises anything else.
    """
    found = detect(delivery).format
    records = found.read(delivery.body)
    if not found.local_names:
        return records
    return (scoped(record, delivery.connection_id) for record in records)


def detect(delivery: Delivery) -> Detected:
    """Return the format of a delivery, and why it is taken for that.

    A connection's format, where it names one, is taken at its word. `auto` looks at the body, and at the content type
    only where the body looks like nothing: senders label X12 as text, JSON or nothing at all.
    Raises:
        UnreadableError: `unknown_format`.
    """
    if delivery.format == AUTO:
        return _detect(delivery, _TABLE)
    found = _BY_NAME.get(delivery.format)
    if found is None:
        raise UnreadableError("no format that we read", place="byte 0", code="unknown_format")
    return Detected(found, "the connection names it")


def _detect(delivery: Delivery, table: tuple[Format, ...]) -> Detected:
    for entry in table:
        if because := entry.looks_like(delivery.body):
            return Detected(entry, because)
    kind = delivery.content_type.partition(";")[0].strip().lower()
    for entry in table:
        if kind in entry.content_types:
            return Detected(entry, f"its content type is {kind}, and it looks like nothing else")
    raise UnreadableError("no format that we read", place="byte 0", code="unknown_format")
