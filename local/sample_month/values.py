"""What happens in the month, as values that writers turn into bytes and the manifest counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from local.sample_month.world import Payer, Practice

Risk = Literal[
    "modifier_missing",  # therapy without modifier GP
    "authorization_missing",  # the service needs one, and the claim names none
    "authorization_mismatch",  # it names one for another service
    "diagnosis_mismatch",  # a diagnosis that does not explain the service
    "",
]
Decided = Literal["paid", "denied", "reversed"]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A CAS triplet. Positive cents lower what is paid."""

    group: str
    carc: str
    cents: int


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """One billed service."""

    procedure: str
    units: int
    modifiers: tuple[str, ...]
    charge_cents: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as the practice sends it. late: so long after the service that the payer refuses it."""

    practice: Practice
    payer: Payer
    number: str
    patient: int
    service_on: date
    submitted_on: date
    diagnoses: tuple[str, ...]
    lines: tuple[ClaimLine, ...]
    authorization_number: str = ""
    risk: Risk = ""
    late: bool = False

    @property
    def charge_cents(self) -> int:
        """Return what is charged for all lines."""
        return sum(line.charge_cents for line in self.lines)


@dataclass(frozen=True, slots=True)
class DecidedLine:
    """What the payer decided of one service. allowed_cents: None where it allowed nothing, and leaves that out."""

    line: ClaimLine
    charge_cents: int
    paid_cents: int
    allowed_cents: int | None
    adjustments: tuple[Adjustment, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """A CLP loop: what the payer decided of one claim. A decision without lines carries its adjustments itself."""

    claim: Claim
    outcome: Decided
    status_code: str
    payer_claim_number: str
    decided_on: date
    charge_cents: int
    lines: tuple[DecidedLine, ...]
    adjustments: tuple[Adjustment, ...] = ()

    @property
    def paid_cents(self) -> int:
        """Return the payment; negative in a reversal."""
        return sum(line.paid_cents for line in self.lines)

    @property
    def all_adjustments(self) -> tuple[Adjustment, ...]:
        """Return the adjustments of the claim and of its lines."""
        return (*self.adjustments, *(a for line in self.lines for a in line.adjustments))

    @property
    def patient_cents(self) -> int:
        """Return what is left to the patient; negative in a reversal."""
        return total(a for a in self.all_adjustments if a.group == "PR")


@dataclass(frozen=True, slots=True)
class ProviderAdjustment:
    """A PLB pair. Positive cents lower the payment."""

    reason: str
    reference: str
    cents: int


@dataclass(frozen=True, slots=True)
class Advice:
    """One 835 file: what one payer decided for one practice on one day."""

    practice: Practice
    payer: Payer
    number: int
    decided_on: date
    decisions: tuple[Decision, ...]
    adjustments: tuple[ProviderAdjustment, ...] = ()

    @property
    def name(self) -> str:
        """Return what tells it from every other advice; also its trace number and delivery id."""
        return f"{self.payer.provider}-{self.practice.slug}-{self.decided_on:%Y%m%d}"

    @property
    def adjusted_cents(self) -> int:
        """Return the sum of the provider-level adjustments."""
        return sum(adjustment.cents for adjustment in self.adjustments)

    @property
    def paid_cents(self) -> int:
        """Return what the payer transfers."""
        return sum(decision.paid_cents for decision in self.decisions) - self.adjusted_cents


@dataclass(frozen=True, slots=True)
class Authorization:
    """A payer's permission, as the practice's EHR states it."""

    practice: Practice
    payer: Payer
    number: str
    patient: int
    procedure: str
    effective_on: date
    expires_on: date
    units_authorized: int
    units_used: int
    stated_on: date


def total(adjustments: Iterable[Adjustment]) -> int:
    """Return the sum of adjustments in cents."""
    return sum(adjustment.cents for adjustment in adjustments)
