"""Claims that an answer names by what their server calls them, under the numbers that they go by."""

from collections.abc import Sequence
from dataclasses import replace

from shared.domain.claims import ClaimPayment, Record, SubmittedClaim
from shared.ports.record import EventTransaction


def under_their_numbers(records: Sequence[Record], transaction: EventTransaction) -> Sequence[Record]:
    """Return the records; a payment whose claim has a name only under that claim's number, where it is known."""
    asked = {r.claim_name for r in records if isinstance(r, ClaimPayment) and r.claim_name}
    noted = {
        r.claim_name: r.claim_number for r in records if isinstance(r, SubmittedClaim) and r.is_named_besides
    }
    if not asked and not noted:
        return records
    numbers = transaction.claim_numbers(asked, noted)
    return [
        _under_its_number(r, numbers.get(r.claim_name)) if isinstance(r, ClaimPayment) else r for r in records
    ]


def _under_its_number(payment: ClaimPayment, number: str | None) -> ClaimPayment:
    return replace(payment, claim_number=number) if number else payment
