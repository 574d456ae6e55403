"""A payer's year in figures, for one customer: counted by SQL, as an operator."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Engine, text

from shared.adapters.postgres.engine import database_errors
from shared.adapters.postgres.jobs.series import WEEKS_OF_CLAIMS
from shared.domain.statistics import Counts, wilson

REPORT_WEEKS: Final = 26
MOST_REASONS: Final = 8

RATES = text("""
SELECT (CAST(:on AS date) - day) / 7 AS week, CAST(sum(decided) AS bigint) AS decided,
    CAST(sum(denied) AS bigint) AS denied, CAST(sum(charge_cents) AS bigint) AS charge_cents,
    CAST(sum(paid_cents) AS bigint) AS paid_cents
FROM claim_daily_stats
WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = :payer AND day <= CAST(:on AS date)
    AND day > CAST(:on AS date) - CAST(:days AS integer)
GROUP BY 1 ORDER BY 1 DESC
""")
BELIEVED = text("""
SELECT since, decided, denied FROM payer_baselines
WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = :payer AND decided > 0 ORDER BY since
""")
REASONS = text("""
SELECT carc, CAST(sum(denied) AS bigint) AS denied, CAST(sum(charge_cents) AS bigint) AS charge_cents
FROM claim_daily_reasons
WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = :payer AND day <= CAST(:on AS date)
    AND day > CAST(:on AS date) - CAST(:days AS integer)
GROUP BY carc HAVING sum(denied) > 0 ORDER BY 2 DESC, 1 LIMIT CAST(:most AS integer)
""")
CHANGES = text("""
SELECT kind, subject, state, first_seen_on, closed_on, closed_why, baseline, current, n, q, at_stake_cents
FROM findings WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = :payer
ORDER BY first_seen_on, kind, subject
""")
PAYERS = text("""
SELECT DISTINCT payer_key FROM claim_daily_stats WHERE customer_id = CAST(:customer_id AS uuid) ORDER BY 1
""")


@dataclass(frozen=True, slots=True)
class Week:
    """A week of decisions. begins_on: its first day."""

    begins_on: date
    decided: int
    denied: int
    charge_cents: int
    paid_cents: int

    @property
    def rate(self) -> float:
        """Return the share that was denied."""
        return self.denied / self.decided if self.decided else 0.0


@dataclass(frozen=True, slots=True)
class Belief:
    """What the payer's denial rate was taken to be from a day on, with its 95 % interval."""

    since: date
    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Speed:
    """A week of submissions, and the median days to a decision. None: fewer than half are decided."""

    begins_on: date
    claims: int
    median_days: int | None


@dataclass(frozen=True, slots=True)
class Reason:
    """A denial reason, and what it came to."""

    carc: str
    denied: int
    charge_cents: int


@dataclass(frozen=True, slots=True)
class FoundChange:
    """One finding about the payer."""

    kind: str
    subject: str
    state: str
    first_seen_on: date
    closed_on: date | None
    closed_why: str
    baseline: float
    current: float
    n: int
    q: float | None
    at_stake_cents: int | None


@dataclass(frozen=True, slots=True)
class PayerHistory:
    """Everything the report tells."""

    payer: str
    customer: str
    on: date
    weeks: Sequence[Week]
    beliefs: Sequence[Belief]
    speeds: Sequence[Speed]
    reasons: Sequence[Reason]
    changes: Sequence[FoundChange]


def payers(engine: Engine, customer_id: UUID) -> list[str]:
    """Return the payers that decided claims of the customer.

    Raises:
        TransientError: the database is away.
    """
    with database_errors(), engine.begin() as connection:
        return list(connection.execute(PAYERS, {"customer_id": str(customer_id)}).scalars())


def payer_history(engine: Engine, customer_id: UUID, customer: str, payer: str, on: date) -> PayerHistory:
    """Return half a year of the payer's, up to a day.

    Raises:
        TransientError: the database is away.
    """
    who = {"customer_id": str(customer_id), "payer": payer}
    span = {"on": on.isoformat(), "days": REPORT_WEEKS * 7}
    with database_errors(), engine.begin() as connection:
        rates = connection.execute(RATES, who | span).mappings().all()
        believed = connection.execute(BELIEVED, who).mappings().all()
        lags = (
            connection.execute(WEEKS_OF_CLAIMS, {"customer_id": who["customer_id"], **span}).mappings().all()
        )
        reasons = connection.execute(REASONS, {**who, **span, "most": MOST_REASONS}).mappings().all()
        found = connection.execute(CHANGES, who).mappings().all()
    return PayerHistory(
        payer=payer,
        customer=customer,
        on=on,
        weeks=[
            Week(_begin(on, r["week"]), r["decided"], r["denied"], r["charge_cents"], r["paid_cents"])
            for r in rates
        ],
        beliefs=[_belief(r["since"], Counts(r["denied"], r["decided"])) for r in believed],
        speeds=[
            Speed(_begin(on, r["week"]), r["claims"], r["median_days"])
            for r in reversed(lags)
            if r["payer_key"] == payer
        ],
        reasons=[Reason(**row) for row in reasons],
        changes=[FoundChange(**row) for row in found],
    )


def _begin(on: date, week: int) -> date:
    return on - timedelta(days=7 * int(week) + 6)


def _belief(since: date, counts: Counts) -> Belief:
    low, high = wilson(counts)
    return Belief(since, counts.rate, low, high)
