"""A month of three practices' claims, told from a seed: what is sent, and what it comes to."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final

from local.sample_month.advices import DAYS, advices
from local.sample_month.authorizations import authorizations
from local.sample_month.claims import BILLED_DAYS, billed
from local.sample_month.deliveries import (
    SampleDelivery,
    mishaps,
    of_advice,
    of_authorization,
    of_claim,
    of_claims,
)
from local.sample_month.manifest import Manifest, Tally
from local.sample_month.values import Claim
from local.sample_month.world import CONNECTIONS, PAYERS, PRACTICES, SampleConnection, contracted_cents

CLAIMS: Final = 2_500
# Of the claims billed: the rest is neither sent beforehand nor decided within the month.
_NAMED_SHARE: Final = 0.67


@dataclass(frozen=True, slots=True)
class Fee:
    """What a practice's contract with a payer says that one unit of a procedure is worth."""

    practice: str
    payer_key: str
    procedure: str
    contracted_cents: int


@dataclass(frozen=True, slots=True)
class SampleMonth:
    """deliveries: in the order in which they are sent. manifest: what they come to on `last_day`."""

    first_day: date
    last_day: date
    connections: tuple[SampleConnection, ...]
    fees: tuple[Fee, ...]
    deliveries: tuple[SampleDelivery, ...]
    manifest: Manifest


def sample_month(first_day: date, *, seed: int = 2026, claims: int = CLAIMS) -> SampleMonth:
    """Return thirty days from `first_day`. The same arguments give the same bytes, on any machine.

    claims: about how many are named by anything, sixty or more; there is about one delivery to three of them.
    """
    random = Random(seed)  # noqa: S311 - a story, not a secret
    last_day = first_day + timedelta(days=DAYS - 1)
    tally = Tally(last_day)
    sent = list(_sent(first_day, claims / _NAMED_SHARE / BILLED_DAYS / len(PRACTICES), tally, random))
    sent += mishaps(sent, random)
    for delivery in sent:
        tally.delivery(delivery.reply, dead_letter=delivery.dead_letter)
    return SampleMonth(
        first_day=first_day,
        last_day=last_day,
        connections=CONNECTIONS,
        fees=tuple(_fees()),
        deliveries=tuple(sorted(sent, key=lambda delivery: (delivery.at, delivery.name))),
        manifest=tally.manifest(),
    )


def _sent(first_day: date, a_day: float, tally: Tally, random: Random) -> Iterator[SampleDelivery]:
    """Yield what is sent as it should be, and count it."""
    claims = [claim for practice in PRACTICES for claim in billed(practice, first_day, a_day, random)]
    yield from _submissions(claims, first_day, tally, random)
    for advice in advices(claims, first_day, random):
        tally.advice(advice)
        yield of_advice(advice, random)
    for authorization in authorizations(first_day, random):
        tally.authorization(authorization)
        yield of_authorization(authorization, random)


def _submissions(
    claims: list[Claim], first_day: date, tally: Tally, random: Random
) -> Iterator[SampleDelivery]:
    """Yield what the EHRs send: claims one by one, or a day's together."""
    batches: dict[tuple[str, date], list[Claim]] = {}
    for claim in _submitted(claims, first_day, random):
        tally.submission(claim)
        if claim.practice.batches:
            batches.setdefault((claim.practice.name, claim.submitted_on), []).append(claim)
        else:
            yield of_claim(claim, random)
    for batch in batches.values():
        yield of_claims(batch, random)


def _submitted(claims: list[Claim], first_day: date, random: Random) -> Iterator[Claim]:
    """Yield the claims that an EHR sends within the month. Those with a mistake are always among them."""
    for claim in claims:
        chosen = random.random() < claim.practice.submits or claim.risk
        if chosen and 0 <= (claim.submitted_on - first_day).days < DAYS:
            yield claim


def _fees() -> Iterator[Fee]:
    for practice in PRACTICES:
        codes = sorted({line[0] for visit in practice.visits for line in visit.lines})
        for payer in PAYERS:
            for code in codes:
                yield Fee(practice.name, payer.key, code, contracted_cents(payer, code))
