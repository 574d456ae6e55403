"""Detection by simulation, seeded: how soon a planted change is found, and how often one is found that is not there.

One customer with one payer, 12 procedures and 6 denial reasons, so 19 series are tested a day, and 13 more that do not
change here: days to decision, and payments by procedure. Three detectors read the
same days: ours (`shared/domain/detection.py`), the plain rule (3 days against the 14 before, chi-square p < 0.05, no
correction), and a Bernoulli CUSUM of each series for doubled odds, against the rate of the same 56 days drawn to the
payer's, with a threshold at which it has about one false alert a payer-year at 50 claims a day. Delays count the day of
the change as 1. An alert that goes on is one alert. `batches` is a payer that decides by the batch: its days scatter
2.6 times as much. `weekly` does so once a week.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import exp, inf, log
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Figure, arguments, median, report
from shared.domain.detection import (
    BASELINE_DAYS,
    LEAST_N,
    LEVEL,
    LONGEST_DAYS,
    WINDOWS_DAYS,
    Kind,
    Past,
    Series,
    outermost,
    rises,
    shifts,
)
from shared.domain.drift import DailyRatios
from shared.domain.findings import Change, Finding, changes, finding_id
from shared.domain.slowdown import LifeRow, SlowDown, WeekOfClaims, present_days, slow_down_p, slow_downs
from shared.domain.statistics import Counts, chi_square_p, false_discovery

SEED: Final = 20261127
BEFORE: Final = BASELINE_DAYS + LONGEST_DAYS
LOOKED: Final = 30  # days after a change
FOLLOWED: Final = 130  # days after a payer began to be slower
YEAR: Final = 365
BASE_RATE: Final = 0.10
PROCEDURES: Final = 12
REASONS: Final = np.array([0.30, 0.25, 0.15, 0.15, 0.10, 0.05])
TESTED: Final = 1 + PROCEDURES + len(REASONS) + 1 + PROCEDURES  # denials, days to decision, payments
CUSUM_THRESHOLD: Final = 8.0
DAY_0: Final = date(2026, 1, 1)
_CUSTOMER: Final = UUID(int=1)

Days = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Payer:
    """What a payer decided: by day, and by day and procedure or reason."""

    decided: Days
    denied: Days
    by_procedure: tuple[Days, Days]
    by_reason: Days

    def series(self) -> Iterator[tuple[Kind, str, Days, Days]]:
        """Yield each series' denied and decided claims by day."""
        yield "denial_rate", "", self.denied, self.decided
        denied, decided = self.by_procedure
        for k in range(PROCEDURES):
            yield "denial_rate_procedure", str(k), denied[:, k], decided[:, k]
        for k in range(len(REASONS)):
            yield "denial_reason", str(k), self.by_reason[:, k], self.decided


def payer(
    rng: np.random.Generator,
    a_day: int,
    days: int,
    *,
    rate: float = BASE_RATE,
    since: int = 10**9,
    batches: bool = False,
    weekly: bool = False,
) -> Payer:
    """Return a payer that denies one in ten, and `rate` from the day `since` on, the rise all for one reason.

    weekly: it decides a week's claims on one day.
    """
    shares = rng.dirichlet(np.ones(PROCEDURES))
    a_time = rng.poisson(7 * a_day, days) * (np.arange(days) % 7 == 0) if weekly else rng.poisson(a_day, days)
    decided = np.array([rng.multinomial(n, shares) for n in a_time])
    rates = np.where(np.arange(days) >= since, rate, BASE_RATE)
    drawn = rng.beta(rates * 30, (1 - rates) * 30) if batches else rates
    denied = rng.binomial(decided, drawn[:, None])
    total = denied.sum(axis=1)
    as_before = rng.binomial(total, np.minimum(1.0, BASE_RATE / rates))
    reasons = np.array([rng.multinomial(n, REASONS) for n in as_before])
    reasons[:, 0] += total - as_before
    return Payer(decided.sum(axis=1), total, (denied, decided), reasons)


