import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from shared.runtime.cached import Cached


@dataclass
class Source:
    """A slow source and the time. Its answers are numbered; it answers only while `open`."""

    now_s: float = 100.0
    asked: list[str] = field(default_factory=list)
    failure: Exception | None = None
    slow_s: float = 0.0
    open: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.open.set()

    def look_up(self, key: str) -> str:
        assert threading.current_thread() is not threading.main_thread()
        self.asked.append(key)
        assert self.open.wait(10)
        self.now_s += self.slow_s
        if self.failure is not None:
            raise self.failure
        return f"{key}{len(self.asked)}"

    def cached(self, *, ttl_s: float = 60.0, max_keys: int = 10) -> Cached[str, str]:
        return Cached(self.look_up, ttl_s=ttl_s, now_s=lambda: self.now_s, max_keys=max_keys)


@pytest.fixture
def source() -> Iterator[Source]:
    made = Source()
    yield made
    made.open.set()


async def until(happened: Callable[[], bool]) -> None:
    """Give way until it has happened."""
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - a thread makes it happen
            await asyncio.sleep(0)


async def test_an_answer_is_asked_for_once_until_it_is_too_old(source: Source) -> None:
    cached = source.cached(ttl_s=60)
    assert [await cached.get("a"), await cached.get("a")] == ["a1", "a1"]
    source.now_s += 59.9
    assert await cached.get("a") == "a1"
    source.now_s += 0.1
    assert await cached.get("a") == "a2"


async def test_keys_are_asked_for_each(source: Source) -> None:
    cached = source.cached()
    assert [await cached.get("a"), await cached.get("b"), await cached.get("a")] == ["a1", "b2", "a1"]


async def test_a_caller_may_want_a_newer_answer(source: Source) -> None:
    cached = source.cached(ttl_s=60)
    await cached.get("a")
    source.now_s += 9
    assert await cached.get("a", newer_than_s=10) == "a1"
    source.now_s += 1
    assert await cached.get("a", newer_than_s=10) == "a2"
    assert await cached.get("a") == "a2"  # and everybody has it then


async def test_a_slow_answer_is_as_old_as_its_question(source: Source) -> None:
    cached = source.cached(ttl_s=60)
    source.slow_s = 50
    assert await cached.get("a") == "a1"
    source.now_s += 10
    assert await cached.get("a") == "a2"


async def test_many_who_ask_at_once_share_one_look_up(source: Source) -> None:
    cached = source.cached()
    source.open.clear()
    waiting = [asyncio.ensure_future(cached.get("a")) for _ in range(50)]
    await until(lambda: bool(source.asked))
    assert not any(task.done() for task in waiting)
    source.open.set()
    assert await asyncio.gather(*waiting) == ["a1"] * 50
    assert source.asked == ["a"]


async def test_an_error_reaches_all_who_wait_and_is_not_remembered(source: Source) -> None:
    cached = source.cached()
    source.failure = OSError("away")
    source.open.clear()
    waiting = [asyncio.ensure_future(cached.get("a")) for _ in range(3)]
    await until(lambda: bool(source.asked))
    source.open.set()
    assert [type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)] == [OSError] * 3
    source.failure = None
    assert await cached.get("a") == "a2"


async def test_a_failed_look_up_keeps_an_answer_that_is_still_good(source: Source) -> None:
    cached = source.cached(ttl_s=60)
    await cached.get("a")
    source.now_s += 30
    source.failure = OSError("away")
    with pytest.raises(OSError, match="away"):
        await cached.get("a", newer_than_s=10)
    assert await cached.get("a") == "a1"


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others(source: Source) -> None:
    cached = source.cached()
    source.open.clear()
    first, second = (asyncio.ensure_future(cached.get("a")) for _ in range(2))
    await until(lambda: bool(source.asked))
    first.cancel()
    source.open.set()
    assert await second == "a1"
    assert first.cancelled()
    assert await cached.get("a") == "a1"


async def test_an_error_that_nobody_waits_for_any_more_is_quiet(source: Source) -> None:
    said: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    cached = source.cached()
    source.failure = OSError("away")
    source.open.clear()
    only = asyncio.ensure_future(cached.get("a"))
    await until(lambda: bool(source.asked))
    only.cancel()
    source.open.set()
    await until(lambda: not cached._pending)
    gc.collect()
    await asyncio.sleep(0)
    assert not said


async def test_no_more_answers_are_kept_than_that_and_the_oldest_goes_first(source: Source) -> None:
    cached = source.cached(max_keys=3)
    for key in "abcd":
        await cached.get(key)
    assert list(cached._fresh) == ["b", "c", "d"]
    await cached.get("a", newer_than_s=0)
    assert list(cached._fresh) == ["c", "d", "a"]


async def test_no_answer_is_an_answer_too(source: Source) -> None:
    asked: list[str] = []
    nothing: Cached[str, None] = Cached(asked.append, ttl_s=60, now_s=lambda: source.now_s)
    await nothing.get("a")
    await nothing.get("a")
    assert asked == ["a"]
