"""Does a payer take longer to decide? Pure.

Claims are looked at by the week they were submitted in, so that a claim which is not decided yet still counts: it has
waited as long as it has (Kaplan and Meier 1958, JASA 53, 457-481). Weeks by decision would show a slow-down only once
the slow claims are paid, and a faster payer as a slower one while it clears its backlog.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from shared.domain.statistics import log_rank_p

WEEKS: Final = 12
RISES: Final = 3  # in a row
LEAST_N: Final = 10
LEAST_DAYS_MORE: Final = 3.0
LEAST_SHARE_MORE: Final = 0.2


@dataclass(frozen=True, slots=True)
class WeekOfClaims:
    """A payer's claims submitted in one week. week: 0 is the newest.

    median_days: to a decision; None while fewer than half have one. followed_days: how long its oldest were watched.
    """

    payer_key: str
    week: int
    claims: int
    median_days: int | None
    followed_days: int

    @property
    def at_least_days(self) -> int:
        """Return the median, or what it must exceed."""
        return self.followed_days if self.median_days is None else self.median_days


@dataclass(frozen=True, slots=True)
class LifeRow:
    """Of one week's claims: how many were decided after these days, and how many had only waited them."""

    week: int
    days: int
    decided: int
    waiting: int


@dataclass(frozen=True, slots=True)
class SlowDown:
    """Weekly medians that rose. first_week: how many weeks ago they began to. n: claims since."""

    payer_key: str
    baseline_days: float
    current_days: float
    first_week: int
    n: int


def slow_downs(weeks: Iterable[WeekOfClaims]) -> tuple[list[SlowDown], int]:
    """Return the payers whose medians rose three times in a row by enough to matter, and how many were looked at."""
    looked_at = [known for known in _by_payer(weeks).values() if len(known) > RISES + 1]
    found = [slow for known in looked_at if (slow := _rising(known)) is not None]
    return found, len(looked_at)


def present_days(weeks: Iterable[WeekOfClaims]) -> dict[str, float]:
    """Return the days that each payer takes now, where enough weeks tell: the middle one of the newest three that do.

    A week tells if it has a median, or has waited without one for longer than the newest week that has.
    """
    found = {}
    for payer_key, known in _by_payer(weeks).items():
        newest = next((week.median_days for week in known if week.median_days is not None), inf)
        told = [w.at_least_days for w in known if w.median_days is not None or w.at_least_days > newest]
        if len(told) >= RISES:
            found[payer_key] = float(sorted(told[:RISES])[RISES // 2])
    return found


def slower(baseline: float, current: float) -> bool:
    """Whether a payer takes longer by enough to matter, however sure it is."""
    return current - baseline >= max(LEAST_DAYS_MORE, LEAST_SHARE_MORE * baseline)


def _by_payer(weeks: Iterable[WeekOfClaims]) -> dict[str, list[WeekOfClaims]]:
    """Return the weeks that have enough claims, the newest first."""
    found: dict[str, list[WeekOfClaims]] = defaultdict(list)
    for week in sorted(weeks, key=lambda week: week.week):
        if week.claims >= LEAST_N:
            found[week.payer_key].append(week)
    return found


def _rising(weeks: Sequence[WeekOfClaims]) -> SlowDown | None:
    """Look at the newest weeks. One that is too young to say anything yet is passed over."""
    told = list(weeks)
    while (
        len(told) > RISES + 1
        and told[0].median_days is None
        and told[0].at_least_days <= told[1].at_least_days
    ):
        told.pop(0)
    run = told[: RISES + 1]
    if len(run) <= RISES or any(run[i].at_least_days <= run[i + 1].at_least_days for i in range(RISES)):
        return None
    before = sorted(week.at_least_days for week in told[RISES:])
    baseline = float(before[len(before) // 2])
    current = float(run[0].at_least_days)
    if not slower(baseline, current):
        return None
    return SlowDown(
        payer_key=run[0].payer_key,
        baseline_days=baseline,
        current_days=current,
        first_week=run[RISES - 1].week,
        n=sum(week.claims for week in run[:RISES]),
    )


def slow_down_p(rows: Iterable[LifeRow], *, first_week: int) -> float:
    """Return the log-rank test of the weeks since `first_week` against those before, waiting claims and all."""
    table: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])  # decided, waiting: recent, then before
    for row in rows:
        at = 0 if row.week <= first_week else 2
        table[row.days][at] += row.decided
        table[row.days][at + 1] += row.waiting
    recent = sum(sum(line[:2]) for line in table.values())
    everyone = sum(sum(line) for line in table.values())
    observed = expected = variance = 0.0
    for days in sorted(table):
        decided_recent, waiting_recent, decided_before, waiting_before = table[days]
        decided = decided_recent + decided_before
        if decided and everyone > 1:
            share = recent / everyone
            observed += decided_recent
            expected += decided * share
            variance += decided * share * (1 - share) * (everyone - decided) / (everyone - 1)
        recent -= decided_recent + waiting_recent
        everyone -= decided + waiting_recent + waiting_before
    return log_rank_p(observed, expected, variance) if observed < expected else 1.0
