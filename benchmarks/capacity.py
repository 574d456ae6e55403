"""From steps at rising rates: which rate holds, and where latency turns. Pure, but for the measure it is given."""

from collections.abc import Callable, Sequence

from benchmarks.arrivals import Step
from benchmarks.report import quantile

LIMIT_S = 0.25  # p99 of a reply
DRIFT = 0.01  # seconds later for each second of load: one part in a hundred more comes in than goes out
SHARES = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25)  # of what a closed loop reaches
BISECTIONS = 3
FURTHER, STRIDE = 4, 1.25  # a capacity may have been found while the machine was busy
FAILURES = 2  # one may be a pause of the machine's; two in a row are the end

Measure = Callable[[float], Step]


def holds(step: Step) -> bool:
    """Whether a rate could go on for ever: all taken, p99 below the limit, and no queue that only grows."""
    return (
        set(step.statuses) == {202}
        and step.unanswered == 0
        and quantile(step.latencies_s, 0.99) < LIMIT_S
        and drift(step.due_s, step.latencies_s) < DRIFT
    )


def drift(due_s: Sequence[float], latencies_s: Sequence[float]) -> float:
    """Return how much later replies come for each second that passes: the slope of the least squares; 0 for too few.

    Overload by a share grows the queue by that share, however small the latencies still are.
    """
    n = len(due_s)
    if n < 2:  # noqa: PLR2004 - no line goes through one point
        return 0.0
    middle, mean = sum(due_s) / n, sum(latencies_s) / n
    spread = sum((at - middle) ** 2 for at in due_s)
    together = sum((at - middle) * (late - mean) for at, late in zip(due_s, latencies_s, strict=True))
    return together / spread if spread else 0.0


def sweep(capacity_per_s: float, measure: Measure, *, shares: Sequence[float] = SHARES) -> list[Step]:
    """Return steps at rising shares of a capacity, until two in a row do not hold; more, if the last one does."""
    steps: list[Step] = []
    for share in shares:
        steps.append(measure(share * capacity_per_s))
        if len(steps) >= FAILURES and not any(map(holds, steps[-FAILURES:])):
            break
    for _ in range(FURTHER):
        if not steps or not holds(steps[-1]):
            break
        steps.append(measure(steps[-1].asked_per_s * STRIDE))
    return steps


def narrowed(steps: Sequence[Step], measure: Measure, *, bisections: int = BISECTIONS) -> list[Step]:
    """Return more steps, between the highest rate that held and the lowest above it that did not."""
    more: list[Step] = []
    for _ in range(bisections):
        known = [*steps, *more]
        low = sustained(known)
        above = [step.asked_per_s for step in known if step.asked_per_s > low and not holds(step)]
        if not low or not above:
            break
        more.append(measure((low + min(above)) / 2))
    return more


def sustained(steps: Sequence[Step]) -> float:
    """Return the highest rate that held; 0 if none did."""
    return max((step.asked_per_s for step in steps if holds(step)), default=0.0)


def knee(steps: Sequence[Step]) -> float:
    """Return the rate from which on p99 rises faster than the rate does: farthest below the chord of the curve.

    The curve is p99 by rate, both scaled to 0..1, up to the first step past the limit; 0 for fewer than three steps.
    Source: Satopää et al., "Finding a 'Kneedle' in a Haystack" (2011).
    """
    ordered = sorted(steps, key=lambda step: step.asked_per_s)
    curve: list[tuple[float, float]] = []
    for step in ordered:
        curve.append((step.asked_per_s, quantile(step.latencies_s, 0.99)))
        if curve[-1][1] >= LIMIT_S:
            break
    if len(curve) < 3:  # noqa: PLR2004 - two points are their own chord
        return 0.0
    lowest, highest = min(late for _, late in curve), max(late for _, late in curve)
    first, last = curve[0][0], curve[-1][0]
    if highest == lowest:
        return 0.0
    return max(
        curve,
        key=lambda point: (point[0] - first) / (last - first) - (point[1] - lowest) / (highest - lowest),
    )[0]


def histogram(latencies_s: Sequence[float]) -> list[tuple[float, int]]:
    """Return how many lie in each bucket, by its upper end in seconds; ends double from 0.25 ms on."""
    buckets: list[tuple[float, int]] = []
    left, end = sorted(latencies_s), 0.00025
    while left:
        inside = sum(1 for late in left if late < end)
        if inside or buckets:
            buckets.append((end, inside))
        left, end = left[inside:], end * 2
    return buckets