def ours(one: Payer, days: range) -> Iterator[bool]:
    """Yield for each day whether something is told."""
    for told in life(one, days):
        yield any(change.event == "payer.change_detected" for change in told)


def life(one: Payer, days: range) -> Iterator[list[Change]]:
    """Yield for each day what is told of: findings are opened, updated and closed as the job does it.

    A day is looked at twice: before its claims have come, as at 00:00, 06:00 and 12:00, and after, as at 18:00.
    """
    known: list[Finding] = []
    for day in days:
        told = []
        for until in (day, day + 1):
            found = _look(one, known, day, until)
            touched = {change.finding.id for change in found}
            known = [f for f in known if f.id not in touched]
            known += [change.finding for change in found if change.finding.state == "open"]
            told += [change for change in found if change.event]
        yield told


def _look(one: Payer, known: list[Finding], day: int, until: int) -> list[Change]:
    every = [
        _series(kind, subject, denied, decided, day, until) for kind, subject, denied, decided in one.series()
    ]
    on = DAY_0 + timedelta(days=day)
    found = rises(every)
    q_values = false_discovery([rise.p for rise in found], tested=TESTED)
    sure = outermost(shifts(zip(found, q_values, strict=True)))
    seen = [_finding(s.series, s.baseline, s.current, on) for s in sure]
    rates = {f.id: _rate(one, f, day, until) for f in known}
    return changes(known, seen, {key: rate for key, (rate, n) in rates.items() if n >= LEAST_N}, on=on)


def _series(kind: Kind, subject: str, denied: Days, decided: Days, day: int, until: int) -> Series:
    """Return a series as of a day. until: the first day of which nothing is known yet."""
    begin, end = day - LONGEST_DAYS - BASELINE_DAYS + 1, day - LONGEST_DAYS + 1
    hits, n = denied[begin:end], decided[begin:end]
    some = n > 0
    spread = float((hits[some] ** 2 / n[some]).sum())
    past = Past(Counts(int(hits.sum()), int(n.sum())), int(some.sum()), spread)
    windows = {
        w: Counts(int(denied[day - w + 1 : until].sum()), int(decided[day - w + 1 : until].sum()))
        for w in WINDOWS_DAYS
    }
    return Series(kind, "payer", subject, past, windows)


def _finding(series: Series, baseline: float, current: float, on: date) -> Finding:
    key = (series.kind, series.payer_key, series.subject)
    return Finding(
        id=finding_id(_CUSTOMER, key, on), kind=series.kind, payer_key="payer", subject=series.subject,
        first_seen_on=on, last_seen_on=on, baseline=baseline, current=current, n=0, told=current,
    )  # fmt: skip


def _rate(one: Payer, finding: Finding, day: int, until: int) -> tuple[float, int]:
    for kind, subject, denied, decided in one.series():
        if (kind, subject) == (finding.kind, finding.subject):
            n = int(decided[day - LONGEST_DAYS + 1 : until].sum())
            return float(denied[day - LONGEST_DAYS + 1 : until].sum()) / max(n, 1), n
    raise KeyError(finding.subject)


def plain(one: Payer, days: range) -> Iterator[bool]:
    """Yield for each day whether an alert begins: 3 days against the 14 before."""
    return _beginnings(
        any(_plain(denied, decided, day) for _, _, denied, decided in one.series()) for day in days
    )


def _plain(denied: Days, decided: Days, day: int) -> bool:
    now = Counts(int(denied[day - 2 : day + 1].sum()), int(decided[day - 2 : day + 1].sum()))
    before = Counts(int(denied[day - 16 : day - 2].sum()), int(decided[day - 16 : day - 2].sum()))
    enough = min(now.n, before.n) >= 10 and now.rate > before.rate * 1.1  # noqa: PLR2004 - as DESIGN has it
    return enough and chi_square_p(now, before) < 0.05  # noqa: PLR2004 - ditto


