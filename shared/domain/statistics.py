"""Tests and intervals in closed form, with the standard library: no function pays for SciPy at its cold start. Pure.

`tests/unit/test_statistics.py` holds them to SciPy and statsmodels within 1e-9.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import erfc, exp, inf, lgamma, log, sqrt
from typing import Final

Z_95: Final = 1.959963984540054  # the normal distribution's 97.5 % point
LEAST_EXPECTED: Final = 5.0  # below it the chi-square approximation is no longer one (Cochran 1954)
MAX_STRENGTH: Final = 1_000.0  # of a prior: no payer is so even that a thousand claims say nothing
DEFAULT_STRENGTH: Final = 20.0  # where a payer's procedures cannot tell how much they differ
LEAST_DAYS: Final = 4  # with claims: a payer that pays weekly has eight in 56
OF_A_BATCH: Final = 0.05  # the correlation of claims decided on one day, where a payer's own cannot be told
_TERMS: Final = 200  # of a continued fraction, more than any number of days needs
_TIES: Final = (
    1 + 1e-7
)  # tables as likely as the observed one, but for rounding, count as extreme (as in R and SciPy)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of `n` had it. hits: 0 to n."""

    hits: float
    n: float

    @property
    def rate(self) -> float:
        """Return the share; 0 of nothing is 0."""
        return self.hits / self.n if self.n else 0.0

    def over(self, design_effect: float) -> "Counts":
        """Return the counts of as many independent claims as these are worth."""
        return Counts(self.hits / design_effect, self.n / design_effect)


@dataclass(frozen=True, slots=True)
class Beta:
    """A beta distribution of a rate."""

    alpha: float
    beta: float

    @property
    def mean(self) -> float:
        """Return the rate to expect."""
        return self.alpha / (self.alpha + self.beta)

    def shrunk(self, counts: Counts) -> float:
        """Return the rate of these counts, drawn to the prior the more the fewer they are."""
        return (counts.hits + self.alpha) / (counts.n + self.alpha + self.beta)


@dataclass(frozen=True, slots=True)
class Moments:
    """What a payer's procedures come to: sums over them of decided n and denied d.

    procedures: those with n > 0. squares: of n². spread: of d²/n.
    """

    decided: int
    denied: int
    procedures: int
    squares: float
    spread: float


def two_rates_p(first: Counts, second: Counts) -> float:
    """Return the two-sided p-value of "both have one rate": chi-square, or Fisher's exact test where that is no use."""
    n, hits = first.n + second.n, first.hits + second.hits
    if not (first.n and second.n and 0 < hits < n):
        return 1.0
    least = min(first.n, second.n) * min(hits, n - hits) / n
    return chi_square_p(first, second) if least >= LEAST_EXPECTED else fisher_p(first, second)


def chi_square_p(first: Counts, second: Counts) -> float:
    """Return Pearson's test of a 2x2 table, one degree of freedom, no continuity correction."""
    n, hits = first.n + second.n, first.hits + second.hits
    margins = first.n * second.n * hits * (n - hits)
    if margins <= 0:
        return 1.0
    cross = first.hits * (second.n - second.hits) - second.hits * (first.n - first.hits)
    return chi_square_tail(n * cross * cross / margins)


def chi_square_tail(statistic: float) -> float:
    """Return P(chi-square with one degree of freedom >= statistic)."""
    return erfc(sqrt(max(statistic, 0.0) / 2))


def fisher_p(first: Counts, second: Counts) -> float:
    """Return Fisher's exact test, two-sided: the likelihood of all tables no likelier than this one.

    Counts that are no whole numbers are rounded.
    """
    hits_1, n_1, hits_2, n_2 = (round(value) for value in (first.hits, first.n, second.hits, second.n))
    hits, n = hits_1 + hits_2, n_1 + n_2
    low, high = max(0, hits - n_2), min(hits, n_1)
    if low >= high:
        return 1.0
    constant = _log_choose(n, hits)
    terms = [_log_choose(n_1, k) + _log_choose(n_2, hits - k) - constant for k in range(low, high + 1)]
    observed = exp(terms[hits_1 - low])
    return min(1.0, sum(p for p in map(exp, terms) if p <= observed * _TIES))


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def log_rank_p(observed: float, expected: float, variance: float) -> float:
    """Return the log-rank test's p-value from one group's sums over all times; 1 where nothing was to be seen."""
    return chi_square_tail((observed - expected) ** 2 / variance) if variance > 0 else 1.0


