"""How much of what is known about a submitted claim points at a denial: 0 to 100. Pure.

The score is the share of the known weight that points at a denial. What is unknown counts neither for nor against:
scoring it 0 would call a payer without history harmless, which nobody knows. But little evidence must not speak as
loudly as much, so less than half of the weight known counts as half: one small finding alone cannot hold a claim.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Final, Literal

FactorName = Literal[
    "denial_rate",  # how often this payer denied such claims before
    "modifier_missing",  # a procedure without a modifier that it needs
    "denial_streak",  # the payer's latest decisions were denials
    "diagnosis_mismatch",  # a procedure without a diagnosis that it needs
    "authorization_missing",  # a procedure that needs an authorization, and no number
]

WEIGHTS: Final[dict[FactorName, int]] = {
    "denial_rate": 40,
    "modifier_missing": 20,
    "denial_streak": 20,
    "diagnosis_mismatch": 10,
    "authorization_missing": 10,
}
LEAST_KNOWN: Final = 50  # of 100: less evidence than this counts as this much
FULL_STREAK: Final = 3  # denials in a row that make the streak count whole


@dataclass(frozen=True, slots=True)
class RiskInputs:
    """The evidence for each factor; None is unknown: no baseline, no decided claims, or procedures nobody listed.

    denial_rate: 0 to 1, from the baseline of customer, payer and procedure. denials_in_a_row: of the payer.
    Raises ValueError for a rate outside 0 to 1 or a negative count: the query that made it is wrong.
    """

    denial_rate: float | None = None
    modifier_missing: bool | None = None
    denials_in_a_row: int | None = None
    diagnosis_mismatch: bool | None = None
    authorization_missing: bool | None = None

    def __post_init__(self) -> None:
        rate, streak = self.denial_rate, self.denials_in_a_row
        if rate is not None and not (isfinite(rate) and 0 <= rate <= 1):
            raise ValueError("a denial rate is from 0 to 1")
        if streak is not None and streak < 0:
            raise ValueError("a count of denials is not negative")


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor's part. value: 0 to 1, how far it points at a denial. contribution: its points of the score."""

    name: FactorName
    weight: int
    value: float
    contribution: float
    known: bool


@dataclass(frozen=True, slots=True)
class RiskScore:
    """score: the contributions' sum, rounded. known_weight: how much of 100 there was evidence for."""

    score: int
    factors: tuple[Factor, ...]
    known_weight: int


def risk_score(inputs: RiskInputs) -> RiskScore:
    """Return the score with each factor's contribution, in the order of their weights."""
    values = _values(inputs)
    known = sum(weight for name, weight in WEIGHTS.items() if values[name] is not None)
    scale = 100 / max(known, LEAST_KNOWN)
    factors = tuple(_factor(name, values[name], scale) for name in WEIGHTS)
    return RiskScore(round(sum(factor.contribution for factor in factors)), factors, known)


def _factor(name: FactorName, value: float | None, scale: float) -> Factor:
    weight = WEIGHTS[name]
    if value is None:
        return Factor(name, weight, value=0.0, contribution=0.0, known=False)
    return Factor(name, weight, value, contribution=weight * value * scale, known=True)


def _values(inputs: RiskInputs) -> dict[FactorName, float | None]:
    streak = inputs.denials_in_a_row
    return {
        "denial_rate": inputs.denial_rate,
        "modifier_missing": _found(inputs.modifier_missing),
        "denial_streak": None if streak is None else min(streak / FULL_STREAK, 1.0),
        "diagnosis_mismatch": _found(inputs.diagnosis_mismatch),
        "authorization_missing": _found(inputs.authorization_missing),
    }


def _found(finding: bool | None) -> float | None:  # noqa: FBT001 - the finding is what is converted
    return None if finding is None else float(finding)
