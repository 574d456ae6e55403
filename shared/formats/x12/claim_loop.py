"""One CLP loop of an 835: a claim's payment and its service lines, while its segments come. Pure: no I/O.

Source: 005010X221A1 and 004010X091A1, loops 2100 (claim payment) and 2110 (service payment).
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from hashlib import sha256
from typing import Final

from shared.domain.claims import (
    Adjustment,
    ClaimPayment,
    Finding,
    Remittance,
    ServiceLine,
)
from shared.formats.decision import CLAIM_STATUS, PATIENT_OWES, Stated, decide
from shared.formats.x12.claim_numbers import number_of
from shared.formats.x12.elements import (
    Segment,
    amount,
    code,
    day,
    element,
    optional_amount,
    required,
    text,
)
from shared.formats.x12.line_loop import LINE_DATES, LineLoop
from shared.formats.x12.names import patient, rendering_provider

_DIGITS: Final = 16
_CLAIM_DATES: Final = frozenset({"232"})


class ClaimLoop:
    """A CLP loop while its segments come. CLAIM_SEGMENTS says which method each segment goes to; then `close`.

    Reasons, remarks and dates are the claim's until its first SVC, and then that line's.
    Raises:
        ElementError: from every method, for an element that cannot mean what it should.
    """

    __slots__ = (
        "_clp",
        "_component",
        "_findings",
        "_line",
        "_lines",
        "_names",
        "_place",
        "adjustments",
        "remarks",
        "service_on",
    )

    def __init__(self, clp: Segment, *, place: str, component: str) -> None:
        self._clp = clp
        self._place = place
        self._component = component
        self._names: dict[str, Segment] = {}
        self._lines: list[ServiceLine] = []
        self._line: LineLoop | None = None
        self._findings: list[Finding] = []
        self.service_on: date | None = None
        self.adjustments: list[Adjustment] = []
        self.remarks: list[str] = []

    @property
    def place(self) -> str:
        """Where the loop stands: in the claim, or in one of its lines."""
        return self._line.place if self._line else self._place

    def take_svc(self, svc: Segment) -> None:
        """Begin the next service line."""
        self._close_line()
        self._line = LineLoop(svc, f"{self._place}/SVC[{len(self._lines) + 1}]")

    def take_cas(self, cas: Segment) -> None:
        """Add up to six reasons: triplets of code, amount and quantity."""
        line = len(self._lines) + 1 if self._line else 0
        add = (self._line or self).adjustments.append
        group, count = code(cas, 1), len(cas)
        for at in range(2, count, 3):
            if cas[at].strip() or element(cas, at + 1):
                quantity = cas[at + 2].strip() if at + 2 < count else ""
                add(Adjustment(group, code(cas, at), amount(cas, at + 1), quantity, line))

    def take_nm1(self, nm1: Segment) -> None:
        """Note a person or provider by role."""
        self._names.setdefault(element(nm1, 1), nm1)

    def take_dtm(self, dtm: Segment) -> None:
        """Note when the service began."""
        holder: ClaimLoop | LineLoop = self._line or self
        if element(dtm, 1) not in (LINE_DATES if self._line else _CLAIM_DATES):
            return
        holder.service_on = day(element(dtm, 2))
        if holder.service_on is None:
            self._find("invalid_date", f"{self.place}/DTM", "not a date")

    def take_amt(self, amt: Segment) -> None:
        """Note what the payer allows for a line (B6)."""
        if self._line and element(amt, 1) == "B6":
            self._line.allowed_cents = amount(amt, 2)

    def take_lq(self, lq: Segment) -> None:
        """Note a remark code (RARC) of a line."""
        if element(lq, 1) == "HE":
            (self._line or self).remarks.append(code(lq, 2))

    def take_mia(self, mia: Segment) -> None:
        """Note an inpatient claim's remark codes."""
        self.remarks += [code(mia, at) for at in (5, 20, 21, 22, 23) if element(mia, at)]

    def take_moa(self, moa: Segment) -> None:
        """Note an outpatient claim's remark codes."""
        self.remarks += [code(moa, at) for at in (3, 4, 5, 6, 7) if element(moa, at)]

    def skip(self, segment: Segment) -> None:
        """Take a segment that says nothing of what we keep."""

    def close(self, remittance: Remittance, position: int) -> ClaimPayment:
        """Return the payment, after the loop's last segment."""
        self._close_line()
        clp, lines = self._clp, tuple(self._lines)
        charge_cents, paid_cents = amount(clp, 3), amount(clp, 4)
        stated = CLAIM_STATUS.get(code(clp, 2), Stated.PROCESSED)
        reasons = [*self.adjustments, *(reason for line in lines for reason in line.adjustments)]
        patient_cents = _patient_cents(clp, reasons, stated)
        self._balance(charge_cents, paid_cents, reasons, stated)
        payers_number = text(clp, 7)
        return ClaimPayment(
            remittance=remittance,
            position=position,
            claim_number=number_of(
                required(clp, 1), remittance.payer, payers_number or _place_in(remittance, position)
            ),
            payer_claim_number=payers_number,
            status=decide(
                stated=stated,
                charge_cents=charge_cents,
                paid_cents=paid_cents,
                patient_cents=patient_cents,
                reasons=[reason for reason in reasons if reason.amount_cents > 0],
            ),
            status_code=code(clp, 2),
            charge_cents=charge_cents,
            paid_cents=paid_cents,
            patient_cents=patient_cents,
            patient=patient(self._names),
            provider=rendering_provider(self._names) or remittance.payee,
            allowed_cents=_sum_if_all(line.allowed_cents for line in lines),
            decided_on=remittance.decided_on,
            service_on=self.service_on or (lines[0].service_on if lines else None),
            adjustments=tuple(self.adjustments),
            lines=lines,
            remarks=tuple(self.remarks),
            findings=tuple(self._findings),
        )

    def _close_line(self) -> None:
        if self._line is None:
            return
        line = self._line.close(self._component)
        if line.charge_cents - sum(reason.amount_cents for reason in line.adjustments) != line.paid_cents:
            self._find("line_unbalanced", self._line.place, "SVC02 less its adjustments is not SVC03")
        self._lines.append(line)
        self._line = None

    def _balance(self, charge_cents: int, paid_cents: int, reasons: list[Adjustment], stated: Stated) -> None:
        if charge_cents - sum(reason.amount_cents for reason in reasons) != paid_cents:
            self._find("claim_unbalanced", self._place, "CLP03 less its adjustments is not CLP04")
        if stated is Stated.NOT_DECIDED:
            self._find("not_decided", self._place, "CLP02 says that no payment was decided")
        if stated is Stated.DENIED and paid_cents:
            self._find("denied_but_paid", self._place, "CLP02 says denied, CLP04 is not zero")

    def _find(self, finding: str, place: str, detail: str) -> None:
        self._findings.append(Finding(finding, place, detail))


