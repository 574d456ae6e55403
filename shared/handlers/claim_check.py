"""A large payload goes into a store first, and its message carries where it is and what it must be (claim check).

Small payloads stay in their message: one round trip less, and nothing to keep for longer than the message.
"""

import asyncio
from dataclasses import replace
from hashlib import sha256

from shared.domain.events import PAYLOAD_REF, PAYLOAD_SHA256, Event
from shared.ports.payloads import PayloadStore
from shared.runtime.errors import PoisonError
from shared.runtime.settings import MAX_INLINE_BYTES


async def checked_in(event: Event, payloads: PayloadStore) -> Event:
    """Return the event as its message carries it: without its payload, if that is large and kept elsewhere.

    Raises:
        TransientError: the store did not answer.
    """
    if len(event.data) <= MAX_INLINE_BYTES:
        return event
    reference = await asyncio.to_thread(payloads.put, event.customer_id, event.id, event.data)
    digest = sha256(event.data).hexdigest()
    apart = {PAYLOAD_REF: reference, PAYLOAD_SHA256: digest}
    return replace(event, data=b"", extensions={**event.extensions, **apart})


def payload_of(event: Event, payloads: PayloadStore) -> bytes:
    """Return an event's payload, wherever it is.

    Raises:
        TransientError: the store did not answer.
        PoisonError: it is not there (`payload_missing`), or not what was sent (`payload_changed`).
    """
    reference = event.extensions.get(PAYLOAD_REF)
    if reference is None:
        return event.data
    body = payloads.get(reference)
    if sha256(body).hexdigest() != event.extensions.get(PAYLOAD_SHA256):
        raise PoisonError("payload_changed", "the payload is not the one that was sent")
    return body
