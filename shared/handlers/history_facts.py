"""The facts that cost a query: computed when a rule asks, at most once an event."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from shared.domain.claims import whole_units
from shared.domain.commands import Risk
from shared.domain.risk import RiskScore
from shared.handlers.claim_risk import score_claim
from shared.ports.record import ClaimCourse, EventTransaction, PayerDay

Json = Mapping[str, Any]

RECENT_DAYS: Final = 14
BEFORE_DAYS: Final = 90
LEAST_DECIDED: Final = 10


@dataclass(frozen=True)
class HistoryFacts:
    """What the record adds to one claim event. claim: the event's own `claim` object, which we wrote."""

    transaction: EventTransaction
    claim: Json
    on: date

    def lazy(self) -> dict[str, Callable[[], object]]:
        """Return the facts by name, each to be computed when asked."""
        return {
            "claim.contracted_cents": lambda: self.contracted_cents,
            "claim.days_to_pay": self.days_to_pay,
            "claim.first_decision": lambda: self.course.first_status,
            "claim.underpaid_cents": self.underpaid_cents,
            "claim.risk_score": lambda: self.risk.score,
            "payer.denials_in_a_row": self.denials_in_a_row,
            "payer.denials_in_week": lambda: self._denials(7),
            "payer.denials_in_month": lambda: self._denials(30),
            "payer.denial_rate_change": self.denial_rate_change,
            "payer.days_since_payment": self.days_since_payment,
            "payer.denied_in_month_cents": self.denied_in_month_cents,
        }

    @cached_property
    def risk(self) -> RiskScore:
        """How much points at a denial of this submitted claim."""
        return score_claim(self.claim, self.transaction, on=self.on)

    def scored(self) -> Risk:
        """Return the score as the record keeps it."""
        factors = [asdict(factor) for factor in self.risk.factors]
        return Risk(
            UUID(self.claim["id"]), self.risk.score, factors, self.claim.get("submitted_on"), self.payer_rank
        )

    @property
    def payer_rank(self) -> int:
        """Whose turn the event is of: 1 where it does not say."""
        return self.claim.get("payer_rank") or 1

    @cached_property
    def contracted_cents(self) -> int | None:
        """What the contract allows for the whole claim: the lesser of fee and charge, line by line.

        None where a line has no contracted fee: part of a sum is not the sum.
        """
        lines: Sequence[Json] = self.claim.get("lines", ())
        fees = self._fees(self.claim["payer_id"])
        if not fees and self.payer_key != self.claim["payer_id"]:
            fees = self._fees(self.payer_key)
        if not lines or any(line["procedure"] not in fees for line in lines):
            return None
        amounts: list[int] = [
            min(line["charge_cents"], fees[line["procedure"]] * whole_units(str(line.get("units", ""))))
            for line in lines
        ]
        return sum(amounts)

    def _fees(self, payer_key: str) -> Mapping[str, int]:
        return self.transaction.contracted_cents(
            payer_key=payer_key,
            procedures=self.claim.get("procedures", ()),
            on=_date(self.claim.get("service_on")) or self.on,
        )

    def underpaid_cents(self) -> int | None:
        """Return what payer and patient together pay short of the contract; 0 when they do not.

        None of a payment that is not the price of the services, such as a secondary payer's.
        """
        if not self.claim.get("priced", True) or self.contracted_cents is None:
            return None
        return max(0, int(self.contracted_cents - self.claim["paid_cents"] - self.claim["patient_cents"]))

    @cached_property
    def course(self) -> ClaimCourse:
        """How the claim has gone, this decision included."""
        return self.transaction.claim_course(UUID(self.claim["id"]))

    @cached_property
    def payer_key(self) -> str:
        """The payer whose past is asked for: as the claim has it, which a payment may spell otherwise.

        A claim's decision counts under the payer of its submission. That of a later payer counts nowhere.
        """
        own: str = self.claim["payer_id"]
        if self.claim.get("status") == "submitted" or self.payer_rank > 1:
            return own
        return self.course.payer_key or own

    def days_to_pay(self) -> int | None:
        """Return the days from submission to the first payment; 0 where the payer dates it before."""
        submitted_on, paid_on = self.course.submitted_on, self.course.first_paid_on
        return None if submitted_on is None or paid_on is None else max(0, (paid_on - submitted_on).days)

    def denials_in_a_row(self) -> int | None:
        """Return the payer's denials without another decision between, up to and with this claim."""
        return self.transaction.denials_in_a_row(payer_key=self.payer_key, claim_id=UUID(self.claim["id"]))

    @cached_property
    def payer_days(self) -> Sequence[PayerDay]:
        """What the payer decided, day by day, over every window that a fact looks at."""
        since = self._first_day(RECENT_DAYS + BEFORE_DAYS)
        return self.transaction.payer_days(payer_key=self.payer_key, since=since)

    def _denials(self, days: int) -> int:
        first = self._first_day(days)
        return sum(day.denied for day in self.payer_days if first <= day.on <= self.on)

    def denial_rate_change(self) -> Decimal | None:
        """Return by how many percentage points the payer denies more than before; None of too few decisions."""
        recent_from = self._first_day(RECENT_DAYS)
        recent = _rate([day for day in self.payer_days if recent_from <= day.on <= self.on])
        before = _rate([day for day in self.payer_days if day.on < recent_from])
        return None if recent is None or before is None else recent - before

    def days_since_payment(self) -> int | None:
        """Return the days since the payer last paid anything."""
        last = self.transaction.last_payment_on(payer_key=self.payer_key)
        return None if last is None else (self.on - last).days

    def denied_in_month_cents(self) -> int:
        """Return what was charged for the claims that the payer denied in the last 30 days."""
        return self.transaction.denied_cents(payer_key=self.payer_key, since=self._first_day(30))

    def _first_day(self, days: int) -> date:
        return self.on - timedelta(days=days - 1)


def _rate(days: Sequence[PayerDay]) -> Decimal | None:
    """Return the percentage of decisions that are denials, to a tenth; None of fewer than LEAST_DECIDED."""
    decided = sum(day.decided for day in days)
    if decided < LEAST_DECIDED:
        return None
    return (100 * Decimal(sum(day.denied for day in days)) / decided).quantize(Decimal("0.1"))


def _date(text: object) -> date | None:
    return date.fromisoformat(text) if isinstance(text, str) else None
