"""What adds up over an 835: its claims, their payments and the provider-level adjustments. Pure: no I/O.

Source: 005010X221A1, section 1.10.2 (balancing) and table 3 (PLB).
"""

from collections.abc import Iterator
from typing import Final

from shared.domain.claims import Adjustment, ClaimPayment, Finding, Remittance, RemittanceSummary
from shared.domain.money import MAX_CENTS
from shared.formats.x12.claim_loop import ClaimLoop
from shared.formats.x12.elements import Segment, amount, code, components, element
from shared.formats.x12.envelope import Transaction
from shared.runtime.errors import UnreadableError

_BETWEEN_CLAIMS: Final = frozenset({"LX", "TS2", "TS3"})


class Advice:
    """What adds up over a transaction set: its claims, their payments and the provider-level adjustments."""

    def __init__(self, transaction: Transaction, remittance: Remittance, findings: list[Finding]) -> None:
        self._transaction = transaction
        self._remittance = remittance
        self._findings = findings
        self._claims = self._claims_paid_cents = 0
        self._adjustments: list[Adjustment] = []
        self.claim: ClaimLoop | None = None

    @property
    def place(self) -> str:
        """Where reading stands."""
        return self.claim.place if self.claim else self._transaction.place

    def take(self, index: int, segment: Segment) -> None:
        """Begin a claim, or take a segment between claims.

        Raises:
            UnreadableError: it belongs to a claim and there is none, or to no 835.
        """
        if segment[0] == "CLP":
            place = f"{self._transaction.place}/CLP[{self._claims + 1}]"
            self.claim = ClaimLoop(segment, place=place, component=self._transaction.component)
        elif segment[0] == "PLB":
            self._take_plb(segment)
        elif segment[0] not in _BETWEEN_CLAIMS:
            raise self._transaction.misplaced(index, segment)

    def end_claim(self) -> Iterator[ClaimPayment]:
        """Yield the claim whose loop is open, if one is."""
        if self.claim is None:
            return
        payment = self.claim.close(self._remittance, self._claims)
        self.claim = None
        self._claims += 1
        self._claims_paid_cents += payment.paid_cents
        yield payment

    def close(self, index: int, se: Segment) -> RemittanceSummary:
        """Return the advice, with all that does not add up in it."""
        self._balance()
        return RemittanceSummary(
            remittance=self._remittance,
            claim_count=self._claims,
            claims_paid_cents=self._claims_paid_cents,
            adjustments=tuple(self._adjustments),
            findings=(*self._findings, *self._transaction.close(index, se)),
        )

    def _take_plb(self, plb: Segment) -> None:
        """Add up to six pairs of reason and amount. A positive amount lowers the payment."""
        for at in range(3, len(plb), 2):
            if element(plb, at) or element(plb, at + 1):
                plb[at] = components(plb, at, self._transaction.component)[0]
                self._adjustments.append(Adjustment("", code(plb, at), amount(plb, at + 1)))

    def _balance(self) -> None:
        place = f"{self._transaction.place}/BPR"
        adjusted = sum(adjustment.amount_cents for adjustment in self._adjustments)
        if abs(self._claims_paid_cents) > MAX_CENTS or abs(adjusted) > MAX_CENTS:
            raise UnreadableError("larger than any real remittance", place=place)
        if self._claims_paid_cents - adjusted != self._remittance.paid_cents:
            detail = "BPR02 is not the sum of CLP04 less the sum of PLB"
            self._findings.append(self._transaction.found("remittance_unbalanced", place, detail))
