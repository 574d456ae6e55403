"""A secret is rotated while webhooks come in: nothing is restarted, and no delivery that was signed well is refused."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from shared.adapters.memory import (
    InMemoryConnectionRegistry,
    InMemoryIdempotencyStore,
    InMemoryPayloadStore,
    InMemoryPublisher,
    InMemorySecretStore,
)
from shared.handlers.accept_webhook import (
    DECOYS,
    NOBODY,
    SECRET_RETRY_S,
    Accepted,
    Ingress,
    RawDelivery,
    accept_webhook,
)
from shared.ports.connections import Connection
from shared.runtime.cached import Cached
from shared.runtime.errors import PoisonError
from shared.runtime.rate_limit import RateLimiter
from shared.runtime.settings import CONNECTION_CACHE_S, SECRET_CACHE_S
from shared.runtime.signatures import sign

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CONNECTION = Connection(
    id=uuid4(), customer_id=uuid4(), provider="acme", scheme="hmac-sha256-hex", secret_name="hook", burst=1000
)


@dataclass
class Watch:
    """A monotonic clock that is turned by hand."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Ingresses:
    """An ingress on fakes, with secrets cached as in production."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.secrets = InMemorySecretStore({"hook": ["old"]})
        self.publisher = InMemoryPublisher()
        self.ingress = Ingress(
            connections=Cached(
                InMemoryConnectionRegistry([CONNECTION]).get, ttl_s=CONNECTION_CACHE_S, now_s=self.watch
            ),
            secrets=Cached(
                lambda asked: self.secrets.versions(asked[1]), ttl_s=SECRET_CACHE_S, now_s=self.watch
            ),
            limiter=RateLimiter(),
            keys=InMemoryIdempotencyStore(clock=lambda: NOW),
            publisher=self.publisher,
            payloads=InMemoryPayloadStore(),
            clock=lambda: NOW,
            monotonic_s=self.watch,
        )

    async def send(self, secret: str, *, connection: Connection = CONNECTION) -> Accepted:
        body = b"ISA*00*"
        delivery = RawDelivery(
            provider=connection.provider,
            connection_id=str(connection.id),
            headers=sign(connection.scheme, uuid4().hex, body, secret, NOW),
            body=body,
            content_type="application/edi-x12",
            trace_parent="",
        )
        return await accept_webhook(delivery, ingress=self.ingress)

    async def refusal(self, secret: str, *, connection: Connection = CONNECTION) -> str:
        with pytest.raises(PoisonError) as caught:
            await self.send(secret, connection=connection)
        return caught.value.code

    @property
    def reads(self) -> int:
        return self.secrets.reads.get("hook", 0)


@pytest.fixture
def ingresses() -> Ingresses:
    return Ingresses()


async def test_a_secret_is_read_once_for_many_deliveries(ingresses: Ingresses) -> None:
    for _ in range(20):
        await ingresses.send("old")
    assert ingresses.reads == 1


async def test_a_new_secret_counts_at_once_and_the_old_one_still_does(ingresses: Ingresses) -> None:
    await ingresses.send("old")
    ingresses.secrets.add_version("hook", "new")
    ingresses.watch.seconds += SECRET_RETRY_S
    await ingresses.send("new")  # a failed signature, a look at the store, and a second try
    await ingresses.send("old")
    assert (len(ingresses.publisher.messages), ingresses.reads) == (3, 2)


async def test_a_withdrawn_secret_ends_with_the_cache(ingresses: Ingresses) -> None:
    await ingresses.send("old")
    ingresses.secrets.add_version("hook", "new", keep=1)
    ingresses.watch.seconds += SECRET_CACHE_S - 1
    await ingresses.send("old")
    ingresses.watch.seconds += 1
    assert await ingresses.refusal("old") == "invalid_signature"
    await ingresses.send("new")


async def test_forged_signatures_do_not_make_us_read_again_and_again(ingresses: Ingresses) -> None:
    await ingresses.send("old")
    for _ in range(50):
        ingresses.watch.seconds += SECRET_RETRY_S / 50
        assert await ingresses.refusal("forged") == "invalid_signature"
    assert ingresses.reads <= 2
    assert len(ingresses.publisher.messages) == 1


async def test_a_rotation_is_seen_by_the_first_delivery_after_the_bound_even_while_forgers_knock(
    ingresses: Ingresses,
) -> None:
    await ingresses.send("old")
    ingresses.secrets.add_version("hook", "new")
    ingresses.watch.seconds += SECRET_RETRY_S
    assert await ingresses.refusal("forged") == "invalid_signature"  # pays for the look
    await ingresses.send("new")
    assert ingresses.reads == 2


async def test_an_unknown_connection_reads_as_often_as_a_known_one(ingresses: Ingresses) -> None:
    """Else the look-ups of a refusal would tell who is a customer."""
    stranger = replace(CONNECTION, id=uuid4())
    assert await ingresses.refusal("old", connection=stranger) == "invalid_signature"
    assert await ingresses.refusal("forged") == "invalid_signature"
    assert set(ingresses.secrets.reads.values()) == {1}
    assert len(ingresses.secrets.reads) == 2


async def test_made_up_connections_cost_a_bounded_number_of_look_ups(ingresses: Ingresses) -> None:
    for _ in range(10 * DECOYS):
        assert (
            await ingresses.refusal("forged", connection=replace(CONNECTION, id=uuid4()))
            == "invalid_signature"
        )
    assert ingresses.secrets.reads[NOBODY.secret_name] <= DECOYS
