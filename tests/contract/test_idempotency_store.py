"""One suite for every idempotency store: in memory, embedded, and Firestore's emulator with Google's client."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from shared.adapters.embedded.keys import EmbeddedIdempotencyStore
from shared.adapters.firestore.keys import FirestoreIdempotencyStore
from shared.adapters.memory import InMemoryIdempotencyStore
from shared.ports.idempotency import Claim, IdempotencyStore, Settled
from shared.runtime.errors import PoisonError, TransientError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.contract.conftest import Hands

BACKENDS = ["memory", "embedded", pytest.param("emulators", marks=pytest.mark.emulators)]
LEASE_S = 30.0
LIFE = timedelta(hours=24)
OUTCOME = {"event_id": "e-1", "accepted_at": "2026-03-02T09:30:00+00:00", "note": "ü"}


class Shelf:
    """One backend. `open` gives a store such as one process has; all of them see the same keys."""

    def __init__(self, clock: "Hands", build: Callable[[], IdempotencyStore]) -> None:
        self.clock = clock
        self.open = build
        self.store = build()
        self.key = f"test:{uuid4()}"

    async def claim(
        self,
        payload: str = "a" * 64,
        *,
        lease_s: float = LEASE_S,
        key: str | None = None,
        store: IdempotencyStore | None = None,
    ) -> Claim | Settled:
        return await (store or self.store).claim(
            key or self.key, payload_sha256=payload, lease_s=lease_s, expires_at=self.clock() + LIFE
        )

    async def own(self, payload: str = "a" * 64, *, lease_s: float = LEASE_S) -> Claim:
        claim = await self.claim(payload, lease_s=lease_s)
        assert isinstance(claim, Claim)
        return claim


@pytest.fixture(params=BACKENDS)
async def shelf(request: pytest.FixtureRequest, clock: "Hands") -> AsyncIterator[Shelf]:
    match request.param:
        case "memory":
            memory = InMemoryIdempotencyStore(clock=clock)
            yield Shelf(clock, lambda: memory)
        case "embedded":
            engine: Engine = request.getfixturevalue("local_engine")
            yield Shelf(clock, lambda: EmbeddedIdempotencyStore(engine, clock=clock))
        case _:
            request.getfixturevalue("emulators")
            project: str = request.getfixturevalue("project")
            shelf = Shelf(clock, lambda: FirestoreIdempotencyStore(project_id=project, clock=clock))
            yield shelf
            await _close(shelf.store)


async def _close(store: IdempotencyStore) -> None:
    if isinstance(store, FirestoreIdempotencyStore):
        await store.close()


async def refused(attempt: Awaitable[object]) -> str:
    with pytest.raises((TransientError, PoisonError)) as caught:
        await attempt
    return str(caught.value.code)


async def test_a_new_key_is_ours(shelf: Shelf) -> None:
    claim = await shelf.own()
    assert (claim.key, claim.created) == (shelf.key, True)


async def test_sixteen_tasks_claim_one_key_and_one_wins(shelf: Shelf) -> None:
    results = await asyncio.gather(*(shelf.claim() for _ in range(16)), return_exceptions=True)
    won = [result for result in results if isinstance(result, Claim)]
    held = [r for r in results if isinstance(r, TransientError) and r.code == "key_held"]
    assert (len(won), len(held)) == (1, 15)
    await shelf.store.settle(won[0], OUTCOME)


async def test_sixteen_processes_claim_one_key_and_one_wins(shelf: Shelf) -> None:
    """Sixteen threads, each with a store and an event loop of its own."""
    start = threading.Barrier(16)

    async def race() -> Claim | Settled | Exception:
        store = shelf.open()
        try:
            await store.ready()
            start.wait(timeout=30)
            return await shelf.claim(store=store)
        except (TransientError, PoisonError) as exc:
            return exc
        finally:
            await _close(store)

    with ThreadPoolExecutor(16) as threads:
        racing = [threads.submit(asyncio.run, race()) for _ in range(16)]
        results = [await asyncio.wrap_future(future) for future in racing]
    won = [result for result in results if isinstance(result, Claim)]
    held = [r for r in results if isinstance(r, TransientError) and r.code == "key_held"]
    assert (len(won), len(held)) == (1, 15)
    await shelf.store.settle(won[0], OUTCOME)


async def test_a_held_key_is_told_from_one_that_is_free(shelf: Shelf) -> None:
    await shelf.own()
    assert await refused(shelf.claim()) == "key_held"
    assert isinstance(await shelf.claim(key=f"{shelf.key}:other"), Claim)


async def test_a_lease_ends(shelf: Shelf) -> None:
    first = await shelf.own()
    shelf.clock.forward(LEASE_S - 1)
    assert await refused(shelf.claim()) == "key_held"
    shelf.clock.forward(1)
    second = await shelf.own()
    assert second.token != first.token
    assert not second.created


async def test_a_lease_of_nothing_holds_nobody_off(shelf: Shelf) -> None:
    first = await shelf.own(lease_s=0)
    second = await shelf.own(lease_s=0)
    assert first.token != second.token
    await shelf.store.settle(second, OUTCOME)


async def test_a_lease_of_nothing_holds_nobody_off_at_the_same_moment(shelf: Shelf) -> None:
    claims = await asyncio.gather(*(shelf.own(lease_s=0) for _ in range(8)))
    assert len({claim.token for claim in claims}) == 8
    fates = await asyncio.gather(
        *(shelf.store.settle(claim, OUTCOME) for claim in claims), return_exceptions=True
    )
    assert fates.count(None) == 1


async def test_an_earlier_owner_can_neither_settle_nor_release(shelf: Shelf) -> None:
    earlier = await shelf.own()
    shelf.clock.forward(LEASE_S)
    later = await shelf.own()
    assert await refused(shelf.store.settle(earlier, {"by": "earlier"})) == "claim_lost"
    await shelf.store.release(earlier)
    assert await refused(shelf.claim()) == "key_held"
    await shelf.store.settle(later, OUTCOME)
    assert await shelf.claim() == Settled(shelf.key, OUTCOME)


async def test_an_earlier_owner_is_refused_in_the_same_moment_too(shelf: Shelf) -> None:
    earlier = await shelf.own(lease_s=0)
    later = await shelf.own(lease_s=0)
    fates = await asyncio.gather(
        shelf.store.settle(earlier, {"by": "earlier"}),
        shelf.store.settle(later, {"by": "later"}),
        return_exceptions=True,
    )
    assert isinstance(fates[0], TransientError)
    assert fates[1] is None
    assert await shelf.claim() == Settled(shelf.key, {"by": "later"})


async def test_a_token_that_nobody_had_settles_nothing(shelf: Shelf) -> None:
    claim = await shelf.own()
    for token in ("", "nobody", "nobody.1"):
        assert await refused(shelf.store.settle(Claim(shelf.key, token), OUTCOME)) == "claim_lost"
        await shelf.store.release(Claim(shelf.key, token))
    assert await refused(shelf.store.settle(Claim(f"{shelf.key}:none", claim.token), {})) == "claim_lost"
    assert await refused(shelf.claim()) == "key_held"


async def test_a_settled_key_returns_its_outcome_to_everyone(shelf: Shelf) -> None:
    await shelf.store.settle(await shelf.own(), OUTCOME)
    shelf.clock.forward(LEASE_S * 2)
    answers = await asyncio.gather(*(shelf.claim(lease_s=lease_s) for lease_s in (0, LEASE_S)))
    assert answers == [Settled(shelf.key, OUTCOME)] * 2


async def test_an_outcome_may_be_empty(shelf: Shelf) -> None:
    await shelf.store.settle(await shelf.own(), {})
    assert await shelf.claim() == Settled(shelf.key, {})


async def test_a_settled_key_stays_settled(shelf: Shelf) -> None:
    claim = await shelf.own()
    await shelf.store.settle(claim, OUTCOME)
    await shelf.store.release(claim)
    assert await shelf.claim() == Settled(shelf.key, OUTCOME)


async def test_the_same_key_with_another_payload_is_poison(shelf: Shelf) -> None:
    claim = await shelf.own()
    assert await refused(shelf.claim("b" * 64)) == "key_reused"
    shelf.clock.forward(LEASE_S)
    assert await refused(shelf.claim("b" * 64)) == "key_reused"
    await shelf.store.settle(claim, OUTCOME)
    assert await refused(shelf.claim("b" * 64)) == "key_reused"


async def test_an_expired_key_is_as_new(shelf: Shelf) -> None:
    earlier = await shelf.own()
    await shelf.store.settle(earlier, OUTCOME)
    shelf.clock.forward(LIFE.total_seconds())
    later = await shelf.own("b" * 64)
    assert await refused(shelf.store.settle(earlier, OUTCOME)) == "claim_lost"
    await shelf.store.settle(later, {"by": "later"})
    assert await shelf.claim("b" * 64) == Settled(shelf.key, {"by": "later"})


async def test_a_released_key_is_free_at_once(shelf: Shelf) -> None:
    await shelf.store.release(await shelf.own())
    assert (await shelf.own("b" * 64)).created


async def test_a_key_may_be_long_and_in_any_script(shelf: Shelf) -> None:
    start = f"{shelf.key}:"
    key = start + "é" * ((1500 - len(start)) // 2)
    claim = await shelf.claim(key=key)
    assert isinstance(claim, Claim)
    await shelf.store.settle(claim, OUTCOME)
    assert await shelf.claim(key=key) == Settled(key, OUTCOME)


@pytest.mark.parametrize("key", ["receive_webhook/1", "x" * 1501, "é" * 751, "..", "__reserved__"])
async def test_what_cannot_be_a_documents_id_is_no_key(shelf: Shelf, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        await shelf.claim(key=key)


async def test_a_store_that_answers_is_ready(shelf: Shelf) -> None:
    await shelf.store.ready()
