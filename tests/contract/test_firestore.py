"""What is particular to Firestore: lost answers, silence, and documents that others wrote."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from google.cloud.firestore import Client
from google.cloud.firestore_v1.types import Write

from local.emulators import Emulators
from shared.adapters.firestore import FirestoreConnectionRegistry, FirestoreIdempotencyStore
from shared.adapters.firestore.documents import Ask, creation, target
from shared.adapters.firestore.wire import _rounds
from shared.ports.connections import Connection
from shared.ports.idempotency import Claim, Settled
from shared.runtime.errors import TransientError
from shared.runtime.settings import STORE_TIMEOUT_S

if TYPE_CHECKING:
    from tests.contract.conftest import Hands

pytestmark = [pytest.mark.emulators, pytest.mark.usefixtures("emulators")]
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CONNECTION = Connection(
    id=uuid4(), customer_id=uuid4(), provider="acme", scheme="standard-webhooks", secret_name="s"
)


@pytest.fixture
async def store(project: str, clock: "Hands") -> AsyncIterator[FirestoreIdempotencyStore]:
    store = FirestoreIdempotencyStore(project_id=project, clock=clock)
    yield store
    await store.close()


async def claim(store: FirestoreIdempotencyStore, key: str = "test:1", *, lease_s: float = 30) -> Claim:
    claim = await store.claim(key, payload_sha256="a", lease_s=lease_s, expires_at=NOW + timedelta(hours=24))
    assert isinstance(claim, Claim)
    return claim


def lose_an_answer(store: FirestoreIdempotencyStore, *, of_write: int = 1) -> None:
    """One write arrives and its answer does not, so the client tries again, as it does by itself."""
    client: Any = store._wires.get()._client
    write: Callable[..., Awaitable[object]] = client.batch_write
    writes = count(1)

    async def lossy(**call: object) -> object:
        if next(writes) == of_write:
            await write(**call)
        return await write(**call)

    client.batch_write = lossy


async def test_our_own_first_write_is_not_somebody_elses(store: FirestoreIdempotencyStore) -> None:
    lose_an_answer(store)
    await store.settle(await claim(store), {"a": "b"})


async def test_a_take_over_whose_answer_was_lost_is_ours(
    store: FirestoreIdempotencyStore, clock: "Hands"
) -> None:
    await claim(store)
    clock.forward(30)
    lose_an_answer(store, of_write=2)  # the first finds the key taken
    ours = await claim(store)
    await store.settle(ours, {"a": "b"})


async def test_a_settlement_whose_answer_was_lost_holds(store: FirestoreIdempotencyStore) -> None:
    ours = await claim(store)
    lose_an_answer(store)
    await store.settle(ours, {"a": "b"})
    again = await store.claim("test:1", payload_sha256="a", lease_s=30, expires_at=NOW)
    assert again == Settled("test:1", {"a": "b"})


async def test_a_key_that_ttl_deletes_under_way_is_claimed_anew(
    store: FirestoreIdempotencyStore, project: str
) -> None:
    ours = await claim(store)
    await asyncio.to_thread(Client(project=project).document(f"idempotency_keys/{ours.key}").delete)
    with pytest.raises(TransientError) as lost:
        await store.settle(ours, {})
    assert lost.value.code == "claim_lost"
    assert (await claim(store)).created


async def test_a_key_carries_the_field_that_the_ttl_policy_reads(
    store: FirestoreIdempotencyStore, project: str
) -> None:
    ours = await claim(store)
    document = Client(project=project).document(f"idempotency_keys/{ours.key}").get().to_dict()
    assert document is not None
    assert document["expires_at"] == NOW + timedelta(hours=24)
    assert set(document) == {"state", "owner", "payload_sha256", "lease_expires_at", "expires_at"}


async def test_a_silent_store_is_given_up_within_its_deadline(
    store: FirestoreIdempotencyStore, emulators: Emulators, project: str
) -> None:
    ours = await claim(store)
    registry = FirestoreConnectionRegistry(project_id=project)
    registry.put(CONNECTION)
    calls: list[Awaitable[object]] = [
        claim(store, "test:2"),
        store.settle(ours, {}),
        store.release(ours),
        store.ready(),
        asyncio.to_thread(registry.get, CONNECTION.id),
        asyncio.to_thread(registry.put, CONNECTION),
        asyncio.to_thread(registry.list),
    ]
    with emulators.firestore_paused():
        started = time.monotonic()
        fates = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - started < STORE_TIMEOUT_S + 2
    assert [type(fate) for fate in fates] == [TransientError] * len(calls)
    registry.close()


def test_a_field_of_a_later_release_is_passed_over(project: str) -> None:
    registry = FirestoreConnectionRegistry(project_id=project)
    registry.put(CONNECTION)
    Client(project=project).document(f"connections/{CONNECTION.id}").update({"colour": "blue"})
    assert registry.get(CONNECTION.id) == CONNECTION
    registry.close()


def test_no_request_writes_one_document_twice() -> None:
    writes = [_write(name) for name in ("a", "b", "a", "c", "a", "b")]
    rounds = [[target(writes[n]) for n in positions] for positions in _rounds(writes)]
    assert rounds == [["a", "b", "c"], ["a", "b"], ["a"]]


def _write(name: str) -> Write:
    return creation(Ask(name, "owner", "sha", NOW, NOW))
