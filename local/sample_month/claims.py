"""What the practices bill, day by day. Seeded: the same random source gives the same claims."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Final

from local.sample_month.values import Claim, ClaimLine, Risk
from local.sample_month.world import AETNA, CEDAR, PAYERS, PROCEDURES, SUMMIT, THERAPY, Payer, Practice

FIRST_SERVICE_DAY: Final = -21  # a payer decides within three weeks, so the month's first advices have claims
LAST_SERVICE_DAY: Final = 27
FORGETS_FROM: Final = 23
DAYS_A_WEEK: Final = (1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.0)  # Monday first
BILLED_DAYS: Final = 49 * sum(DAYS_A_WEEK) / 7

_FOREIGN_DIAGNOSIS: Final = "Z71.89"
_LATE_DAYS: Final = (100, 200)


def billed(practice: Practice, first_day: date, a_day: float, random: Random) -> Iterator[Claim]:
    """Yield the practice's claims in the order of service. a_day: how many on a working day."""
    number = 0
    for offset in range(FIRST_SERVICE_DAY, LAST_SERVICE_DAY + 1):
        service_on = first_day + timedelta(days=offset)
        for _ in range(_count(a_day * DAYS_A_WEEK[service_on.weekday()], random)):
            number += 1
            claim = _claim(practice, f"{practice.prefix}-{service_on:%y%m}-{number:05d}", service_on, random)
            yield _forgetful(claim) if offset >= FORGETS_FROM else claim


def _forgetful(claim: Claim) -> Claim:
    """Return the claim as Summit's new biller sends it to Aetna: a visit beside a procedure without its modifier 25.

    Aetna denies all of Summit by then, so these are the claims that look most like a denial before they go out.
    """
    if (
        claim.practice is SUMMIT
        and claim.payer is AETNA
        and any("25" in line.modifiers for line in claim.lines)
    ):
        return _with_mistake(claim, "modifier_missing")
    return claim


def _count(expected: float, random: Random) -> int:
    """Return a whole number around `expected`."""
    return int(expected * random.uniform(0.85, 1.15) + random.random())


def _claim(practice: Practice, number: str, service_on: date, random: Random) -> Claim:
    payer = random.choices(PAYERS, practice.payer_weights)[0]
    lines = _lines(practice, random)
    claim = Claim(
        practice=practice,
        payer=payer,
        number=number,
        patient=random.randrange(1, 400),
        service_on=service_on,
        submitted_on=service_on + timedelta(days=random.randint(1, 2)),
        diagnoses=(random.choice(practice.diagnoses),),
        lines=lines,
        authorization_number=_authorization(practice, payer, lines, random),
    )
    if random.random() < 0.015:  # noqa: PLR2004 - one in sixty or so was forgotten for months
        return replace(claim, service_on=service_on - timedelta(days=random.randint(*_LATE_DAYS)), late=True)
    return _made_risky(claim, random) if random.random() < 0.06 else claim  # noqa: PLR2004 - one in sixteen


def _lines(practice: Practice, random: Random) -> tuple[ClaimLine, ...]:
    visit = random.choices(practice.visits, [visit.weight for visit in practice.visits])[0]
    return tuple(
        ClaimLine(procedure, units, modifiers, PROCEDURES[procedure].charge_cents * units)
        for procedure, units, modifiers in visit.lines
    )


def _authorization(practice: Practice, payer: Payer, lines: tuple[ClaimLine, ...], random: Random) -> str:
    """Return the number of an authorization for the claim, where one is needed."""
    if not any(PROCEDURES[line.procedure].needs_authorization for line in lines):
        return ""
    return f"{payer.provider[:2].upper()}{practice.prefix}{random.randrange(10_000, 99_999)}"


def _made_risky(claim: Claim, random: Random) -> Claim:
    """Return the claim with one of the mistakes that it can have, or as it is if there is none."""
    mistakes = _mistakes(claim)
    return _with_mistake(claim, random.choice(mistakes)) if mistakes else claim


def _with_mistake(claim: Claim, mistake: Risk) -> Claim:
    match mistake:
        case "modifier_missing":
            lines = tuple(replace(line, modifiers=()) for line in claim.lines)
            return replace(claim, lines=lines, risk=mistake)
        case "authorization_missing":
            return replace(claim, authorization_number="", risk=mistake)
        case "authorization_mismatch":
            number = f"{claim.authorization_number[:4]}00000"
            return replace(claim, authorization_number=number, risk=mistake)
        case "diagnosis_mismatch":
            return replace(claim, diagnoses=(_FOREIGN_DIAGNOSIS,), risk=mistake)
        case "":
            return claim


def _mistakes(claim: Claim) -> list[Risk]:
    mistakes: list[Risk] = [] if claim.practice is CEDAR else ["diagnosis_mismatch"]
    if any(line.procedure in THERAPY for line in claim.lines):
        mistakes.append("modifier_missing")
    if claim.authorization_number:
        mistakes += ["authorization_missing", "authorization_mismatch"]
    return mistakes
