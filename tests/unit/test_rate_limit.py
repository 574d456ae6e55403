import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.runtime.rate_limit import RateLimiter

rates = st.sampled_from([1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60]) | st.integers(1, 100_000)
bursts = st.integers(1, 1_000)
moments = st.floats(0, 1e9)


def take(limiter: RateLimiter, at_s: float, *, key: str = "a", per_min: int = 100, burst: int = 100) -> bool:
    return limiter.take(key, per_min=per_min, burst=burst, now_s=at_s).allowed


def test_exactly_the_hundred_and_first_of_a_burst_is_refused() -> None:
    limiter = RateLimiter()
    assert [take(limiter, 5.0) for _ in range(102)] == [True] * 100 + [False] * 2


def test_a_refusal_says_when_the_next_passes_and_takes_nothing() -> None:
    limiter = RateLimiter()
    for _ in range(60):
        take(limiter, 0.0, per_min=60, burst=60)
    refused = limiter.take("a", per_min=60, burst=60, now_s=0.25)
    assert (refused.allowed, refused.remaining, refused.retry_after_s) == (False, 0, 1)
    assert refused.headers() == {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0", "Retry-After": "1"}
    assert [take(limiter, at_s, per_min=60, burst=60) for at_s in (0.5, 0.75, 1.0)] == [False, False, True]


def test_what_passes_says_what_is_left_and_not_when_to_come_back() -> None:
    allowance = RateLimiter().take("a", per_min=100, burst=3, now_s=0.0)
    assert allowance.headers() == {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "2"}


def test_a_bucket_refills_evenly_and_no_higher_than_its_burst() -> None:
    limiter = RateLimiter()
    assert [take(limiter, 0.0, per_min=60, burst=3) for _ in range(4)] == [True] * 3 + [False]
    assert [take(limiter, 2.0, per_min=60, burst=3) for _ in range(3)] == [True] * 2 + [False]
    assert [take(limiter, 9999.0, per_min=60, burst=3) for _ in range(4)] == [True] * 3 + [False]


def test_connections_do_not_share_a_bucket() -> None:
    limiter = RateLimiter()
    assert [take(limiter, 0.0, key=key, burst=1) for key in "aabb"] == [True, False, True, False]


def test_a_clock_that_steps_back_adds_nothing() -> None:
    limiter = RateLimiter()
    assert [take(limiter, at_s, burst=1) for at_s in (100.0, 0.0, 0.0)] == [True, False, False]


def test_a_changed_rate_holds_from_the_next_request() -> None:
    limiter = RateLimiter()
    assert take(limiter, 0.0, burst=100)
    assert [take(limiter, 0.0, burst=2) for _ in range(3)] == [True, True, False]


def test_a_full_limiter_forgets_the_bucket_that_was_not_used_for_longest() -> None:
    limiter = RateLimiter(max_buckets=3)
    for key in "abcad":  # `a` is used again, so `b` is the stalest when `d` comes
        take(limiter, 0.0, key=key, burst=2)
    assert sorted(map(str, limiter._buckets)) == ["a", "c", "d"]
    assert not take(limiter, 0.0, key="a", burst=2)


@given(keys=st.lists(st.integers(0, 50), max_size=200), max_buckets=st.integers(1, 10))
def test_there_are_never_more_buckets_than_that(keys: list[int], max_buckets: int) -> None:
    limiter = RateLimiter(max_buckets=max_buckets)
    for key in keys:
        limiter.take(key, per_min=60, burst=5, now_s=0.0)
        assert len(limiter._buckets) <= max_buckets


@given(per_min=rates, burst=bursts, start_s=moments)
@example(per_min=60, burst=1, start_s=0.13)  # 0.13 + 1 - 0.13 is less than 1
def test_whoever_waits_as_long_as_told_passes(per_min: int, burst: int, start_s: float) -> None:
    limiter = RateLimiter()
    refused = next(
        allowance
        for _ in range(burst + 1)
        if not (allowance := limiter.take("a", per_min=per_min, burst=burst, now_s=start_s)).allowed
    )
    assert 1 <= refused.retry_after_s <= 60
    assert take(limiter, start_s + refused.retry_after_s, per_min=per_min, burst=burst)


@given(
    waits_s=st.lists(st.floats(0, 30), max_size=200),
    per_min=st.integers(1, 600),
    burst=st.integers(1, 20),
    start_s=moments,
)
def test_nobody_passes_more_often_than_burst_and_rate_allow(
    waits_s: list[float], per_min: int, burst: int, start_s: float
) -> None:
    limiter, now_s, passed = RateLimiter(), start_s, 0
    for wait_s in waits_s:
        now_s += wait_s
        passed += take(limiter, now_s, per_min=per_min, burst=burst)
    assert passed <= burst + (now_s - start_s) * per_min / 60 + 1e-3


@pytest.mark.parametrize(("per_min", "burst"), [(0, 1), (0, 0), (-5, 3), (1, 0), (1, -1)])
def test_a_rate_that_makes_no_sense_refuses_and_never_divides_by_it(per_min: int, burst: int) -> None:
    limiter = RateLimiter()
    refusals = [limiter.take("a", per_min=per_min, burst=burst, now_s=0.0) for _ in range(5)]
    assert not refusals[-1].allowed
    assert 1 <= refusals[-1].retry_after_s <= 3600
