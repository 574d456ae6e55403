"""How the payers decide, and how they change. Seeded.

The changes are the story that the pipeline should notice:

- Aetna, from day 18, denies all that Summit Orthopedics sends for want of an authorization (CO-197).
- UnitedHealthcare, on days 16 and 17, denies most claims of every practice as incomplete (CO-16).
- Blue Cross takes longer every week, and from day 10 pays therapy below its contract.
"""

from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Final

from local.sample_month.values import Adjustment, Claim, ClaimLine, Decided, DecidedLine, Decision
from local.sample_month.world import (
    AETNA,
    BLUE_CROSS,
    SUMMIT,
    THERAPY,
    UNITED,
    contracted_cents,
)

AETNA_STOPS_PAYING: Final = 18
UNITED_DENIES: Final = (16, 17)
BLUE_CROSS_UNDERPAYS_FROM: Final = 10
UNDERPAYER: Final = BLUE_CROSS.name  # for therapy, and only from that day on
UNDERPAID_SHARE: Final = 0.85

REMARKS: Final = {"16": ("M127",), "197": ("N210",), "50": ("N115",)}
CARC_OF_RISK: Final = {
    "modifier_missing": "16",
    "authorization_missing": "197",
    "authorization_mismatch": "197",
    "diagnosis_mismatch": "50",
}


def decided(claim: Claim, first_day: date, random: Random) -> Decision:
    """Return the payer's first decision of a claim, whenever it falls."""
    decided_on = _decided_on(claim, first_day, random)
    day = (decided_on - first_day).days
    carc = _refusal(claim, day, random)
    if carc == "29":
        return _refused_whole(claim, decided_on, carc)
    if carc:
        return _denied(claim, decided_on, carc, random)
    return paid(claim, decided_on, _share(claim, day, random), random)


def reversal(decision: Decision, decided_on: date) -> Decision:
    """Return the taking back of a payment: every amount negated, the patient's share told by CAS alone.

    Source: 005010X221A1, 1.10.2.8 "Reversals and Corrections".
    """
    return replace(
        decision,
        outcome="reversed",
        status_code="22",
        decided_on=decided_on,
        charge_cents=-decision.charge_cents,
        lines=tuple(_negated(line) for line in decision.lines),
    )


def correction(decision: Decision, decided_on: date, random: Random) -> Decision:
    """Return what the payer decides instead: the contract's price, or 90 % of it."""
    share = random.choice((1.0, 0.9))
    corrected = paid(decision.claim, decided_on, share, random)
    return replace(corrected, payer_claim_number=f"{decision.payer_claim_number}A")


def paid(claim: Claim, decided_on: date, share: float, random: Random) -> Decision:
    """Return a payment of `share` of the contract's price, less what the patient owes."""
    owed = _patient_owes(random)
    refused = random.random() < 0.05 and len(claim.lines) > 1 and owed[0] != "1"  # noqa: PLR2004 - now and then
    lines = [_priced(claim, line, share, owed if at == 0 or owed[0] != "3" else ("", 0.0))
             for at, line in enumerate(claim.lines)]  # fmt: skip
    if refused:
        lines[-1] = _unpaid(claim.lines[-1], "50")
    return _decision(claim, "paid", "1", decided_on, tuple(lines))


def _decided_on(claim: Claim, first_day: date, random: Random) -> date:
    lag_days = random.randint(*claim.payer.lag_days)
    if claim.payer is BLUE_CROSS:
        lag_days += max(0, (claim.submitted_on - first_day).days) // 4
    return claim.submitted_on + timedelta(days=lag_days)


def _refusal(claim: Claim, day: int, random: Random) -> str:
    """Return the reason for which the payer denies the claim, or none."""
    chance, other = random.random(), random.choice(("16", "50"))
    if claim.late:
        return "29"
    if claim.payer is AETNA and claim.practice is SUMMIT and day >= AETNA_STOPS_PAYING:
        return "197"
    if claim.payer is UNITED and day in UNITED_DENIES and chance < 0.7:  # noqa: PLR2004
        return "16"
    if claim.risk and chance < 0.6:  # noqa: PLR2004
        return CARC_OF_RISK[claim.risk]
    return other if chance < claim.payer.denial_rate else ""


def _share(claim: Claim, day: int, random: Random) -> float:
    """Return how much of its contract the payer keeps to."""
    chance = random.random()
    if claim.payer is BLUE_CROSS and day >= BLUE_CROSS_UNDERPAYS_FROM:
        return UNDERPAID_SHARE if claim.lines[0].procedure in THERAPY else 1.0
    return UNDERPAID_SHARE if chance < 0.03 else 1.0  # noqa: PLR2004


def _patient_owes(random: Random) -> tuple[str, float]:
    """Return the reason (1 deductible, 2 coinsurance, 3 copayment) and the share of what is allowed."""
    return random.choices([("", 0.0), ("3", 0.25), ("2", 0.2), ("1", 1.0)], [45, 25, 23, 7])[0]


def _priced(claim: Claim, line: ClaimLine, share: float, owed: tuple[str, float]) -> DecidedLine:
    carc, patient_share = owed
    allowed_cents = round(contracted_cents(claim.payer, line.procedure, line.units) * share)
    patient_cents = round(allowed_cents * patient_share)
    adjustments = [Adjustment("CO", "45", line.charge_cents - allowed_cents)]
    if patient_cents:
        adjustments.append(Adjustment("PR", carc, patient_cents))
    return DecidedLine(
        line, line.charge_cents, allowed_cents - patient_cents, allowed_cents, tuple(adjustments)
    )


def _unpaid(line: ClaimLine, carc: str) -> DecidedLine:
    adjustments = (Adjustment("CO", carc, line.charge_cents),)
    return DecidedLine(line, line.charge_cents, 0, None, adjustments, REMARKS.get(carc, ()))


def _denied(claim: Claim, decided_on: date, carc: str, random: Random) -> Decision:
    """Return a denial of every line. Payers call it 4 or, as often, 1."""
    lines = tuple(_unpaid(line, carc) for line in claim.lines)
    return _decision(claim, "denied", random.choice(("1", "4")), decided_on, lines)


def _refused_whole(claim: Claim, decided_on: date, carc: str) -> Decision:
    """Return a denial of the claim as such, without a word about its lines."""
    adjustments = (Adjustment("CO", carc, claim.charge_cents),)
    return replace(_decision(claim, "denied", "4", decided_on, ()), adjustments=adjustments)


def _decision(
    claim: Claim, outcome: Decided, status_code: str, decided_on: date, lines: tuple[DecidedLine, ...]
) -> Decision:
    return Decision(
        claim=claim,
        outcome=outcome,
        status_code=status_code,
        payer_claim_number=f"P{claim.number.replace('-', '')}",
        decided_on=decided_on,
        charge_cents=claim.charge_cents,
        lines=lines,
    )


def _negated(line: DecidedLine) -> DecidedLine:
    return replace(
        line,
        charge_cents=-line.charge_cents,
        paid_cents=-line.paid_cents,
        allowed_cents=None,
        adjustments=tuple(replace(a, cents=-a.cents) for a in line.adjustments),
    )