def cusum(one: Payer, days: range) -> Iterator[bool]:
    """Yield for each day whether an alert begins: a CUSUM of the log-likelihood ratio of doubled odds."""
    sums: dict[tuple[str, str], float] = {}
    alarms = []
    for day in days:
        alarm = False
        for kind, subject, denied, decided in one.series():
            past = slice(day - LONGEST_DAYS - BASELINE_DAYS + 1, day - LONGEST_DAYS + 1)
            whole = (
                one.denied[past].sum()
                / one.decided[past].sum()
                / (1 if kind != "denial_reason" else len(REASONS))
            )
            rate = float((denied[past].sum() + 20 * whole) / (decided[past].sum() + 20))
            odds = 2 * rate / (1 - rate)
            risen = odds / (1 + odds)
            hits, n = int(denied[day]), int(decided[day])
            step = hits * log(risen / rate) + (n - hits) * log((1 - risen) / (1 - rate))
            total = max(0.0, sums.get((kind, subject), 0.0) + step)
            alarm = alarm or total >= CUSUM_THRESHOLD
            sums[kind, subject] = min(total, CUSUM_THRESHOLD)
        alarms.append(alarm)
    return _beginnings(alarms)


def _beginnings(alarms: "Iterator[bool] | list[bool]") -> Iterator[bool]:
    before = False
    for alarm in alarms:
        yield alarm and not before
        before = alarm


Detector = Callable[[Payer, range], Iterator[bool]]
DETECTORS: Final[Mapping[str, Detector]] = {"ours": ours, "plain": plain, "cusum": cusum}


def _delays(detector: Detector, payers: list[Payer]) -> list[float]:
    """Return the days until each change is found; infinite where it was not within thirty."""
    days = range(BEFORE, BEFORE + LOOKED)
    return [next((float(n) for n, told in enumerate(detector(one, days), 1) if told), inf) for one in payers]


def _power(a_day: int, rate: float, runs: int) -> Iterator[Figure]:
    rng = np.random.default_rng([SEED, a_day, round(rate * 100)])
    payers = [payer(rng, a_day, BEFORE + LOOKED, rate=rate, since=BEFORE) for _ in range(runs)]
    for name, detector in DETECTORS.items():
        delays = _delays(detector, payers)
        what = f"{name}.10to{rate * 100:.0f}.at{a_day}"
        yield Figure(f"{what}.median", median(delays) if median(delays) < inf else -1, "days (-1: over 30)")
        yield Figure(f"{what}.by_day_3", 100 * sum(d <= 3 for d in delays) / runs, "%")  # noqa: PLR2004 - the aim
        yield Figure(f"{what}.by_day_30", 100 * sum(d < inf for d in delays) / runs, "%")
    yield from _told(payers, f"ours.10to{rate * 100:.0f}.at{a_day}")


def _told(payers: list[Payer], what: str) -> Iterator[Figure]:
    """Yield how often a change that lasts is told of in thirty days, and how often it is said to be over."""
    told = [change for one in payers for day in life(one, range(BEFORE, BEFORE + LOOKED)) for change in day]
    detected = sum(change.event == "payer.change_detected" for change in told)
    recovered = sum(change.finding.closed_why == "recovered" for change in told)
    yield Figure(f"{what}.detected", detected / len(payers), "findings a payer in 30 days")
    yield Figure(f"{what}.recovered", recovered / len(payers), "closed a payer in 30 days, though it lasts")


def _false_alerts(a_day: int, years: int, *, batches: bool = False, weekly: bool = False) -> Iterator[Figure]:
    rng = np.random.default_rng([SEED, a_day, int(batches) + int(weekly)])
    payers = [payer(rng, a_day, BEFORE + YEAR, batches=batches, weekly=weekly) for _ in range(years)]
    for name, detector in DETECTORS.items():
        told = [sum(detector(one, range(BEFORE, BEFORE + YEAR))) for one in payers]
        kind = "weekly" if weekly else "batches" if batches else "even"
        yield Figure(f"{name}.false_alerts.{kind}.at{a_day}", sum(told) / years, "a payer-year")
        if name == "ours" and not batches:
            yield Figure(
                f"ours.false_alerts.month.at{a_day}", 100 * sum(told) / years / 12, "% of customer-months"
            )


