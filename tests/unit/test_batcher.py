import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.batcher import Batcher


class Writer:
    """Doubles numbers, a batch at a time, each batch when it is let through."""

    def __init__(self, *, gated: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.failure: Exception | None = None
        self._gate = asyncio.Semaphore(0 if gated else 10**6)

    async def write(self, items: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(items))
        await self._gate.acquire()
        if self.failure is not None:
            raise self.failure
        return [ValueError(f"no {item}") if item < 0 else item * 2 for item in items]

    def let_through(self) -> None:
        self._gate.release()


async def given_way() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_alone_an_item_is_written_at_once() -> None:
    writer = Writer()
    assert await Batcher(writer.write).submit(4) == 8
    assert writer.batches == [[4]]


async def test_what_arrives_during_a_write_is_the_next_batch_in_order() -> None:
    writer = Writer(gated=True)
    batcher = Batcher(writer.write)
    first = asyncio.ensure_future(batcher.submit(0))
    await given_way()
    rest = [asyncio.ensure_future(batcher.submit(n)) for n in (1, 2, 3)]
    await given_way()
    assert writer.batches == [[0]]
    writer.let_through()
    assert await first == 0
    await given_way()
    assert writer.batches == [[0], [1, 2, 3]]
    writer.let_through()
    assert await asyncio.gather(*rest) == [2, 4, 6]


async def test_a_batch_is_no_larger_than_its_bound() -> None:
    writer = Writer()
    batcher = Batcher(writer.write, max_items=3)
    assert await asyncio.gather(*map(batcher.submit, range(8))) == [n * 2 for n in range(8)]
    assert writer.batches == [[0, 1, 2], [3, 4, 5], [6, 7]]


async def test_one_items_error_is_its_own() -> None:
    batcher = Batcher(Writer().write)
    answers = await asyncio.gather(*map(batcher.submit, (1, -2, 3)), return_exceptions=True)
    assert answers[::2] == [2, 6]
    assert isinstance(answers[1], ValueError)


async def test_a_write_that_fails_fails_all_of_its_batch_and_none_after_it() -> None:
    writer = Writer()
    batcher = Batcher(writer.write)
    writer.failure = OSError("away")
    answers = await asyncio.gather(*map(batcher.submit, range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [OSError] * 3
    writer.failure = None
    assert await batcher.submit(5) == 10


@pytest.mark.parametrize("answers", [[], [1], [1, 2, 3]])
async def test_a_write_that_answers_for_too_few_or_too_many_leaves_nobody_waiting(answers: list[int]) -> None:
    async def write(_: Sequence[int]) -> list[int | Exception]:
        return [*answers]

    batcher = Batcher(write)
    async with asyncio.timeout(5):
        got = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)
    assert [type(answer) for answer in got] == [ValueError] * 2


async def test_one_who_gives_up_while_waiting_does_not_hurt_the_others() -> None:
    writer = Writer(gated=True)
    batcher = Batcher(writer.write)
    first = asyncio.ensure_future(batcher.submit(0))
    await given_way()
    waiting = [asyncio.ensure_future(batcher.submit(n)) for n in (1, 2, 3)]
    await given_way()
    waiting[1].cancel()
    writer.let_through()
    writer.let_through()
    assert await first == 0
    assert [await waiting[0], await waiting[2]] == [2, 6]
    assert waiting[1].cancelled()


async def test_one_who_gives_up_during_the_write_does_not_stop_it() -> None:
    writer = Writer(gated=True)
    batcher = Batcher(writer.write)
    both = [asyncio.ensure_future(batcher.submit(n)) for n in (1, -1)]
    await given_way()
    both[1].cancel()
    await given_way()
    writer.let_through()
    assert await both[0] == 2
    writer.let_through()
    assert await batcher.submit(7) == 14


@given(
    arrivals=st.lists(st.integers(0, 4), max_size=60),
    given_up=st.sets(st.integers(0, 59)),
    max_items=st.integers(1, 7),
)
def test_everyone_gets_their_own_answer_whenever_they_come_and_whoever_gives_up(
    arrivals: list[int], given_up: set[int], max_items: int
) -> None:
    async def run() -> None:
        async def write(items: Sequence[int]) -> Sequence[int | Exception]:
            batches.append(list(items))
            await asyncio.sleep(0)
            return [item * 2 for item in items]

        batches: list[list[int]] = []
        batcher = Batcher(write, max_items=max_items)
        tasks = []
        for nth, pauses in enumerate(arrivals):
            tasks.append(asyncio.ensure_future(batcher.submit(nth)))
            for _ in range(pauses):
                await asyncio.sleep(0)
            if nth in given_up:
                tasks[-1].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        written = [item for batch in batches for item in batch]
        assert written == sorted(written)
        assert all(len(batch) <= max_items for batch in batches)
        for nth, answer in enumerate(answers):
            assert answer == nth * 2 or (nth in given_up and isinstance(answer, asyncio.CancelledError))

    asyncio.run(run())
