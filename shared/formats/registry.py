"""Every format that a payload can come in, and which one a delivery is in. Pure: no I/O.

THE place to add a format: one more entry in `_TABLE`, with a reader of bytes. A further X12 transaction set is a line
of `x12/reader.py`, a further FHIR resource one of `fhir/reader.py`, a further event of our own one of `canonical.py`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from shared.domain.claims import Delivery, Record
from shared.formats.canonical import read_canonical
from shared.formats.fhir.reader import read_fhir
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
    """A way to write records. looks_like: whether a body is in it, at a glance. read: raises UnreadableError only.

    content_types: those that mean this format and no other, for a body that looks like none.
    """

    name: str
    content_types: frozenset[str]
    looks_like: Callable[[bytes], bool]
    read: Callable[[bytes], Iterator[Record]]


def _looks_like_json(body: bytes) -> bool:
    return body[:_HEAD].lstrip(_BLANK)[:1] in {b"{", b"["}


def _looks_like_fhir(body: bytes) -> bool:
    return _looks_like_json(body) and b'"resourceType"' in body


def _looks_like_x12(body: bytes) -> bool:
    return _X12(body[:_HEAD]) is not None


# The first that a body looks like is its format.
_TABLE: Final = (
    Format(
        "fhir", frozenset({"application/fhir+json", "application/json+fhir"}), _looks_like_fhir, read_fhir
    ),
    Format("canonical", frozenset({"application/json"}), _looks_like_json, read_canonical),
    Format("x12", frozenset({"application/edi-x12", "application/x12"}), _looks_like_x12, read_x12),
)
_BY_NAME: Final = {entry.name: entry for entry in _TABLE}

FORMATS: Final = tuple(_BY_NAME)


def read(delivery: Delivery) -> Iterator[Record]:
    """Yield what a payer's payload states, in its order, each record as soon as it is complete.

    A connection's format, where it names one, is taken at its word. `auto` looks at the body, and at the content type
    only where the body looks like nothing: senders label X12 as text, JSON or nothing at all.
    Raises:
        UnreadableError: at any point, also after records were yielded: keep none of them then. The place says what is
            at fault; `unknown_format` where we have no reader for it. No payload raises anything else.
    """
    return _format_of(delivery).read(delivery.body)


def _format_of(delivery: Delivery) -> Format:
    if delivery.format != AUTO:
        found = _BY_NAME.get(delivery.format)
    else:
        kind = delivery.content_type.partition(";")[0].strip().lower()
        looks = (entry for entry in _TABLE if entry.looks_like(delivery.body))
        labelled = (entry for entry in _TABLE if kind in entry.content_types)
        found = next(looks, None) or next(labelled, None)
    if found is None:
        raise UnreadableError("no format that we read", place="byte 0", code="unknown_format")
    return found
