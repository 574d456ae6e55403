"""What the record knows of a claim or an authorization when something is to be done about it. Pure values.

A case holds patient data: it is read from the record at the moment of the action, goes to the payer, and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal
from uuid import UUID

from shared.domain.claims import Adjustment, Patient
from shared.domain.reasons import denials

Reason = Literal[
    "medical_necessity",
    "no_authorization",
    "timely_filing",
    "bundling",
    "underpayment",
    "other",
]
# Which kind of denial a claim adjustment reason code is. Source: X12 external code list 139.
REASONS: Final[Mapping[str, Reason]] = {
    "50": "medical_necessity",  # not deemed a medical necessity by the payer
    "55": "medical_necessity",  # deemed experimental by the payer
    "56": "medical_necessity",  # not proven to be effective
    "150": "medical_necessity",  # the information does not support this level of service
    "151": "medical_necessity",  # the information does not support this many services
    "167": "medical_necessity",  # the diagnosis is not covered
    "15": "no_authorization",  # the authorization number is missing or invalid
    "197": "no_authorization",  # precertification, authorization or notification absent
    "198": "no_authorization",  # precertification or authorization exceeded
    "243": "no_authorization",  # not authorized by network or primary care providers
    "29": "timely_filing",  # the time limit for filing has expired
    "97": "bundling",  # included in the payment for another service
    "231": "bundling",  # mutually exclusive procedures
    "234": "bundling",  # not paid separately
    "236": "bundling",  # not compatible with another procedure of the same day
}


@dataclass(frozen=True, slots=True)
class Service:
    """One billed line. allowed_cents, contracted_cents: None where the payer or the contract states none."""

    procedure: str
    modifiers: tuple[str, ...]
    units: str
    service_on: date | None
    charge_cents: int
    paid_cents: int
    allowed_cents: int | None = None
    contracted_cents: int | None = None


@dataclass(frozen=True, slots=True)
class ClaimCase:
    """A claim as it stands, with the latest decision on it.

    contracted_cents: None where the contract names no fee. reference: of the newest appeal that the payer took.
    """

    id: UUID
    practice: str
    number: str
    payer_key: str
    payer_name: str
    payer_claim_number: str
    provider_id: str
    patient: Patient = field(repr=False)
    status: str
    charge_cents: int
    paid_cents: int
    patient_cents: int
    authorization_number: str
    diagnoses: tuple[str, ...]
    submitted_on: date | None
    service_on: date | None
    decided_on: date | None
    services: tuple[Service, ...]
    adjustments: tuple[Adjustment, ...]
    contracted_cents: int | None = None
    reference: str = ""

    @property
    def denials(self) -> tuple[Adjustment, ...]:
        """Why the payer refused, the largest amount first."""
        return denials(self.adjustments)

    @property
    def carc(self) -> str:
        """The denial's leading reason code, or empty."""
        return self.denials[0].carc if self.denials else ""

    @property
    def reason(self) -> Reason:
        """The kind of denial; a claim that was paid short and not denied is an underpayment."""
        if not self.denials and self.status in ("paid", "partially_paid"):
            return "underpayment"
        return REASONS.get(self.carc, "other")

    @property
    def is_owed(self) -> bool:
        """Whether by its latest decision it is denied, in all or in part, or was paid less than the contract says."""
        if self.status == "paid":
            return (self.contracted_cents or 0) > self.paid_cents + self.patient_cents
        return self.status in ("denied", "partially_paid") and self.disputed_cents > 0

    @property
    def disputed_cents(self) -> int:
        """What is asked for: what was denied, or what the contract is short."""
        if denied_cents := sum(a.amount_cents for a in self.denials):
            return denied_cents
        if self.contracted_cents is not None:
            return max(0, self.contracted_cents - self.paid_cents - self.patient_cents)
        return self.charge_cents - self.paid_cents - self.patient_cents


@dataclass(frozen=True, slots=True)
class Treatment:
    """A claim billed under an authorization: part of a utilization report."""

    claim_number: str
    service_on: date | None
    procedures: tuple[str, ...]
    diagnoses: tuple[str, ...]
    units: int
    status: str


@dataclass(frozen=True, slots=True)
class AuthorizationCase:
    """An authorization and the treatment given under it, the newest last.

    reference: of the newest request for a renewal that the payer took.
    """

    id: UUID
    practice: str
    number: str
    payer_key: str
    payer_name: str
    patient: Patient = field(repr=False)
    procedure: str
    status: str
    provider_id: str
    effective_on: date | None
    expires_on: date | None
    units_authorized: int | None
    units_used: int | None
    treatments: tuple[Treatment, ...] = ()
    reference: str = ""

    @property
    def diagnoses(self) -> tuple[str, ...]:
        """Every diagnosis treated under it, the first first."""
        return tuple(dict.fromkeys(code for treatment in self.treatments for code in treatment.diagnoses))


Case = ClaimCase | AuthorizationCase
