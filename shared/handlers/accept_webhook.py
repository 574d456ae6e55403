"""A payer's delivery becomes a durable event, or nothing. DESIGN section 4, STYLE rule 2."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from shared.domain.events import Event, Outgoing
from shared.domain.ids import delivery_key, event_id
from shared.handlers.claim_check import checked_in
from shared.ports.clock import Clock
from shared.ports.connections import Connection
from shared.ports.idempotency import Claim, IdempotencyStore, Settled
from shared.ports.payloads import PayloadStore
from shared.ports.publisher import Publisher
from shared.runtime.cached import Cached
from shared.runtime.envelope import to_message
from shared.runtime.errors import PoisonError, TransientError
from shared.runtime.rate_limit import Allowance, RateLimiter
from shared.runtime.settings import KEY_TTL_S, PUBLISH_TIMEOUT_S
from shared.runtime.signatures import verify
from shared.runtime.spans import step

if __debug__:
    from shared.runtime.crash_points import reach

CONSUMER: Final = "receive_webhook"
SECRET_RETRY_S: Final = (
    10.0  # a failed signature rereads secrets at most this often: a rotation needs no restart
)
DECOYS: Final = 64  # shared by all unknown connections: made-up ids cost no more look-ups of secrets
SecretKey = tuple[UUID, str]
NOBODY: Final = Connection(
    id=UUID(int=0),
    customer_id=UUID(int=0),
    provider="",
    scheme="standard-webhooks",
    secret_name="upstream-no-such-connection",  # noqa: S106 - a name, and nothing is ever signed with it
)


@dataclass(frozen=True, slots=True)
class RawDelivery:
    """A request as it came. headers: names in lower case. connection_id: from the path, whatever was sent."""

    provider: str
    connection_id: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    content_type: str
    trace_parent: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The delivery is durable. claim: to be settled once the reply is out; None if it was accepted before."""

    event_id: UUID
    delivery_key: UUID
    connection: Connection
    answer: Mapping[str, str]
    allowance: Allowance
    claim: Claim | None

    @property
    def duplicate(self) -> bool:
        """Whether the same delivery was accepted before."""
        return self.claim is None


class RateLimitedError(TransientError):
    """The sender is over its rate. allowance: for the reply's headers."""

    def __init__(self, allowance: Allowance) -> None:
        super().__init__("rate_limited", retry_after_s=allowance.retry_after_s)
        self.allowance = allowance


@dataclass(frozen=True, slots=True)
class Ingress:
    """What accepting needs of the world. monotonic_s: a clock that never steps, for rates.

    secrets: by the connection that was asked for as well as by name. All unknown connections share one secret's name;
    remembered by name alone, it would be read less often than a known connection's, and a sender could time that. By
    each id that anybody makes up, it would be read so often that Secret Manager's quota is used up for all.
    """

    connections: Cached[UUID, Connection | None]
    secrets: Cached[SecretKey, tuple[str, ...]]
    limiter: RateLimiter
    keys: IdempotencyStore
    publisher: Publisher
    payloads: PayloadStore
    clock: Clock
    monotonic_s: Callable[[], float]


async def accept_webhook(delivery: RawDelivery, *, ingress: Ingress) -> Accepted:
    """Return once the event is durable.

    Raises:
        PoisonError: reply 4xx, store nothing. Unknown, disabled and badly signed are all `invalid_signature`.
        TransientError: reply 503 or 429; the payer retries, and nothing was promised.
    """
    connection, delivery_id = await _authenticate(delivery, ingress)
    allowance = ingress.limiter.take(
        connection.id,
        per_min=connection.rate_per_min,
        burst=connection.burst,
        now_s=ingress.monotonic_s(),
    )
    if not allowance.allowed:
        raise RateLimitedError(allowance)
    digest, key = sha256(delivery.body).hexdigest(), delivery_key(connection.id, delivery_id)
    event = _event(delivery, connection, delivery_id, digest, ingress.clock())
    if __debug__:
        reach("ingress.before_claim")
    with step("claim_key"):
        claim = await _claim(key, digest, event.time, ingress)
    if isinstance(claim, Settled):
        return Accepted(event.id, key, connection, claim.outcome, allowance, None)
    if __debug__:
        reach("ingress.after_claim")
    carried = await checked_in(event, ingress.payloads)
    with step("publish", "producer"):
        await ingress.publisher.publish(
            [to_message(Outgoing("webhook-events", carried))], timeout_s=PUBLISH_TIMEOUT_S
        )
    if __debug__:
        reach("ingress.after_publish")
    return Accepted(event.id, key, connection, _answer(event), allowance, claim)


async def settle_accepted(accepted: Accepted, *, ingress: Ingress) -> None:
    """Mark the key accepted, after the reply. If this is lost, a retry publishes a copy, which consumers drop.

    Raises:
        TransientError: the store did not answer, or another retry settled first. Nothing is to be done.
    """
    if __debug__:
        reach("ingress.before_settle")
    if accepted.claim is not None:
        await ingress.keys.settle(accepted.claim, accepted.answer)


async def _authenticate(delivery: RawDelivery, ingress: Ingress) -> tuple[Connection, str]:
    """Return the connection and delivery id of a signed delivery; nobody's goes the same way to the same refusal."""
    asked = _asked(delivery)
    known = await _find(asked, delivery.provider, ingress)
    connection = known or NOBODY
    secret = (known.id if known else UUID(int=asked.int % DECOYS), connection.secret_name)
    now = ingress.clock()
    try:
        secrets = await ingress.secrets.get(secret)
        return connection, verify(
            connection.scheme, delivery.headers, delivery.body, secrets if known else (), now
        )
    except PoisonError as exc:
        if exc.code != "invalid_signature":
            raise
    secrets = await ingress.secrets.get(secret, newer_than_s=SECRET_RETRY_S)
    return connection, verify(
        connection.scheme, delivery.headers, delivery.body, secrets if known else (), now
    )


def _asked(delivery: RawDelivery) -> UUID:
    """Return the connection that the path names; for what is no id, nobody's, which goes the same way."""
    try:
        return UUID(delivery.connection_id)
    except ValueError:
        return NOBODY.id


async def _find(asked: UUID, provider: str, ingress: Ingress) -> Connection | None:
    connection = await ingress.connections.get(asked)
    if connection is None or not connection.enabled or connection.provider != provider:
        return None
    return connection


def _event(
    delivery: RawDelivery, connection: Connection, delivery_id: str, digest: str, now: datetime
) -> Event:
    sender = str(connection.id)
    return Event(
        id=event_id(connection.id, delivery_id, digest),
        type="webhook.received",
        source=f"/connections/{sender}",
        subject=f"connections/{sender}",
        time=now,
        customer_id=connection.customer_id,
        data=delivery.body,
        content_type=delivery.content_type,
        trace_parent=delivery.trace_parent,
        extensions={
            "connectionid": sender,
            "provider": connection.provider,
            "payloadformat": connection.format,
            "deliveryid": delivery_id,
        },
    )


async def _claim(key: UUID, digest: str, now: datetime, ingress: Ingress) -> Claim | Settled:
    """Claim the delivery's key. A key that is claimed but not settled is ours at once: its reply never got out."""
    return await ingress.keys.claim(
        f"{CONSUMER}:{key}",
        payload_sha256=digest,
        lease_s=0,
        expires_at=now + timedelta(seconds=KEY_TTL_S),
    )


def _answer(event: Event) -> dict[str, str]:
    return {"event_id": str(event.id), "accepted_at": event.time.isoformat()}
