"""What the load test makes of what it measured."""

from itertools import pairwise

import pytest

from benchmarks.arrivals import Step, poisson
from benchmarks.capacity import drift, histogram, holds, knee, narrowed, sustained, sweep

SERVES = 1_000.0  # a second, of the server that is made up below


def made_up(per_s: float, *, duration_s: float = 10.0) -> Step:
    """Return the step of a server that takes a millisecond each, one after the other: a queue with a known answer."""
    due_s = poisson(per_s, duration_s, seed=1, most=100_000)
    step, free_at = Step(per_s), 0.0
    for at in due_s:
        free_at = max(at, free_at) + 1 / SERVES
        step.due_s.append(at)
        step.latencies_s.append(free_at - at)
    step.statuses = {202: len(due_s)}
    step.elapsed_s = free_at
    return step


def test_arrivals_are_as_many_as_asked_and_random() -> None:
    due_s = poisson(500, 20, seed=3, most=100_000)
    gaps = [after - before for before, after in pairwise(due_s)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert len(due_s) == pytest.approx(10_000, rel=0.05)
    assert spread == pytest.approx(mean, rel=0.05), "an exponential's deviation is its mean"
    assert due_s == sorted(due_s)
    assert 0 < due_s[0] < due_s[-1] < 20
    assert len(poisson(500, 20, seed=3, most=7)) == 7


def test_drift_is_the_share_that_is_too_much() -> None:
    due_s = [n / 100 for n in range(1_000)]
    assert drift(due_s, [0.02 * at for at in due_s]) == pytest.approx(0.02)
    assert drift(due_s, [0.004] * len(due_s)) == pytest.approx(0)
    assert drift([1.0], [1.0]) == 0
    assert drift([], []) == 0


def test_an_overload_does_not_hold_even_while_its_latencies_are_small() -> None:
    step = made_up(SERVES * 1.05, duration_s=4)
    assert max(step.latencies_s) < 0.25
    assert not holds(step)


@pytest.mark.parametrize("spoilt", ["refused", "unanswered", "slow"])
def test_a_rate_holds_only_if_everything_is_taken_in_time(spoilt: str) -> None:
    step = made_up(SERVES / 2)
    assert holds(step)
    if spoilt == "refused":
        step.statuses[503] = 1
    elif spoilt == "unanswered":
        step.unanswered = 1
    else:
        step.latencies_s[::50] = [0.3] * len(step.latencies_s[::50])
    assert not holds(step)


def test_the_sustained_rate_of_a_known_server_is_found() -> None:
    asked: list[float] = []

    def measure(per_s: float) -> Step:
        asked.append(per_s)
        return made_up(per_s)

    steps = sweep(SERVES, measure)
    found = [*steps, *narrowed(steps, measure)]
    assert 0.85 * SERVES < sustained(found) < 1.02 * SERVES
    assert max(asked) <= 1.25 * SERVES
    assert not any(holds(step) for step in found if step.asked_per_s > sustained(found))


def test_the_sweep_ends_when_two_rates_in_a_row_do_not_hold() -> None:
    assert [step.asked_per_s for step in sweep(20 * SERVES, made_up)] == [2 * SERVES, 5 * SERVES]


def test_a_capacity_that_was_found_too_low_is_gone_beyond() -> None:
    asked = [step.asked_per_s for step in sweep(SERVES / 2, made_up, shares=(1.0,))]
    assert asked == [500, 625, 781.25, 976.5625, 1220.703125]
    assert len(sweep(SERVES / 100, made_up, shares=(1.0,))) == 5, "not for ever"


def test_the_knee_is_where_latency_turns() -> None:
    rates = [100, 200, 300, 400, 500, 600, 700, 800, 900]
    steps = []
    for rate in rates:
        step = Step(rate)
        step.latencies_s = [0.002 if rate <= 700 else 0.002 * (rate - 600) / 10]
        steps.append(step)
    assert knee(steps) == 700
    assert knee(steps[::-1]) == 700
    assert knee(steps[:2]) == 0
    assert knee(steps[:5]) == 0, "a flat line has none"


def test_nothing_held_is_no_rate() -> None:
    steps = [made_up(SERVES * 2)]
    assert sustained(steps) == 0
    assert narrowed(steps, made_up) == []


def test_a_histogram_counts_each_once_in_buckets_that_double() -> None:
    buckets = histogram([0.0003, 0.0004, 0.0021, 0.1])
    assert sum(inside for _, inside in buckets) == 4
    assert buckets[0] == (0.0005, 2)
    assert all(after == 2 * before for (before, _), (after, _) in pairwise(buckets))
    assert buckets[-1] == (0.128, 1)
    assert histogram([]) == []
