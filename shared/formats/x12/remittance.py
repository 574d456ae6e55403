"""Health care claim payment advice (835): claim payments as each claim's loop ends, then the advice itself. Pure.

Source: 005010X221A1 and 004010X091A1.
"""

from collections.abc import Iterator
from itertools import chain

from shared.domain.claims import ClaimPayment, RemittanceSummary
from shared.formats.x12.claim_loop import CLAIM_SEGMENTS
from shared.formats.x12.elements import ElementError, Segment
from shared.formats.x12.envelope import Transaction
from shared.formats.x12.loops import located
from shared.formats.x12.remittance_header import HEADER_SEGMENTS, Header
from shared.formats.x12.remittance_sums import Advice


def read_remittance(transaction: Transaction) -> Iterator[ClaimPayment | RemittanceSummary]:
    """Yield the advice's claim payments in order, each once its loop has ended, then its summary.

    Amounts are in cents. `decided_on` is the advice's for each of its claims.
    Raises:
        UnreadableError: a required element is missing or no amount, a segment stands where its meaning is lost, or the
            transaction set is cut off. What was yielded before is part of an advice that did not end: drop it.
    Source: 005010X221A1, 004010X091A1.
    """
    header = Header()
    try:
        follows = _read_header(header, transaction)
        remittance = header.close(transaction, follows[1])
    except ElementError as exc:
        raise located(transaction.place, exc) from exc
    advice = Advice(transaction, remittance, list(header.findings(transaction.place)))
    try:
        for index, segment in chain([follows], transaction.segments):
            claim, take = advice.claim, CLAIM_SEGMENTS.get(segment[0])
            if take is not None and claim is not None:
                take(claim, segment)
                continue
            yield from advice.end_claim()
            if segment[0] == "SE":
                yield advice.close(index, segment)
                return
            advice.take(index, segment)
    except ElementError as exc:
        raise located(advice.place, exc) from exc
    raise transaction.truncated()


def _read_header(header: Header, transaction: Transaction) -> tuple[int, Segment]:
    """Give the header its segments, and return the first that is not one of them."""
    for index, segment in transaction.segments:
        take = HEADER_SEGMENTS.get(segment[0])
        if take is None:
            return index, segment
        take(header, segment)
    raise transaction.truncated()