def _slower(rng: np.random.Generator, a_day: int, days: int, since: int) -> tuple[Days, Days]:
    """Return the day of submission and the days to decision of claims that take a week more, over three weeks."""
    submitted = np.repeat(np.arange(days), rng.poisson(a_day, days))
    more = np.clip((submitted - since) / 21, 0, 1) * 7
    return submitted, np.rint(rng.gamma(16, 14 / 16, len(submitted)) + more).astype(np.int64)


def _slow_on(submitted: Days, lags: Days, on: int) -> tuple[SlowDown | None, dict[str, float]]:
    """Return the slow-down that the job would see on a day, and the present days, from claims as they stood on it."""
    seen = (submitted <= on) & (submitted > on - 84)
    week = (on - submitted[seen]) // 7
    waited = on - submitted[seen]
    decided = lags[seen] <= waited
    days = np.where(decided, lags[seen], waited)
    weeks = [_week(int(w), days[week == w], decided[week == w]) for w in np.unique(week)]
    for slow in slow_downs(weeks)[0]:
        rows = [
            LifeRow(
                w,
                int(t),
                int(((week == w) & (days == t) & decided).sum()),
                int(((week == w) & (days == t) & ~decided).sum()),
            )
            for w in range(12)
            for t in np.unique(days[week == w])
        ]
        if slow_down_p(rows, first_week=slow.first_week) <= LEVEL:
            return slow, present_days(weeks)
    return None, present_days(weeks)


def _slow_life(submitted: Days, lags: Days, days: range) -> Iterator[list[Change]]:
    """Yield for each day what is told of a payer's delays."""
    known: list[Finding] = []
    for day in days:
        slow, present = _slow_on(submitted, lags, day)
        on = DAY_0 + timedelta(days=day)
        seen = [] if slow is None else [_delay(slow, on)]
        found = changes(known, seen, {f.id: present["payer"] for f in known if present}, on=on)
        if found:
            known = [change.finding for change in found if change.finding.state == "open"]
        yield [change for change in found if change.event]


def _delay(slow: SlowDown, on: date) -> Finding:
    return Finding(
        id=finding_id(_CUSTOMER, ("payment_delay", "payer", ""), on), kind="payment_delay", payer_key="payer",
        subject="", first_seen_on=on, last_seen_on=on, baseline=slow.baseline_days, current=slow.current_days, n=0,
        told=slow.current_days,
    )  # fmt: skip


def _week(week: int, days: Days, decided: NDArray[np.bool_]) -> WeekOfClaims:
    share, middle = 0.0, None
    for t in np.unique(days):
        at_risk, events = int((days >= t).sum()), int(((days == t) & decided).sum())
        share = -inf if events >= at_risk else share + log(1 - events / at_risk)
        if exp(share) <= 0.5 + 1e-9:
            middle = int(t)
            break
    return WeekOfClaims("payer", week, len(days), middle, int(days.max()))


def _slow_downs(a_day: int, runs: int) -> Iterator[Figure]:
    rng = np.random.default_rng([SEED, a_day, 7])
    delays, ends = [], []
    for _ in range(runs):
        submitted, lags = _slower(rng, a_day, 84 + FOLLOWED, since=84)
        told = [*_slow_life(submitted, lags, range(85, 84 + FOLLOWED))]
        delays.append(next((float(d) for d, changed in enumerate(told, 1) if changed), inf))
        ends += [change.finding.closed_why for changed in told for change in changed]
    yield Figure(
        f"slow_down.7_days_over_3_weeks.at{a_day}.median",
        median(delays) if median(delays) < inf else -1,
        "days",
    )
    yield Figure(
        f"slow_down.7_days_over_3_weeks.at{a_day}.found", 100 * sum(d < inf for d in delays) / runs, "%"
    )
    for why in ("recovered", "settled"):
        yield Figure(
            f"slow_down.7_days_over_3_weeks.at{a_day}.{why}",
            ends.count(why) / runs,
            f"closed a payer in {FOLLOWED} days, though it lasts",
        )
    submitted, lags = _slower(rng, a_day, 84 + YEAR, since=10**9)
    alarms = [_slow_on(submitted, lags, 84 + d)[0] is not None for d in range(YEAR)]
    yield Figure(f"slow_down.false_alerts.at{a_day}", sum(_beginnings(alarms)), "a payer-year")


