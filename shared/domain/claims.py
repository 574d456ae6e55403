"""Claims and authorizations, what payers say of them, and the remittances that pay them. Pure values.

Money is cents. Dates keep the payer's precision: a bare date stays a date, and no midnight is invented.
Patient data lives in `Patient` only, so that everything else may be logged and published.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple

MAX_UNITS_DIGITS: Final = 6
SEVERITIES: Final[Mapping[str, str]] = {
    # what was paid, or for which claim, is in doubt
    "claim_unbalanced": "error",
    "line_unbalanced": "error",
    "remittance_unbalanced": "error",
    "payment_unbalanced": "error",
    "totals_unbalanced": "error",
    "denied_but_paid": "error",
    "foreign_currency": "error",
    "charge_missing": "error",
    "provider_missing": "error",
    "subscriber_missing": "error",
    "payer_missing": "error",
    "line_missing": "error",
    # the form is at fault, and nothing that it says
    "isa_width": "info",
    "text_before_interchange": "info",
    "hl_number": "info",
    "line_number": "info",
    "unknown_code": "info",
}  # all others: warning


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
    NOT_DECIDED = "not_decided"  # pended, passed on or only priced: no decision yet, and no money


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a file that does not hold, at a place, and that does not stop the rest from being read.

    place: a segment (`ST[1]/CLP[2]`) or a JSON path (`$.item[0].adjudication`). Never carries a patient's data.
    """

    code: str
    place: str
    detail: str = ""

    @property
    def severity(self) -> str:
        """How much it matters: error (money or identity is in doubt), warning, or info (the file is merely untidy)."""
        return SEVERITIES.get(self.code, "warning")


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


class Adjustment(NamedTuple):
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
    whole, _, part = text.partition(".")
    believable = (
        whole.isascii() and whole.isdigit() and len(whole) <= MAX_UNITS_DIGITS and not part.strip("0")
    )
    return max(int(whole), 1) if believable else 1


@dataclass(frozen=True, slots=True)
class Remittance:
    """One payment advice: an 835 transaction set, or the payment that a FHIR resource names.

    key: what tells this advice from every other of the payer (trace number, issuer, date, amount, first claim), so that
        the same advice sent again under another delivery id is the same advice.
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
    resource_key, resource_version: of a FHIR resource that says which version of itself it is, what tells it from other
        resources, and what orders its versions as text. A payer updates it in place: the newest version counts.
    claim_name: what a server calls the claim (connection and `Claim/1`), where it says nothing else of which it is.
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
    resource_key: str = ""
    resource_version: str = ""
    claim_name: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def reasons(self) -> tuple[Adjustment, ...]:
        """All adjustments, the claim's and its lines'."""
        return self.adjustments + tuple(a for line in self.lines for a in line.adjustments)


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
    """A claim as the provider sent it.

    use: claim, or predetermination for a price asked in advance. original_claim_number: the payer's number of the claim
    that this one replaces (frequency 7) or voids (8). payer_rank: 1 for the payer that is asked first, 2 for the next.
    batch_number, set_number: what a 277CA and a 999 answer to. claim_name: what its FHIR server calls it, with the
    connection: answers may name it so.
    """

    claim_number: str
    payer: Party
    provider: Party
    patient: Patient
    charge_cents: int
    use: str = "claim"
    frequency: str = "1"
    original_claim_number: str = ""
    payer_rank: int = 1
    authorization_number: str = ""
    clearinghouse_number: str = ""
    batch_number: str = ""
    set_number: str = ""
    claim_name: str = ""
    submitted_on: date | None = None
    service_on: date | None = None
    diagnoses: tuple[str, ...] = ()
    lines: tuple[ServiceLine, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def is_named_besides(self) -> bool:
        """Whether answers may call it by its server's name, while it goes by a number of its own."""
        return self.use == "claim" and self.claim_name not in {"", self.claim_number}


