"""A finding is told of once, again when it moves on, and closed once."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.detection import LEVEL, WINDOWS_DAYS, Past, Series, Shift, outermost, rises, shifts
from shared.domain.findings import Change, Finding, bucket, changes, finding_id
from shared.domain.slowdown import LifeRow, WeekOfClaims, present_days, slow_down_p, slow_downs
from shared.domain.statistics import Counts, false_discovery

ON = date(2026, 11, 20)


def finding(*, current: float = 0.3, on: date = ON, **more: object) -> Finding:
    key = ("denial_rate", "oak", "")
    one = Finding(
        id=finding_id(UUID(int=1), key, on), kind="denial_rate", payer_key="oak", subject="", first_seen_on=on,
        last_seen_on=on, baseline=0.1, current=current, n=150, told=current,
    )  # fmt: skip
    return replace(one, **more)  # type: ignore[arg-type]


def only(found: list[Change]) -> Change:
    (change,) = found
    return change


def test_a_new_finding_is_told_and_one_that_is_seen_again_is_not() -> None:
    opened = only(changes([], [finding()], {}, on=ON))
    assert opened.event == "payer.change_detected"
    again = only(
        changes(
            [opened.finding],
            [finding(current=0.33, on=ON + timedelta(days=1))],
            {},
            on=ON + timedelta(days=1),
        )
    )
    assert again.event is None
    assert (again.finding.id, again.finding.first_seen_on, again.finding.told) == (opened.finding.id, ON, 0.3)
    assert again.finding.last_seen_on == ON + timedelta(days=1)


def test_one_that_moves_on_by_half_as_much_is_told_again_and_then_measured_from_there() -> None:
    known = finding()
    moved = only(changes([known], [finding(current=0.41)], {}, on=ON))
    assert moved.event == "payer.change_updated"
    assert only(changes([moved.finding], [finding(current=0.45)], {}, on=ON)).event is None


@pytest.mark.parametrize(
    ("current", "days", "event", "why"),
    [
        (0.29, 1, None, ""),
        (0.105, 1, None, ""),  # of a fortnight that is mostly of days before the change
        (0.105, 13, None, ""),
        (0.105, 14, "payer.change_closed", "recovered"),
        (None, 14, None, ""),  # too few to say
        (0.29, 28, "payer.change_closed", "settled"),
        (None, 27, None, ""),
    ],
)
def test_one_that_is_not_seen_is_closed_when_it_is_over(
    current: float | None, days: int, event: str | None, why: str
) -> None:
    known = finding()
    rates = {} if current is None else {known.id: current}
    found = changes([known], [], rates, on=ON + timedelta(days=days))
    assert [(c.event, c.finding.closed_why) for c in found] == ([(event, why)] if event else [])


@pytest.mark.parametrize(
    ("kind", "baseline", "current", "days", "why"),
    [
        ("payment_delay", 14, 21, 27, []),
        ("payment_delay", 14, 21, 28, ["settled"]),
        ("payment_delay", 14, 15, 14, ["recovered"]),
        ("underpayment", 1.0, 0.93, 27, []),
        ("underpayment", 1.0, 0.93, 28, ["settled"]),
        ("underpayment", 1.0, 0.99, 14, ["recovered"]),
        ("network", 0, None, 14, ["recovered"]),
    ],
)
def test_a_level_that_stays_has_settled_and_not_recovered(
    kind: str, baseline: float, current: float | None, days: int, why: list[str]
) -> None:
    known = finding(kind=kind, baseline=baseline)
    present = {} if current is None else {known.id: current}
    found = changes([known], [], present, on=ON + timedelta(days=days))
    assert [change.finding.closed_why for change in found] == why


@given(st.lists(st.floats(0, 1), max_size=30))
def test_a_finding_has_one_beginning_and_at_most_one_end(rates: list[float]) -> None:
    """Whatever is seen day by day: told of as new, then perhaps moved, then closed, and only then new again."""
    known: list[Finding] = []
    events: list[str] = []
    for day, rate in enumerate(rates):
        on = ON + timedelta(days=day)
        seen = [finding(current=rate, on=on)] if rate > 0.2 else []
        for change in changes(known, seen, {f.id: rate for f in known}, on=on):
            known = [change.finding] if change.finding.state == "open" else []
            events += [change.event] if change.event else []
    for first, second in pairwise(events):
        assert (first == "payer.change_closed") == (second == "payer.change_detected")


def series(kind: str, hits: int, n: int, subject: str = "") -> Series:
    windows = {days: Counts(hits * days, n * days) for days in WINDOWS_DAYS}
    return Series(kind, "oak", subject, Past(Counts(5 * 56, 50 * 56), 56, 56 * 25 / 50), windows)  # type: ignore[arg-type]


def sure(*series: Series, tested: int) -> list[Shift]:
    found = rises(series)
    return shifts(zip(found, false_discovery([rise.p for rise in found], tested=tested), strict=True))


def test_the_more_is_looked_at_the_surer_a_rise_must_be() -> None:
    weak = series("denial_rate", 8, 50)
    assert sure(weak, tested=1)[0].q <= LEVEL
    assert sure(weak, tested=100_000) == []


def test_a_payers_rise_stands_for_those_of_its_procedures() -> None:
    found = sure(series("denial_rate", 20, 50), series("denial_rate_procedure", 20, 50, "99213"), tested=2)
    assert len(found) == 2
    assert [shift.series.kind for shift in outermost(found)] == ["denial_rate"]


def test_a_rise_too_small_to_matter_is_none_however_sure() -> None:
    tiny = Series(
        "denial_rate", "oak", "", Past(Counts(100_000, 1_000_000), 56, 0.0),
        {days: Counts(11_500 * days, 100_000 * days) for days in WINDOWS_DAYS},
    )  # fmt: skip
    assert sure(tiny, tested=1) == []


def weeks(*medians: int | None, followed: int = 60) -> list[WeekOfClaims]:
    return [
        WeekOfClaims("oak", week, 100, median, followed if median is not None else (week + 1) * 7)
        for week, median in enumerate(medians)
    ]


def test_three_rises_are_a_slow_down_and_two_are_not() -> None:
    (slow,), looked_at = slow_downs(weeks(19, 16, 13, 10, 10, 10, 10))
    assert (slow.baseline_days, slow.current_days, slow.first_week, looked_at) == (10, 19, 2, 1)
    assert slow_downs(weeks(16, 13, 10, 10, 10, 10))[0] == []
    assert slow_downs(weeks(11, 10, 9, 9, 9, 9))[0] == []


def test_a_week_too_young_to_have_a_median_says_nothing_or_at_least_how_long_it_waits() -> None:
    assert slow_downs(weeks(None, 19, 16, 13, 10, 10, 10))[0][0].current_days == 19
    assert slow_downs(weeks(None, None, 10, 10, 10, 10))[0] == []


@pytest.mark.parametrize(
    ("medians", "days"),
    [
        ((None, None, None, 21, 21, 21, 14), {"oak": 21}),
        ((None, None, 14, 14, 21, 21), {"oak": 14}),
        ((None, None, None, None, None, 14, 14, 14), {"oak": 28}),  # it decides nothing any more
        ((None, None, None, None), {}),
        ((14, 14), {}),
    ],
)
def test_what_a_payer_takes_now_is_told_by_weeks_that_have_a_median_or_waited_longer(
    medians: tuple[int | None, ...], days: dict[str, float]
) -> None:
    assert present_days(weeks(*medians)) == days


def test_slower_claims_count_though_they_are_not_decided() -> None:
    before = [LifeRow(week, days, 10, 0) for week in range(4, 10) for days in range(6, 16)]
    slower = [LifeRow(week, 13, 10, 90) for week in range(4)]
    as_before = [LifeRow(week, days, 10, 0) for week in range(4) for days in range(6, 16)]
    assert slow_down_p([*before, *slower], first_week=3) < 1e-6
    assert slow_down_p([*before, *as_before], first_week=3) > 0.5
    assert slow_down_p([], first_week=3) == 1.0


def test_the_number_of_customers_is_told_so_roughly_that_none_can_be_told_apart() -> None:
    assert [bucket(n) for n in (2, 3, 4, 5, 9, 10, 24, 25, 400)] == [0, 3, 3, 5, 5, 10, 10, 25, 25]
