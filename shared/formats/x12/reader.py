"""Reads X12 payloads: one table of transaction sets, one reader each. Pure: no I/O."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Final

from shared.domain.claims import Record
from shared.formats.x12.acknowledgement import read_acknowledgements, read_interchange_acknowledgement
from shared.formats.x12.elements import ElementError
from shared.formats.x12.envelope import Envelope, Transaction
from shared.formats.x12.interchange import Interchange, Stream, interchanges
from shared.formats.x12.remittance import read_remittance
from shared.formats.x12.repeats import tell_apart
from shared.formats.x12.review import read_reviews
from shared.formats.x12.status import read_statuses
from shared.formats.x12.submission import read_submissions
from shared.runtime.errors import UnreadableError

# ST01 → reader. A further transaction set is one more line; those that one ST01 covers are told apart by `guide`.
TRANSACTION_SETS: Final[Mapping[str, Callable[[Transaction], Iterator[Record]]]] = {
    "835": read_remittance,
    "837": read_submissions,
    "277": read_statuses,
    "278": read_reviews,
    "999": read_acknowledgements,
}


def read_x12(body: bytes) -> Iterator[Record]:
    """Yield the records of a payload, as `read_stream` does."""
    return read_stream(BytesIO(body))


def read_stream(stream: Stream) -> Iterator[Record]:
    """Yield the records of every transaction set of every interchange, in the payload's order.

    No more of it is held than one block and one claim's loop, whatever its size.

    Findings about an interchange's trailer come with its last record.
    Raises:
        UnreadableError: not X12, damaged beyond sense, or (`unknown_format`) a transaction set without a reader. The
            place is a path such as `ISA[1]/GS[1]/ST[2]/CLP[3]`, each number counted within what is left of it.
    Source: ASC X12.5, X12.6.
    """
    yield from tell_apart(
        record for interchange in interchanges(stream) for record in _read_interchange(interchange)
    )


def _read_interchange(interchange: Interchange) -> Iterator[Record]:
    envelope = Envelope(interchange)
    last: Record | None = None
    for record in _read_sets(envelope):
        if last is not None:
            yield last
        last = record
    if last is None:
        raise UnreadableError("no transaction set in it", place=interchange.place, code="unknown_format")
    yield replace(last, findings=last.findings + envelope.take_findings())


def _read_sets(envelope: Envelope) -> Iterator[Record]:
    """Yield the records of an interchange's sets, then what it says of interchanges of ours."""
    for transaction in envelope.transactions():
        read = TRANSACTION_SETS.get(transaction.kind)
        if read is None:
            raise UnreadableError(
                "a transaction set we do not read", place=transaction.place, code="unknown_format"
            )
        yield from read(transaction)
    for number, ta1 in enumerate(envelope.acknowledged, 1):
        try:
            yield read_interchange_acknowledgement(ta1, envelope.sender)
        except ElementError as exc:
            place = f"{envelope.place}/TA1[{number}]"
            raise UnreadableError(f"{exc.element} is {exc.detail}", place=place) from exc
