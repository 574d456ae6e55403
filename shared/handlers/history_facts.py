"""The facts that cost a query: computed when a rule asks, at most once an event."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from typing import Any
from uuid import UUID

from shared.domain.claims import whole_units
from shared.domain.commands import Risk
from shared.domain.risk import RiskScore
from shared.handlers.claim_risk import score_claim
from shared.ports.record import EventTransaction

Json = Mapping[str, Any]


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
            "claim.underpaid_cents": self.underpaid_cents,
            "claim.risk_score": lambda: self.risk.score,
            "payer.denials_in_a_row": self.denials_in_a_row,
        }

    @cached_property
    def risk(self) -> RiskScore:
        """How much points at a denial of this submitted claim."""
        return score_claim(self.claim, self.transaction, on=self.on)

    def scored(self) -> Risk:
        """Return the score as the record keeps it."""
        factors = [asdict(factor) for factor in self.risk.factors]
        return Risk(UUID(self.claim["id"]), self.risk.score, factors, self.claim.get("submitted_on"))

    @cached_property
    def contracted_cents(self) -> int | None:
        """What the contract allows for the whole claim: the lesser of fee and charge, line by line.

        None where a line has no contracted fee: part of a sum is not the sum.
        """
        lines: Sequence[Json] = self.claim.get("lines", ())
        fees = self.transaction.contracted_cents(
            payer_key=self.claim["payer_id"],
            procedures=self.claim.get("procedures", ()),
            on=_date(self.claim.get("service_on")) or self.on,
        )
        if not lines or any(line["procedure"] not in fees for line in lines):
            return None
        amounts: list[int] = [
            min(line["charge_cents"], fees[line["procedure"]] * whole_units(str(line.get("units", ""))))
            for line in lines
        ]
        return sum(amounts)

    def underpaid_cents(self) -> int | None:
        """Return what payer and patient together pay short of the contract; 0 when they do not."""
        if self.contracted_cents is None:
            return None
        return max(0, int(self.contracted_cents - self.claim["paid_cents"] - self.claim["patient_cents"]))

    def denials_in_a_row(self) -> int | None:
        """Return the payer's denials without another decision between, up to and with this claim."""
        return self.transaction.denials_in_a_row(
            payer_key=self.claim["payer_id"], claim_id=UUID(self.claim["id"])
        )


def _date(text: object) -> date | None:
    return date.fromisoformat(text) if isinstance(text, str) else None
