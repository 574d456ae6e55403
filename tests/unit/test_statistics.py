"""The closed forms, against SciPy and statsmodels."""

import math
import random
import warnings
from importlib import import_module
from statistics import fmean, variance
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.drift import LEAST_SCATTER, DailyRatios
from shared.domain.statistics import (
    Beta,
    Counts,
    beta_prior,
    chi_square_p,
    design_effect,
    false_discovery,
    fisher_p,
    log_rank_p,
    moments_of,
    t_p,
    two_rates_p,
    wilson,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    stats: Any = import_module("scipy.stats")
    multitest: Any = import_module("statsmodels.stats.multitest")
    proportion: Any = import_module("statsmodels.stats.proportion")
    survival: Any = import_module("statsmodels.duration.survfunc")

TABLES = 12_000
CLOSE = 1e-9


def tables(seed: int, largest: int) -> list[tuple[Counts, Counts]]:
    rng = random.Random(seed)  # noqa: S311 - tables, not secrets

    def counts() -> Counts:
        n = rng.randint(1, rng.choice((5, 30, largest)))
        return Counts(min(n, rng.randint(0, n) if rng.random() < 0.5 else int(n * rng.betavariate(1, 9))), n)

    return [(counts(), counts()) for _ in range(TABLES)]


def test_chi_square_agrees_with_scipy_on_ten_thousand_tables() -> None:
    compared = 0
    for a, b in tables(1, 5_000):
        if 0 < a.hits + b.hits < a.n + b.n:
            table = [[a.hits, a.n - a.hits], [b.hits, b.n - b.hits]]
            expected = stats.chi2_contingency(table, correction=False).pvalue
            assert math.isclose(chi_square_p(a, b), expected, rel_tol=CLOSE, abs_tol=CLOSE), (a, b)
            compared += 1
    assert compared > 10_000


def test_fisher_agrees_with_scipy_on_ten_thousand_tables() -> None:
    for a, b in tables(2, 600):
        table = [[a.hits, a.n - a.hits], [b.hits, b.n - b.hits]]
        expected = stats.fisher_exact(table).pvalue
        assert math.isclose(fisher_p(a, b), expected, rel_tol=CLOSE, abs_tol=CLOSE), (a, b)


def test_wilson_agrees_with_statsmodels_on_ten_thousand_counts() -> None:
    for a, _ in tables(3, 50_000):
        low, high = proportion.proportion_confint(a.hits, a.n, method="wilson")
        assert wilson(a) == pytest.approx((low, high), abs=CLOSE)


def test_false_discovery_agrees_with_statsmodels_on_ten_thousand_lists() -> None:
    rng = random.Random(4)  # noqa: S311 - as above
    for _ in range(TABLES):
        ps = [rng.random() ** rng.choice((1, 1, 6)) for _ in range(rng.randint(1, 12))]
        expected = multitest.multipletests(ps, method="fdr_bh")[1]
        assert false_discovery(ps, tested=len(ps)) == pytest.approx(list(expected), abs=CLOSE)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(0, 200))
def test_tests_that_found_nothing_may_be_left_out_of_the_list(ps: list[float], silent: int) -> None:
    whole = false_discovery([*ps, *[1.0] * silent], tested=len(ps) + silent)
    assert false_discovery(ps, tested=len(ps) + silent) == pytest.approx(whole[: len(ps)])


def test_log_rank_agrees_with_statsmodels() -> None:
    rng = random.Random(5)  # noqa: S311 - as above
    for _ in range(50):
        rows = [
            (rng.randint(1, 30), rng.random() < 0.7, group)
            for group in (0, 1)
            for _ in range(rng.randint(20, 60))
        ]
        times, events, groups = zip(*rows, strict=True)
        _, expected = survival.survdiff(list(times), [int(e) for e in events], list(groups))
        observed = wanted = variance = 0.0
        for time in sorted({t for t, event, _ in rows if event}):
            n = sum(t >= time for t, _, _ in rows)
            n1 = sum(t >= time and g == 1 for t, _, g in rows)
            d = sum(t == time and event for t, event, _ in rows)
            observed += sum(t == time and event and g == 1 for t, event, g in rows)
            wanted += d * n1 / n
            variance += d * (n1 / n) * (1 - n1 / n) * (n - d) / (n - 1) if n > 1 else 0
        assert log_rank_p(observed, wanted, variance) == pytest.approx(expected, abs=CLOSE)


