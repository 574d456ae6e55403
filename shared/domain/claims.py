"""Claims, what payers decide about them, and the remittances that pay them. Pure values.

Money is cents. Dates keep the payer's precision: a bare date stays a date, and no midnight is invented.
Patient data lives in `Patient` only, so that everything else may be logged and published.
"""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

MAX_UNITS_DIGITS: Final = 6


class PaymentStatus(StrEnum):
    """What one claim payment says, read from amounts and adjustments rather than from CLP02 alone.

    `shared/formats/decision.py` says how each is told from the others.
    """

    PAID = (
        "paid"  # nothing was denied, even where the price is below the charge or the patient owes all of it
    )
    PARTIALLY_PAID = "partially_paid"  # some was paid, and some denied
    DENIED = "denied"
    REVERSED = "reversed"  # its amounts are negative: they take an earlier payment back


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a file that does not hold, at a place, and that does not stop the rest from being read.

    place: a segment (`ST[1]/CLP[2]`) or a JSON path (`$.item[0].adjudication`). Never carries a patient's data.
    """

    code: str
    place: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """Who was treated. The only type with patient data: stored, never logged or published."""

    name: str = ""
    member_id: str = ""
    born_on: date | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """A payer or provider. id: as the file names it (payer id, NPI), else empty."""

    name: str = ""
    id: str = ""

    @property
    def key(self) -> str:
        """What rows of one party share: its name without case and punctuation, else its id. Empty if it has neither."""
        return "-".join("".join(c if c.isalnum() else " " for c in (self.name or self.id).lower()).split())


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Why a payer paid other than was charged: one CAS triplet, PLB pair or FHIR adjudication.

    group: CO, PR, OA, PI or CR; a PLB has none. carc: claim adjustment reason code (for PLB, its PLB03-1 code).
    line: 1-based service line; 0 is the whole claim. Positive amounts lower what is paid.
    """

    group: str
    carc: str
    amount_cents: int
    quantity: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """One billed service. procedure: CPT/HCPCS or dental code, as an opaque code."""

    procedure: str
    charge_cents: int
    paid_cents: int = 0
    allowed_cents: int | None = None
    modifiers: tuple[str, ...] = ()
    units: str = ""
    service_on: date | None = None
    adjustments: tuple[Adjustment, ...] = ()
    remarks: tuple[str, ...] = ()


def whole_units(text: str) -> int:
    """Return the whole units billed; what is no whole number, or one that nobody bills, counts as one."""
    believable = text.isascii() and text.isdigit() and len(text) <= MAX_UNITS_DIGITS
    return max(int(text), 1) if believable else 1


@dataclass(frozen=True, slots=True)
class Remittance:
    """One payment advice: an 835 transaction set, or the payment that a FHIR resource names.

    key: what tells this advice from every other of the payer (trace number, issuer, date, amount), so that the same
        advice sent again under another delivery id is the same advice.
    decided_source: where `decided_on` was read: `DTM405`, `BPR16`, `GS04`, `created`, `payment.date`, `decided_on` or
        empty.
    """

    key: str
    payer: Party
    payee: Party
    trace_number: str
    method: str
    paid_cents: int
    decided_on: date | None
    decided_source: str = ""


@dataclass(frozen=True, slots=True)
class ClaimPayment:
    """What one payer decided of one claim in one advice: a CLP loop, a ClaimResponse or an ExplanationOfBenefit.

    position: 0-based place among the advice's claims; with `remittance.key` it identifies the payment even where a
        file repeats claim numbers. status_code: CLP02 or the FHIR outcome, as sent.
    adjustments, remarks: those of the whole claim; a line's are in its line.
    """

    remittance: Remittance
    position: int
    claim_number: str
    payer_claim_number: str
    status: PaymentStatus
    status_code: str
    charge_cents: int
    paid_cents: int
    patient_cents: int
    patient: Patient
    provider: Party = Party()
    allowed_cents: int | None = None
    decided_on: date | None = None
    service_on: date | None = None
    diagnoses: tuple[str, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    lines: tuple[ServiceLine, ...] = ()
    remarks: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class RemittanceSummary:
    """The end of one advice: its provider-level adjustments (PLB) and what did not add up. Follows its payments."""

    remittance: Remittance
    claim_count: int
    claims_paid_cents: int
    adjustments: tuple[Adjustment, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class SubmittedClaim:
    """A claim as the provider sent it. use: claim, preauthorization or predetermination (FHIR `Claim.use`)."""

    claim_number: str
    payer: Party
    provider: Party
    patient: Patient
    charge_cents: int
    use: str = "claim"
    frequency: str = "1"
    original_claim_number: str = ""
    authorization_number: str = ""
    submitted_on: date | None = None
    service_on: date | None = None
    diagnoses: tuple[str, ...] = ()
    lines: tuple[ServiceLine, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Authorization:
    """A payer's permission for a service, or its renewal, as a payer or EHR states it.

    status: active, denied or pended.
    """

    number: str
    payer: Party
    patient: Patient
    procedure: str
    status: str
    effective_on: date | None = None
    expires_on: date | None = None
    units_authorized: int | None = None
    units_used: int | None = None
    stated_on: date | None = None
    findings: tuple[Finding, ...] = ()


Record = ClaimPayment | RemittanceSummary | SubmittedClaim | Authorization


@dataclass(frozen=True, slots=True)
class Delivery:
    """A payer's payload on its way to a parser. format: `auto`, or a name in `shared/formats/registry.py`."""

    body: bytes = field(repr=False)
    content_type: str = ""
    format: str = "auto"
