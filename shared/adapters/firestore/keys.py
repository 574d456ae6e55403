"""`IdempotencyStore` in Firestore: `idempotency_keys/{key}`. Every change is one conditional write (docs/adr/0005).

A claim's token is its owner and the version of the document that its write made. Settling and releasing write on the
condition that the document still has that version: a compare-and-set that needs no read and no transaction.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import datetime, timedelta
from functools import partial
from secrets import token_hex
from typing import Final, TypeVar

from shared.adapters.firestore.documents import Ask, Held, creation, deletion, settlement, take_over
from shared.adapters.firestore.wire import Wire
from shared.adapters.key_rules import check_key
from shared.adapters.per_loop import PerLoop
from shared.ports.clock import Clock
from shared.ports.idempotency import Claim, Settled
from shared.runtime.errors import PoisonError, TransientError
from shared.runtime.settings import STORE_TIMEOUT_S

T = TypeVar("T")
COLLECTION: Final = "idempotency_keys"


class FirestoreIdempotencyStore:
    """Keys as documents. Nothing connects before the first call; each event loop has its own channel."""

    def __init__(self, *, project_id: str, clock: Clock, database: str = "(default)") -> None:
        """clock: decides which leases and keys have ended, whatever Firestore's TTL has deleted by then."""
        self._clock = clock
        self._wires = PerLoop(partial(Wire, project_id=project_id, database=database))

    async def claim(
        self, key: str, *, payload_sha256: str, lease_s: float, expires_at: datetime
    ) -> Claim | Settled:
        """Own `key` until the lease ends, or return the outcome someone already reached."""
        check_key(key)
        wire = self._wires.get()
        ask = Ask(
            name=wire.name(COLLECTION, key),
            owner=token_hex(8),
            payload_sha256=payload_sha256,
            lease_expires_at=self._clock() + timedelta(seconds=lease_s),
            expires_at=expires_at,
        )
        return await _within(self._claim(key, ask, wire))

    async def settle(self, claim: Claim, outcome: Mapping[str, str]) -> None:
        """Keep the outcome for whoever asks again."""
        if not await _within(self._settle(claim, outcome, self._wires.get())):
            raise TransientError("claim_lost", claim.key)

    async def release(self, claim: Claim) -> None:
        """Give the key up, unless the claim was taken over."""
        wire = self._wires.get()
        _, version_us = _parts(claim.token)
        await _within(wire.write(deletion(wire.name(COLLECTION, claim.key), version_us=version_us)))

    async def ready(self) -> None:
        """Return if Firestore answers."""
        wire = self._wires.get()
        await wire.read(wire.name(COLLECTION, "ready"))

    async def close(self) -> None:
        """Close this loop's channel."""
        if wire := self._wires.pop():
            await wire.close()

    async def _claim(self, key: str, ask: Ask, wire: Wire) -> Claim | Settled:
        """Create the document, or take over the one in the way if it holds nobody off. Each round, somebody got on."""
        write, created = creation(ask), True
        while True:
            version_us = await wire.write(write)
            if version_us is not None:
                return Claim(key, _token(ask.owner, version_us), created)
            found = await wire.read(ask.name)
            if found is None:  # deleted since
                write, created = creation(ask), True
                continue
            if found.owner == ask.owner:  # our own write, whose answer was lost
                return Claim(key, _token(ask.owner, found.version_us), created)
            if settled := self._in_the_way(key, ask, found):
                return settled
            write, created = take_over(ask, version_us=found.version_us), False

    def _in_the_way(self, key: str, ask: Ask, found: Held) -> Settled | None:
        """Return the outcome that was reached, or None if the key may be taken over.

        Raises:
            TransientError: another worker holds the key.
            PoisonError: it came before with another payload.
        """
        now = self._clock()
        if found.expires_at <= now:
            return None
        if found.payload_sha256 != ask.payload_sha256:
            raise PoisonError("key_reused", key)
        if found.state == "settled":
            return Settled(key, found.outcome)
        if found.lease_expires_at > now:
            raise TransientError("key_held", key)
        return None

    async def _settle(self, claim: Claim, outcome: Mapping[str, str], wire: Wire) -> bool:
        owner, version_us = _parts(claim.token)
        name = wire.name(COLLECTION, claim.key)
        if await wire.write(settlement(name, outcome, version_us=version_us)) is not None:
            return True
        found = await wire.read(name)  # ours after all, if the answer to our own write was lost
        return found is not None and found.owner == owner and found.state == "settled"


def _token(owner: str, version_us: int) -> str:
    return f"{owner}.{version_us}"


def _parts(token: str) -> tuple[str, int]:
    """Return a token's owner and version; what is no token of ours names a version that no document has."""
    owner, _, version_us = token.partition(".")
    return owner, int(version_us) if version_us.isdecimal() else 1


async def _within(answer: Awaitable[T]) -> T:
    """Return the answer, or raise TransientError when it does not come in time."""
    try:
        async with asyncio.timeout(STORE_TIMEOUT_S):
            return await answer
    except TimeoutError as exc:
        raise TransientError("timeout", "idempotency store") from exc
