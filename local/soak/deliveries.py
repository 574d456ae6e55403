"""What the soak sends: real files of payers, generated months, and some that nobody can read. Seeded."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Final, Literal

from local.sample_month import SampleDelivery, sample_month
from local.sample_month.month import SampleMonth

FIXTURES: Final = Path(__file__).parents[2] / "tests" / "fixtures" / "webhooks"
READABLE: Final = ("acme", "fhir-claim", "fhir-claimresponse", "fhir-eob", "x12-835")
MALFORMED: Final = ("fhir-malformed", "x12-malformed")
REAL_SHARE: Final = 0.2
MALFORMED_SHARE: Final = 0.01
REGION_CLAIMS: Final = 600  # of one generated month, which is some four hundred deliveries
REAL_PROVIDER: Final = "clearinghouse"

Kind = Literal["real", "generated", "malformed", "refused"]


def mix(n: int, *, seed: int, today: date) -> tuple[list[SampleDelivery], list[SampleMonth]]:
    """Return `n` deliveries in the order of their days, and the months that some of them are of.

    today: the last day of the months, for rules look back from it. Customers are named by `practice`, and each month
    has its own, so that nothing of one touches another.
    """
    random = Random(seed)  # noqa: S311 - a load, not a secret
    malformed = max(1, round(n * MALFORMED_SHARE))
    real = round(n * REAL_SHARE)
    months = list(_months(n - real - malformed, seed, today))
    generated = [delivery for month in months for delivery in month.deliveries]
    chosen = sorted(random.sample(range(len(generated)), n - real - malformed))
    sent = [
        *(generated[index] for index in chosen),
        *_real(real, READABLE, months[0], random),
        *(replace(d, dead_letter=True) for d in _real(malformed, MALFORMED, months[0], random)),
    ]
    return sorted(sent, key=lambda delivery: (delivery.at, delivery.delivery_id)), months


def kind_of(delivery: SampleDelivery) -> Kind:
    """Return what a delivery is, for the report."""
    if delivery.dead_letter:
        return "malformed"
    if delivery.reply != "accepted":
        return "refused"
    return "real" if delivery.provider == REAL_PROVIDER else "generated"


def _months(wanted: int, seed: int, today: date) -> Iterator[SampleMonth]:
    """Yield months with that many deliveries between them, each with customers of its own."""
    first_day, have = today - timedelta(days=29), 0
    while have < wanted:
        region = sample_month(first_day, seed=seed, claims=REGION_CLAIMS)
        month = _renamed(region, f" {seed}")
        have += len(month.deliveries)
        seed += 1
        yield month


def _renamed(month: SampleMonth, suffix: str) -> SampleMonth:
    """Return the month with customers of its own, without what has an id or a damage in common with another delivery.

    Of two bodies under one id the first to arrive wins: which one that is, no soak can tell beforehand.
    """
    return replace(
        month,
        connections=tuple(replace(c, practice=c.practice + suffix) for c in month.connections),
        fees=tuple(replace(fee, practice=fee.practice + suffix) for fee in month.fees),
        deliveries=tuple(
            replace(d, practice=d.practice + suffix)
            for d in month.deliveries
            if d.reply not in ("duplicate", "key_reused") and not d.dead_letter
        ),
    )


def _real(n: int, folders: Sequence[str], month: SampleMonth, random: Random) -> Iterator[SampleDelivery]:
    """Yield files as clearinghouses forward them: to one customer after another, each file once."""
    paths = [path for folder in folders for path in sorted((FIXTURES / folder).iterdir())]
    for nth in range(n):
        path = paths[nth % len(paths)]
        minute = random.randrange(24 * 60)
        day = month.first_day + timedelta(days=random.randrange(30))
        yield _file(path, nth // len(paths), datetime.combine(day, time(minute // 60, minute % 60), UTC))


def _file(path: Path, nth_customer: int, at: datetime) -> SampleDelivery:
    body = path.read_bytes()
    x12 = path.parent.name.startswith("x12")
    canonical = path.parent.name == "acme"
    return SampleDelivery(
        practice=f"Real files {nth_customer}",
        provider=REAL_PROVIDER,
        name=path.name,
        content_type="application/edi-x12" if x12 else "application/json",
        format="x12" if x12 else "canonical" if canonical else "fhir",
        body=body,
        delivery_id=f"{path.parent.name}-{path.stem}-{nth_customer}".replace(".", "-"),
        at=at,
    )