def t_p(difference: float, error: float, *, df: float) -> float:
    """Return the two-sided p-value of a difference whose standard error was estimated: Student's t.

    df: degrees of freedom, above 0 and not necessarily whole. 1 where there is no error to speak of.
    """
    if error <= 0:
        return 1.0
    squared = (difference / error) ** 2
    return _beta_share(df / (df + squared), squared / (df + squared), df / 2, 0.5)


def _beta_share(x: float, y: float, a: float, b: float) -> float:
    """Return the regularized incomplete beta function I_x(a, b). y: 1 - x, which may be too small to tell from x.

    Source: DLMF 8.17.22, the continued fraction, where it converges fast; else by the symmetry of 8.17.4.
    """
    if x <= 0 or y <= 0:
        return float(y <= 0)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(y, x, b, a)
    scale = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(y)) / a
    fraction = 0.0
    for m in range(_TERMS, 0, -1):
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        fraction = even / (1 + odd / (1 + fraction))
    first = -(a + b) * x / (a + 1)
    return scale / (1 + first / (1 + fraction))


def wilson(counts: Counts, *, z: float = Z_95) -> tuple[float, float]:
    """Return the interval that holds the rate, 95 times in 100. Source: Wilson (1927), JASA 22, 209-212."""
    if not counts.n:
        return 0.0, 1.0
    rate, n, z2 = counts.rate, counts.n, z * z
    middle = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    low = 0.0 if counts.hits == 0 else max(0.0, middle - half)
    return low, 1.0 if counts.hits == n else min(1.0, middle + half)


def false_discovery(p_values: Sequence[float], *, tested: int) -> list[float]:
    """Return each p-value's q: the share of false discoveries if all up to it are taken. Benjamini-Hochberg (1995).

    tested: how many tests there were; those not given are taken to have found nothing.
    """
    order = sorted(range(len(p_values)), key=lambda at: p_values[at], reverse=True)
    q_values, least = [1.0] * len(p_values), 1.0
    for place, at in enumerate(order):
        least = min(least, p_values[at] * tested / (len(order) - place))
        q_values[at] = least
    return q_values


def design_effect(*, days: int, hits: float, n: float, spread: float) -> float:
    """Return how many times more the daily rates scatter than independent claims would: 1 or more.

    A payer decides in batches, so that a hundred denials can be one decision. Pearson's dispersion over the baseline's
    days, by two degrees of freedom less, so that counts divided by it are not too large on average; where days are too
    few to tell, what a payer that decides in batches would have. spread: sum over the days of hits²/n.
    """
    if days < LEAST_DAYS:
        return max(1.0, 1 + (n / max(days, 1) - 1) * OF_A_BATCH)
    if not 0 < hits < n:
        return 1.0
    rate = hits / n
    return max(1.0, (spread - hits * rate) / (rate * (1 - rate)) / (days - 3))


def beta_prior(moments: Moments) -> Beta:
    """Return what a payer's procedure is like before anything is known of it: empirical Bayes by moments.

    The more its procedures differ, beyond what chance explains, the less each is drawn to the payer's rate.
    Source: Kleinman (1973), JASA 68, 46-54, with the procedures weighted by their claims.
    """
    decided, denied = moments.decided, moments.denied
    mean = (denied + 0.5) / (decided + 1)
    strength = _strength(moments) if 0 < denied < decided else DEFAULT_STRENGTH
    return Beta(mean * strength, (1 - mean) * strength)


def _strength(moments: Moments) -> float:
    rate = moments.denied / moments.decided
    room = moments.decided - moments.squares / moments.decided - (moments.procedures - 1)
    if moments.procedures < 2 or room <= 0:  # noqa: PLR2004 - one procedure does not differ from others
        return DEFAULT_STRENGTH
    scatter = (moments.spread - moments.denied * rate) / (rate * (1 - rate))
    correlation = (scatter - (moments.procedures - 1)) / room
    return min(MAX_STRENGTH, max(1.0, 1 / correlation - 1 if correlation > 0 else inf))


def moments_of(procedures: Iterable[Counts]) -> Moments:
    """Return the sums over procedures."""
    known = [c for c in procedures if c.n]
    return Moments(
        decided=round(sum(c.n for c in known)),
        denied=round(sum(c.hits for c in known)),
        procedures=len(known),
        squares=sum(c.n * c.n for c in known),
        spread=sum(c.hits * c.hits / c.n for c in known),
    )