@dataclass(frozen=True, slots=True)
class Authorization:
    """A payer's permission for a service, or its renewal, as a payer or EHR states it.

    number: empty where the payer gave none, as for most that are pended; `trace_number` then tells which request it is.
    status: active, denied, pended, or not_considered where the request itself was at fault (278 AAA).
    trace_number: what the request called itself (278 TRN02, else BHT03; FHIR's identifier of the request).
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
    trace_number: str = ""
    reason: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A provider's request for an authorization: a 278 request, or a FHIR Claim with `use=preauthorization`.

    trace_number: what the payer's answer repeats. kind: UM01 (AR admission, HS service, SC referral, IN reservation),
    or `preauthorization`. previous_number: the authorization that this one prolongs or changes.
    """

    trace_number: str
    payer: Party
    provider: Party
    patient: Patient
    kind: str = ""
    previous_number: str = ""
    requested_on: date | None = None
    service_on: date | None = None
    diagnoses: tuple[str, ...] = ()
    lines: tuple[ServiceLine, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusCode:
    """One composite of a claim's status: its category, the status in it, and whom it is about. Opaque codes.

    Source: X12 code lists 507 (category), 508 (status) and element 98 (entity).
    """

    category: str
    status: str = ""
    entity: str = ""


@dataclass(frozen=True, slots=True)
class LineStatus:
    """Where one service line stands, where the payer says so by line."""

    procedure: str
    codes: tuple[StatusCode, ...]
    charge_cents: int = 0
    paid_cents: int = 0


@dataclass(frozen=True, slots=True)
class ClaimStatus:
    """Where a payer or clearinghouse says that a claim stands: one traced loop of a 277 or 277CA.

    kind: `acknowledgement` (277CA: was it taken) or `status` (277: what became of it).
    level: whose submissions it speaks of: `claim`, `provider` or `receiver`. Above `claim` it names no claim, and a
        rejection there rejects all that is below.
    claim_number: ours (REF*EJ; of an acknowledgement TRN02), else the payer's with whose it is; empty above `claim`.
    trace_number: TRN02.
    standing: `shared/formats/standing.py` says how it follows from the codes. action: STC03, `WQ` or `U`.
    paid_cents: None where the form has no place for it.
    """

    kind: str
    level: str
    standing: str
    codes: tuple[StatusCode, ...]
    payer: Party
    provider: Party
    patient: Patient
    trace_number: str
    claim_number: str = ""
    payer_claim_number: str = ""
    clearinghouse_number: str = ""
    action: str = ""
    charge_cents: int = 0
    paid_cents: int | None = None
    stated_on: date | None = None
    decided_on: date | None = None
    check_number: str = ""
    service_on: date | None = None
    lines: tuple[LineStatus, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a receiver made of a transaction set that we sent: one AK2 loop of a 999, or its AK9 where there is none.

    kind: ST01 of what we sent, such as 837. group_number, set_number: its GS06 and ST02; no set for a whole group.
    Of a whole interchange (kind TA1) group_number is its receiver and ISA13.
    outcome: accepted, accepted_with_errors or rejected. errors: `segment[position]/element: code`, in order.
    claim_numbers: those that the errors name (CTX*CLM01).
    """

    kind: str
    group_number: str
    set_number: str
    outcome: str
    errors: tuple[str, ...] = ()
    claim_numbers: tuple[str, ...] = ()
    stated_on: date | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class FetchTask:
    """Something that a payer only names and that has to be fetched before anything is known of it.

    kind: `fhir_resource`, `stedi_transaction` or `stedi_file`. reference: a URL, or an id that the sender's API takes.
    reason: why it is not here, such as `id_only`. stated_on: when the sender said so. connection_id: whose sender named
    it; empty where nobody knows yet.
    """

    kind: str
    reference: str
    reason: str
    stated_on: date | None = None
    findings: tuple[Finding, ...] = ()
    connection_id: str = ""


Record = (
    ClaimPayment
    | RemittanceSummary
    | SubmittedClaim
    | Authorization
    | AuthorizationRequest
    | ClaimStatus
    | Acknowledgement
    | FetchTask
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A payer's payload on its way to a parser. format: `auto`, or a name in `shared/formats/registry.py`.

    connection_id: over which it came; empty where nothing is stored of it.
    """

    body: bytes = field(repr=False)
    content_type: str = ""
    format: str = "auto"
    connection_id: str = ""