def _paid_short(ratios: Floats, day: int) -> bool:
    """Whether the job would tell of a procedure that is paid less of its fee. ratios: by day and procedure, or NaN."""
    now = ratios[day - LONGEST_DAYS + 1 : day + 1]
    past = ratios[day - LONGEST_DAYS - BASELINE_DAYS + 1 : day - LONGEST_DAYS + 1]
    found = [
        DailyRatios("payer", "", *_moments(now[:, k]), *_moments(past[:, k]), n=0, short_cents=0)
        for k in range(ratios.shape[1])
    ]
    p_values = [one.p for one in found if one.dropped]
    return any(q <= LEVEL for q in false_discovery(p_values, tested=len(found)))


def _moments(ratios: Floats) -> tuple[int, float, float]:
    some = ratios[~np.isnan(ratios)]
    return len(some), float(some.mean()), float(some.var(ddof=1))


def _underpayments(scatter: float, procedures: int, years: int) -> Iterator[Figure]:
    """Yield the months with a false alert, of procedures that are paid on five days a week; and a drop's delay."""
    rng = np.random.default_rng([SEED, procedures, round(scatter * 100)])
    what = f"underpayment.scatter{scatter * 100:.0f}.of{procedures}"
    months = 0
    for _ in range(12 * years):
        ratios = _ratios(rng, scatter, procedures, BEFORE + LOOKED)
        months += any(_paid_short(ratios, day) for day in range(BEFORE, BEFORE + LOOKED))
    yield Figure(f"{what}.false_alerts.month", 100 * months / years / 12, "% of customer-months")
    delays = []
    for _ in range(2 * years):
        ratios = _ratios(rng, scatter, procedures, BEFORE + LOOKED)
        ratios[BEFORE:, 0] -= 0.2
        days = range(BEFORE, BEFORE + LOOKED)
        delays.append(next((float(n) for n, day in enumerate(days, 1) if _paid_short(ratios, day)), inf))
    yield Figure(f"{what}.by_20_points.median", median(delays) if median(delays) < inf else -1, "days")


def _ratios(rng: np.random.Generator, scatter: float, procedures: int, days: int) -> Floats:
    ratios = rng.normal(1.0, scatter, (days, procedures))
    ratios[np.arange(days) % 7 >= 5] = np.nan  # noqa: PLR2004 - the weekend
    return ratios


def main() -> None:
    """Simulate, print, and write the figures."""
    given = arguments("detection", str(__doc__))
    runs, years = (10, 1) if given.quick else (200, 20)
    figures = [f for a_day in (20, 50, 200) for rate in (0.15, 0.20, 0.30) for f in _power(a_day, rate, runs)]
    figures += [f for a_day in (20, 50, 200) for f in _false_alerts(a_day, years)]
    figures += list(_false_alerts(50, years, batches=True))
    figures += list(_false_alerts(50, years, batches=True, weekly=True))
    figures += [f for a_day in (20, 50) for f in _slow_downs(a_day, max(2, runs // 10))]
    for scatter, procedures in ((0.02, 20), (0.08, 20), (0.10, 50)):
        figures += list(_underpayments(scatter, procedures, years))
    report("detection", figures, given.json, title=f"Detection, {runs} runs each, seed {SEED}")


if __name__ == "__main__":
    main()
