"""Has a payer begun to deny more? Pure: counts in, findings out.

Each series (a payer, a payer's procedure, a payer's denial reason) is compared with its own past over four windows that
end today. One run tests all series of a customer, its delays and its payments with them, and holds the share of false
discoveries at `LEVEL`: so low that a customer whose payers do not change is told of something in one month of twenty
(docs/jobs.md has the measured figures).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from shared.domain.statistics import Counts, design_effect, two_rates_p, wilson

Kind = Literal[
    "denial_rate",  # of a payer
    "denial_rate_procedure",  # of a payer's procedure
    "denial_reason",  # of a payer's denial reason, among all its decisions
    "payment_delay",  # a payer's days from submission to decision
    "underpayment",  # a payer pays a procedure below the fee schedule
    "network",  # one payer and reason at several customers
]

WINDOWS_DAYS: Final = (1, 3, 7, 14)  # short ones see a large change at once, long ones a small one at all
LONGEST_DAYS: Final = WINDOWS_DAYS[-1]
BASELINE_DAYS: Final = 56  # before the longest window
LEAST_N: Final = 10  # decided claims, in a window and in the baseline
RUNS_A_MONTH: Final = 120
LEVEL: Final = 0.05 / RUNS_A_MONTH  # of false discoveries a run: 5 % of customer-months over all their runs
RELATIVE_FLOOR: Final = 0.10
ABSOLUTE_FLOOR: Final = 0.02


@dataclass(frozen=True, slots=True)
class Past:
    """A series before the longest window. days: with decisions. spread: sum over them of hits²/n."""

    counts: Counts
    days: int = 0
    spread: float = 0.0

    @property
    def design_effect(self) -> float:
        """Return how many of the payer's claims are worth one independent one."""
        c = self.counts
        return design_effect(days=self.days, hits=c.hits, n=c.n, spread=self.spread)


@dataclass(frozen=True, slots=True)
class Series:
    """What is compared. windows: counts by length in days. charge_cents: of decided claims of the longest window."""

    kind: Kind
    payer_key: str
    subject: str
    past: Past
    windows: Mapping[int, Counts]
    charge_cents: int = 0


@dataclass(frozen=True, slots=True)
class Rise:
    """A series that may have risen. window_days: the window that says most. p: over its windows."""

    series: Series
    window_days: int
    p: float


@dataclass(frozen=True, slots=True)
class Shift:
    """A series that rose. p: over its windows. q: over the run. low, high: of the current rate, 95 %."""

    series: Series
    window_days: int
    baseline: float
    current: float
    n: int
    p: float
    q: float
    low: float
    high: float
    at_stake_cents: int


def rises(series: Iterable[Series]) -> list[Rise]:
    """Return the series that may have risen."""
    return [rise for rise in map(_surest, series) if rise.p < 1]


def shifts(found: Iterable[tuple[Rise, float]]) -> list[Shift]:
    """Return those that surely rose, the surest first. found: each with its q, over all that the run tested."""
    risen = [_shift(rise, q) for rise, q in found if q <= LEVEL]
    return sorted(risen, key=lambda shift: (shift.p, shift.series.kind, shift.series.subject))


def _surest(one: Series) -> Rise:
    """Return the window that says most, and the p-value of the series: its best, times the windows looked at."""
    best, days = min((_window_p(one, one.windows[window]), window) for window in WINDOWS_DAYS)
    return Rise(one, days, min(1.0, best * len(WINDOWS_DAYS)))


def _window_p(one: Series, window: Counts) -> float:
    past = one.past.counts
    if min(window.n, past.n) < LEAST_N or not risen(past.rate, window.rate):
        return 1.0
    effect = one.past.design_effect
    return two_rates_p(window.over(effect), past.over(effect))


def risen(baseline: float, current: float) -> bool:
    """Whether a rise is large enough to matter, however sure it is."""
    return current - baseline >= max(ABSOLUTE_FLOOR, RELATIVE_FLOOR * baseline)


def _shift(rise: Rise, q: float) -> Shift:
    one, past = rise.series, rise.series.past
    window = one.windows[rise.window_days]
    low, high = wilson(window.over(past.design_effect))
    return Shift(
        series=one,
        window_days=rise.window_days,
        baseline=past.counts.rate,
        current=window.rate,
        n=round(window.n),
        p=rise.p,
        q=q,
        low=low,
        high=high,
        at_stake_cents=_at_stake(one, window.rate),
    )


def _at_stake(one: Series, current: float) -> int:
    """Return the charges of the longest window that would not have been denied before, at the present rate."""
    return round(one.charge_cents * max(0.0, current - one.past.counts.rate))


def outermost(found: Sequence[Shift]) -> list[Shift]:
    """Leave out what another finding tells already: of a payer that rose as a whole, its procedures and reasons."""
    whole = {shift.series.payer_key for shift in found if shift.series.kind == "denial_rate"}
    return [s for s in found if s.series.kind == "denial_rate" or s.series.payer_key not in whole]