@given(st.floats(-40, 40), st.floats(0.1, 10), st.floats(0.5, 3_000))
def test_t_agrees_with_scipy(difference: float, error: float, df: float) -> None:
    expected = 2 * stats.t.sf(abs(difference) / error, df)
    assert t_p(difference, error, df=df) == pytest.approx(expected, rel=1e-8, abs=1e-300)


def test_a_drop_of_daily_ratios_is_tested_as_welch_has_it() -> None:
    rng = random.Random(7)  # noqa: S311 - as above
    for _ in range(200):
        now = [rng.gauss(0.9, 0.08) for _ in range(rng.randint(7, 14))]
        past = [rng.gauss(1.0, 0.05) for _ in range(rng.randint(7, 56))]
        ratios = DailyRatios(
            "oak", "99213", len(now), fmean(now), variance(now), len(past), fmean(past), variance(past), 1, 1
        )
        if ratios.dropped and min(ratios.now_variance, ratios.past_variance) > LEAST_SCATTER**2:
            expected = stats.ttest_ind(now, past, equal_var=False).pvalue
            assert ratios.p == pytest.approx(expected, rel=1e-8)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_a_p_value_is_a_probability_and_does_not_mind_which_comes_first(
    a: int, b: int, c: int, d: int
) -> None:
    first, second = Counts(min(a, b), b), Counts(min(c, d), d)
    p = two_rates_p(first, second)
    assert 0 <= p <= 1
    assert p == pytest.approx(two_rates_p(second, first))


def test_a_prior_is_strong_where_procedures_are_alike_and_weak_where_they_are_not() -> None:
    rng = random.Random(6)  # noqa: S311 - as above

    def payer(alpha: float, beta: float) -> Beta:
        procedures = []
        for _ in range(400):
            n, rate = rng.randint(5, 80), rng.betavariate(alpha, beta)
            procedures.append(Counts(sum(rng.random() < rate for _ in range(n)), n))
        return beta_prior(moments_of(procedures))

    alike, unlike = payer(20, 180), payer(1, 9)
    assert alike.mean == pytest.approx(0.1, abs=0.02)
    assert unlike.mean == pytest.approx(0.1, abs=0.02)
    assert alike.alpha + alike.beta == pytest.approx(200, rel=0.5)
    assert unlike.alpha + unlike.beta == pytest.approx(10, rel=0.3)
    thin = Counts(1, 1)
    assert alike.shrunk(thin) < unlike.shrunk(thin) < 0.3


@pytest.mark.parametrize("moments", [moments_of([]), moments_of([Counts(0, 40)]), moments_of([Counts(7, 7)])])
def test_a_payer_that_says_little_has_a_prior_all_the_same(moments: Any) -> None:  # noqa: ANN401 - Moments
    prior = beta_prior(moments)
    assert 0 < prior.mean < 1
    assert prior.alpha > 0
    assert prior.beta > 0


def test_batches_are_worth_fewer_claims() -> None:
    """Whole days denied or paid: forty days of twenty claims are forty decisions, not eight hundred."""
    spread, hits = 10 * 20.0, 10 * 20
    assert design_effect(days=40, hits=hits, n=800, spread=spread) == pytest.approx(20 * 40 / 37)
    assert design_effect(days=40, hits=80, n=800, spread=40 * 4 / 20) == 1.0
    weekly = design_effect(days=8, hits=80, n=320, spread=2 * 40.0)
    assert weekly == pytest.approx(40 * 8 / 5)
    assert design_effect(days=8, hits=0, n=320, spread=0) == 1.0


def test_days_too_few_to_tell_are_taken_for_batches() -> None:
    assert design_effect(days=2, hits=80, n=800, spread=8) == pytest.approx(20.95)
    assert design_effect(days=1, hits=0, n=1, spread=0) == 1.0
    assert design_effect(days=0, hits=0, n=0, spread=0) == 1.0