def _place_in(remittance: Remittance, position: int) -> str:
    """Return what tells a claim without any number from all others: its place in its advice."""
    return f"{sha256(remittance.key.encode()).hexdigest()[:_DIGITS]}/{position + 1}"


def _patient_cents(clp: Segment, reasons: Iterable[Adjustment], stated: Stated) -> int:
    """Return the patient's share: CLP05; of a reversal, which takes the share back by its CAS alone, the PR reasons.

    Source: 005010X221A1, 1.10.2.8 "Reversals and Corrections".
    """
    if stated is Stated.REVERSED:
        return sum(reason.amount_cents for reason in reasons if reason.group == PATIENT_OWES)
    return optional_amount(clp, 5)


def _sum_if_all(amounts: Iterable[int | None]) -> int | None:
    known = list(amounts)
    present = [amount for amount in known if amount is not None]
    return sum(present) if present and len(present) == len(known) else None


CLAIM_SEGMENTS: Final[Mapping[str, Callable[[ClaimLoop, Segment], None]]] = {
    "SVC": ClaimLoop.take_svc,
    "CAS": ClaimLoop.take_cas,
    "NM1": ClaimLoop.take_nm1,
    "DTM": ClaimLoop.take_dtm,
    "AMT": ClaimLoop.take_amt,
    "LQ": ClaimLoop.take_lq,
    "MIA": ClaimLoop.take_mia,
    "MOA": ClaimLoop.take_moa,
    "REF": ClaimLoop.skip,
    "QTY": ClaimLoop.skip,
    "PER": ClaimLoop.skip,
}
