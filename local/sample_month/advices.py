"""Gathers decisions into payment advices: one file a practice, payer and day. Seeded."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from random import Random
from typing import Final

from local.sample_month.decisions import correction, decided, reversal
from local.sample_month.values import Advice, Claim, Decision, ProviderAdjustment
from local.sample_month.world import Payer, Practice

DAYS: Final = 30

_REVERSED_SHARE: Final = 0.02
_LAST_REVERSED_DAY: Final = DAYS - 8  # so that the taking back still falls into the month
_WITHHELD_SHARE: Final = 0.06
_INTEREST_SHARE: Final = 0.04


def advices(claims: Iterable[Claim], first_day: date, random: Random) -> Iterator[Advice]:
    """Yield the month's advices in the order of their days."""
    decisions: dict[tuple[date, str, str], list[Decision]] = {}
    for claim in claims:
        for decision in _all_decisions(claim, first_day, random):
            key = (decision.decided_on, claim.practice.name, claim.payer.name)
            decisions.setdefault(key, []).append(decision)
    yield from _files(decisions, random)


def _all_decisions(claim: Claim, first_day: date, random: Random) -> Iterator[Decision]:
    """Yield what the payer decides of a claim within the month: once, or again after taking it back."""
    decision = decided(claim, first_day, random)
    day = (decision.decided_on - first_day).days
    taken_back = random.random() < _REVERSED_SHARE
    if 0 <= day < DAYS:
        yield decision
    if taken_back and decision.paid_cents > 0 and 0 <= day <= _LAST_REVERSED_DAY:
        again_on = decision.decided_on + timedelta(days=random.randint(3, 6))
        yield reversal(decision, again_on)
        if random.random() < 0.8:  # noqa: PLR2004 - the others stay taken back
            yield correction(decision, again_on, random)


def _files(decisions: Mapping[tuple[date, str, str], list[Decision]], random: Random) -> Iterator[Advice]:
    for number, ((decided_on, *_), together) in enumerate(sorted(decisions.items(), key=_order), 1):
        claim = together[0].claim
        paid_cents = sum(decision.paid_cents for decision in together)
        yield Advice(
            practice=claim.practice,
            payer=claim.payer,
            number=number,
            decided_on=decided_on,
            decisions=tuple(together),
            adjustments=_provider_adjustments(claim.practice, claim.payer, number, paid_cents, random),
        )


def _order(entry: tuple[tuple[date, str, str], list[Decision]]) -> tuple[date, str, str]:
    return entry[0]


def _provider_adjustments(
    practice: Practice, payer: Payer, number: int, paid_cents: int, random: Random
) -> tuple[ProviderAdjustment, ...]:
    """Return what the payer withholds or adds. What it would have to be paid itself, it carries forward."""
    chance, cents = random.random(), random.randint(1_00, 25_00)
    reference = f"{payer.provider[:2].upper()}{practice.prefix}{number}"
    if paid_cents < 0:
        return (ProviderAdjustment("FB", reference, paid_cents),)
    if chance < _WITHHELD_SHARE and paid_cents > cents:
        return (ProviderAdjustment("WO", reference, cents),)
    if chance > 1 - _INTEREST_SHARE:
        return (ProviderAdjustment("L6", reference, -cents // 10),)
    return ()
