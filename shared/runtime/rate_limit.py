"""A token bucket per connection, in this process. Cloud Armor holds the bound over all instances."""

from dataclasses import dataclass
from math import ceil
from typing import Final

WHOLE: Final = 1 - 1e-6  # a token, but for what floats lose: whoever waits as long as told has to pass
NEVER_S: Final = 3600  # when to ask again where nothing refills: somebody may have raised the rate by then


@dataclass(slots=True)
class Bucket:
    """Tokens left, as of a moment of the monotonic clock."""

    tokens: float
    at_s: float


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether a request may pass. remaining: requests left now. retry_after_s: 0 if it may."""

    allowed: bool
    limit: int
    remaining: int
    retry_after_s: int

    def headers(self) -> dict[str, str]:
        """Return the reply headers that tell a sender where it stands."""
        headers = {"X-RateLimit-Limit": str(self.limit), "X-RateLimit-Remaining": str(self.remaining)}
        return headers if self.allowed else {**headers, "Retry-After": str(self.retry_after_s)}


class RateLimiter:
    """Takes one token a request; a bucket refills evenly over a minute. Bounded: the stalest bucket makes room."""

    def __init__(self, *, max_buckets: int = 10_000) -> None:
        """Keep at most `max_buckets` buckets."""
        self._buckets: dict[object, Bucket] = {}
        self._max_buckets = max_buckets

    def take(self, key: object, *, per_min: int, burst: int, now_s: float) -> Allowance:
        """Take a token of `key`, or say when there will be one. now_s: a monotonic clock.

        A rate of 0 or less refills nothing.
        """
        bucket = self._buckets.pop(key, None) or Bucket(tokens=burst, at_s=now_s)
        if len(self._buckets) >= self._max_buckets:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[key] = bucket
        refilled = max(0.0, now_s - bucket.at_s) * max(per_min, 0) / 60
        bucket.tokens = min(float(burst), bucket.tokens + refilled)
        bucket.at_s = now_s
        if bucket.tokens < WHOLE:
            wait_s = ceil((1 - bucket.tokens) * 60 / per_min) if per_min > 0 and burst > 0 else NEVER_S
            return Allowance(False, per_min, 0, wait_s)
        bucket.tokens -= 1
        return Allowance(True, per_min, int(bucket.tokens), 0)
