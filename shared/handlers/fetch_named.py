"""What senders only named is fetched from their servers, and goes into the pipeline as a delivery of theirs.

The delivery's id follows from what was named, and the event's from what came, too. So whatever is fetched twice, or
fetched and lost on the way, takes effect once; if it changed in between, both count. Only then is it noted as fetched.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID

from shared.domain.events import Event, Outgoing
from shared.domain.ids import event_id
from shared.formats.x12.bare import enveloped
from shared.handlers.claim_check import checked_in
from shared.handlers.fetch_address import FETCHABLE, FHIR, STEDI, address_of, retry_after
from shared.ports.clock import Clock
from shared.ports.connections import Connection
from shared.ports.fetching import Fetch, Fetched, Fetcher, FetchList
from shared.ports.payloads import PayloadStore
from shared.ports.publisher import Publisher
from shared.ports.secrets import SecretStore
from shared.runtime.envelope import to_message
from shared.runtime.errors import PermanentError, TransientError
from shared.runtime.settings import PUBLISH_TIMEOUT_S

LEASE_S: Final = 300.0  # longer than a fetch may take


@dataclass(frozen=True, slots=True)
class Fetching:
    """What fetching needs of the world."""

    named: FetchList
    fetcher: Fetcher
    secrets: SecretStore
    publisher: Publisher
    payloads: PayloadStore
    clock: Clock


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one attempt. code: why not; empty if it is fetched. event_id: the delivery that it became."""

    fetch_id: UUID
    code: str
    given_up: bool = False
    event_id: UUID | None = None


async def fetch_named(connections: Sequence[Connection], *, most: int, fetching: Fetching) -> list[Attempt]:
    """Fetch what is due of the connections that say where from, and return what came of each.

    Raises:
        TransientError: the record, the secrets, a store or the broker is away. What was taken is due again when its
            lease ends.
    """
    known = {one.id: one for one in connections if one.enabled and one.fetch_url}
    taken = await asyncio.to_thread(
        fetching.named.take, list(known), kinds=FETCHABLE, now=fetching.clock(), lease_s=LEASE_S, most=most
    )
    return [await _attempt(fetch, known[fetch.connection_id], fetching) for fetch in taken]


async def _attempt(fetch: Fetch, connection: Connection, fetching: Fetching) -> Attempt:
    try:
        found = await asyncio.to_thread(_get, fetch, connection, fetching)
    except TransientError as exc:
        if exc.code == "unavailable":  # ours: the secrets
            raise
        return await _failed(fetch, exc.code, fetching, later=True)
    except PermanentError as exc:
        return await _failed(fetch, exc.code, fetching, later=False)
    event = _delivery(fetch, connection, found, fetching)
    carried = await checked_in(event, fetching.payloads)
    await fetching.publisher.publish(
        [to_message(Outgoing("webhook-events", carried))], timeout_s=PUBLISH_TIMEOUT_S
    )
    await asyncio.to_thread(fetching.named.fetched, fetch, event_id=event.id, at=fetching.clock())
    return Attempt(fetch.id, "", event_id=event.id)


def _get(fetch: Fetch, connection: Connection, fetching: Fetching) -> Fetched:
    if connection.customer_id != fetch.customer_id:
        raise PermanentError("no_address", "the connection is another customer's")
    url = address_of(fetch.kind, fetch.reference, connection.fetch_url)
    return fetching.fetcher.get(
        url, headers=_headers(fetch, connection, fetching.secrets), follow=fetch.kind == STEDI
    )


def _headers(fetch: Fetch, connection: Connection, secrets: SecretStore) -> Mapping[str, str]:
    """Return what the sender's API wants: a bearer token for FHIR, the key itself for Stedi."""
    held = secrets.versions(connection.fetch_secret_name) if connection.fetch_secret_name else ()
    secret = next(iter(held), "")
    if fetch.kind != FHIR:
        return {"Authorization": secret} if secret else {}
    accepted = {"Accept": "application/fhir+json"}
    return {**accepted, "Authorization": f"Bearer {secret}"} if secret else accepted


async def _failed(fetch: Fetch, code: str, fetching: Fetching, *, later: bool) -> Attempt:
    wait = retry_after(fetch.attempts) if later else None
    now = fetching.clock()
    await asyncio.to_thread(
        fetching.named.failed, fetch, code=code, next_at=None if wait is None else now + wait, at=now
    )
    return Attempt(fetch.id, code, given_up=wait is None)


def _delivery(fetch: Fetch, connection: Connection, found: Fetched, fetching: Fetching) -> Event:
    delivery_id = f"fetch:{fetch.id}"
    body = enveloped(found.body) if fetch.kind == STEDI else found.body
    return Event(
        id=event_id(connection.id, delivery_id, sha256(body).hexdigest()),
        type="webhook.received",
        source=f"/connections/{connection.id}",
        subject=f"connections/{connection.id}",
        time=fetching.clock(),
        customer_id=connection.customer_id,
        data=body,
        content_type=found.content_type,
        trace_parent=f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01",
        extensions={
            "connectionid": str(connection.id),
            "provider": connection.provider,
            "payloadformat": "fhir" if fetch.kind == FHIR else "auto",
            "deliveryid": delivery_id,
        },
    )
