import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.events import PAYLOAD_REF, Event, Received
from shared.ports.record import Emitted
from shared.runtime.errors import PoisonError, TransientError, UpstreamError
from shared.runtime.together import LARGE_AT_A_TIME, MAX_BYTES, MAX_EVENTS, Together

OURS, THEIRS = UUID(int=1), UUID(int=2)


def received(
    customer: UUID = OURS, *, data: bytes = b"{}", event_id: UUID | None = None, apart: bool = False
) -> Received:
    event = Event(
        id=event_id or uuid4(), type="claim.paid", source="/test", subject="", time=datetime.now(UTC),
        customer_id=customer, data=b"" if apart else data, extensions={PAYLOAD_REF: "gs://b/p"} if apart else {},
    )  # fmt: skip
    return Received(event, attempt=1, subscription="", attributes={})


class Handler:
    """Notes the transactions it was asked for; each waits at a gate, as one waits for its commit."""

    def __init__(self, *, gated: bool = False, wrong: Sequence[UpstreamError | ValueError] = ()) -> None:
        """wrong: one error for each event whose data says so: `0` is the first."""
        self.turns: list[list[UUID]] = []
        self.waiting = 0
        self._gate = asyncio.Semaphore(0 if gated else 10**6)
        self._wrong = wrong

    def handle(self, events: Sequence[Received]) -> Sequence[Emitted]:
        assert len({one.event.customer_id for one in events}) == 1
        assert len({one.event.id for one in events}) == len(events)
        self.turns.append([one.event.id for one in events])
        for one in events:
            if one.event.data.isdigit():
                raise self._wrong[int(one.event.data)]
        return [Emitted(one.event.customer_id, (one.event.id,)) for one in events]

    async def in_thread(self, work: Callable[[], Sequence[Emitted]]) -> Sequence[Emitted]:
        self.waiting += 1
        await self._gate.acquire()
        self.waiting -= 1
        return work()

    def let_through(self, n: int = 1) -> None:
        for _ in range(n):
            self._gate.release()


async def given_way() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def all_of(together: Together, events: Sequence[Received]) -> Sequence[Emitted | BaseException]:
    return await asyncio.gather(*(together.submit(one) for one in events), return_exceptions=True)


def ids(events: Sequence[Received]) -> list[UUID]:
    return [one.event.id for one in events]


async def test_alone_an_event_waits_for_nothing() -> None:
    handler = Handler()
    one = received()
    assert (await Together(handler.handle, handler.in_thread).submit(one)).ids == (one.event.id,)
    assert handler.turns == [ids([one])]


async def test_events_that_come_during_a_transaction_share_the_next() -> None:
    handler = Handler(gated=True)
    together = Together(handler.handle, handler.in_thread)
    first, *rest = events = [received() for _ in range(4)]
    waiting = asyncio.ensure_future(all_of(together, [first]))
    await given_way()
    others = asyncio.ensure_future(all_of(together, rest))
    await given_way()
    handler.let_through(2)
    await asyncio.gather(waiting, others)
    assert handler.turns == [ids([first]), ids(rest)]
    assert [emitted.ids for emitted in await others if isinstance(emitted, Emitted)] == [
        (one.event.id,) for one in events[1:]
    ]


async def test_another_customers_transaction_does_not_wait_for_ours() -> None:
    handler = Handler(gated=True)
    together = Together(handler.handle, handler.in_thread)
    events = [received(OURS), received(THEIRS)]
    waiting = asyncio.ensure_future(all_of(together, events))
    await given_way()
    handler.let_through(2)
    await waiting
    assert handler.turns == [ids(events[:1]), ids(events[1:])]


async def test_one_that_can_never_be_processed_does_not_take_the_others_with_it() -> None:
    handler = Handler(wrong=[PoisonError("unreadable_payload", "ST[1]"), ValueError("our bug")])
    together = Together(handler.handle, handler.in_thread)
    events = [received(), received(data=b"0"), received(), received(data=b"1"), received()]
    answers = await all_of(together, events)
    assert [type(answer).__name__ for answer in answers] == [
        "Emitted", "PoisonError", "Emitted", "ValueError", "Emitted",
    ]  # fmt: skip


async def test_a_database_that_is_away_is_away_for_all_and_asked_once() -> None:
    handler = Handler(wrong=[TransientError("unavailable", "database")])
    answers = await all_of(
        Together(handler.handle, handler.in_thread), [received(), received(data=b"0"), received()]
    )
    assert {type(answer) for answer in answers} == {TransientError}
    assert len(handler.turns) == 1


async def test_two_copies_of_an_event_are_never_in_one_transaction() -> None:
    handler = Handler()
    event_id = uuid4()
    events = [received(event_id=event_id), received(), received(event_id=event_id)]
    await all_of(Together(handler.handle, handler.in_thread), events)
    assert handler.turns == [ids(events[:2]), ids(events[2:])]


async def test_a_large_payload_has_a_transaction_to_itself() -> None:
    handler = Handler()
    small, large = received(), received(data=b"x" * MAX_BYTES)
    await all_of(Together(handler.handle, handler.in_thread), [small, large])
    assert handler.turns == [ids([small]), ids([large])]


async def test_one_whose_payload_is_kept_apart_has_a_transaction_to_itself() -> None:
    handler = Handler()
    events = [received(), received(apart=True), received(apart=True), received(data=b"")]
    await all_of(Together(handler.handle, handler.in_thread), events)
    assert handler.turns == [ids([one]) for one in events]


async def test_few_payloads_that_are_kept_apart_are_read_at_a_time_and_small_ones_do_not_wait_for_them() -> (
    None
):
    handler = Handler(gated=True)
    together = Together(handler.handle, handler.in_thread)
    large = [received(uuid4(), apart=True) for _ in range(2 * LARGE_AT_A_TIME)]
    waiting = asyncio.ensure_future(all_of(together, large))
    await given_way()
    assert handler.waiting == LARGE_AT_A_TIME
    small = asyncio.ensure_future(all_of(together, [received()]))
    await given_way()
    assert handler.waiting == LARGE_AT_A_TIME + 1
    handler.let_through(len(large) + 1)
    assert len(await waiting) == len(large)
    await small


async def test_customers_without_events_are_forgotten() -> None:
    handler = Handler()
    together = Together(handler.handle, handler.in_thread)
    await all_of(together, [received(uuid4()) for _ in range(20)])
    await given_way()
    assert len(together) == 0


@given(
    sizes=st.lists(st.sampled_from([0, 9, MAX_BYTES // 3, MAX_BYTES, MAX_BYTES + 1]), max_size=100),
    repeats=st.lists(st.integers(0, 99)),
)
def test_every_event_is_answered_with_its_own(sizes: list[int], repeats: list[int]) -> None:
    events = [received(data=b"x" * size) for size in sizes]
    events += [events[n % len(events)] for n in repeats if events]

    async def answers() -> None:
        handler = Handler()
        found = await all_of(Together(handler.handle, handler.in_thread), events)
        assert [emitted.ids for emitted in found if isinstance(emitted, Emitted)] == [
            (one.event.id,) for one in events
        ]
        assert all(len(turn) <= MAX_EVENTS for turn in handler.turns)

    asyncio.run(answers())
