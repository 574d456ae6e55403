"""One suite for every connection registry."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from shared.adapters.embedded.connections import EmbeddedConnectionRegistry
from shared.adapters.embedded.engine import build_local_engine
from shared.adapters.firestore import FirestoreConnectionRegistry
from shared.adapters.memory import InMemoryConnectionRegistry
from shared.ports.connections import Connection, ConnectionRegistry
from shared.runtime.errors import TransientError
from shared.runtime.settings import Settings

BACKENDS = ["memory", "embedded", pytest.param("emulators", marks=pytest.mark.emulators)]


@pytest.fixture(params=BACKENDS)
def registry(request: pytest.FixtureRequest) -> Iterator[ConnectionRegistry]:
    match request.param:
        case "memory":
            yield InMemoryConnectionRegistry()
        case "embedded":
            yield EmbeddedConnectionRegistry(request.getfixturevalue("local_engine"))
        case _:
            request.getfixturevalue("emulators")
            registry = FirestoreConnectionRegistry(project_id=request.getfixturevalue("project"))
            yield registry
            registry.close()


def connection(provider: str = "acme") -> Connection:
    return Connection(
        id=uuid4(),
        customer_id=uuid4(),
        provider=provider,
        scheme="hmac-sha256-hex",
        secret_name=f"{provider}-secret",
        format="x12",
        rate_per_min=7,
        burst=9,
        enabled=False,
    )


def test_an_unknown_connection_is_none(registry: ConnectionRegistry) -> None:
    assert registry.get(uuid4()) is None


def test_a_connection_comes_back_as_it_was_put(registry: ConnectionRegistry) -> None:
    stored = connection()
    registry.put(stored)
    assert registry.get(stored.id) == stored


def test_the_last_one_put_is_the_one(registry: ConnectionRegistry) -> None:
    stored = connection()
    registry.put(stored)
    registry.put(replace(stored, enabled=True, burst=100, secret_name="other"))
    assert registry.get(stored.id) == replace(stored, enabled=True, burst=100, secret_name="other")


def test_all_are_listed_by_provider_and_id(registry: ConnectionRegistry) -> None:
    stored = [connection(provider) for provider in ("zeta", "beta", "acme", "beta")]
    for one in stored:
        registry.put(one)
    ours = [one for one in registry.list() if one in stored]
    assert ours == sorted(stored, key=lambda one: (one.provider, str(one.id)))


def test_a_registry_out_of_reach_says_so() -> None:
    nowhere = Settings(database="/nowhere")
    registry = EmbeddedConnectionRegistry(build_local_engine(nowhere))
    with pytest.raises(TransientError):
        registry.get(uuid4())
