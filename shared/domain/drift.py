"""Does a payer pay less of what its fee schedule says? Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Final

from shared.domain.statistics import t_p

LEAST_DAYS: Final = 7  # with payments, in each of the two periods
LEAST_DROP: Final = 0.03  # of what the schedule says
LEAST_SCATTER: Final = 0.02  # from day to day: a payer that was exact for weeks may round differently once


def pays_less(baseline: float, current: float) -> bool:
    """Whether a payer pays less of its fee schedule by enough to matter, however sure it is."""
    return baseline - current >= LEAST_DROP


def paid_shares(every: Iterable["DailyRatios"]) -> dict[tuple[str, str], float]:
    """Return the share of the fee schedule that is paid now, by payer and procedure, where enough days tell."""
    return {(r.payer_key, r.procedure): r.now_mean for r in every if r.now_days >= LEAST_DAYS}


@dataclass(frozen=True, slots=True)
class DailyRatios:
    """Received of expected by day, for one payer and procedure: mean and variance over days, now and before.

    short_cents: what was received short of the schedule in the last fortnight. n: lines in it.
    """

    payer_key: str
    procedure: str
    now_days: int
    now_mean: float
    now_variance: float
    past_days: int
    past_mean: float
    past_variance: float
    n: int
    short_cents: int

    @property
    def tested(self) -> bool:
        """Whether there is enough to say anything."""
        return min(self.now_days, self.past_days) >= LEAST_DAYS

    @property
    def dropped(self) -> bool:
        """Whether the payer pays less than before by enough to matter."""
        return self.tested and pays_less(self.past_mean, self.now_mean)

    @property
    def error(self) -> float:
        """Return the standard error of the difference of the means."""
        return sqrt(sum(self._of_means))

    @property
    def p(self) -> float:
        """Return the two-sided p-value of the drop: Welch's test, whose variances are estimated from few days."""
        if not self.dropped:
            return 1.0
        now, past = self._of_means
        df = (now + past) ** 2 / (now * now / (self.now_days - 1) + past * past / (self.past_days - 1))
        return t_p(self.now_mean - self.past_mean, self.error, df=df)

    @property
    def _of_means(self) -> tuple[float, float]:
        """Return the variances of the two means."""
        floor = LEAST_SCATTER * LEAST_SCATTER
        return max(self.now_variance, floor) / self.now_days, max(self.past_variance, floor) / self.past_days
