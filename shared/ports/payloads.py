"""Keeps payloads that are too large for a message, until their event is processed and as long as it may be replayed."""

from typing import Protocol
from uuid import UUID


class PayloadStore(Protocol):
    """Write once, read by reference. Blocks. Nothing of a payload is in its reference: ids only."""

    def put(self, customer_id: UUID, event_id: UUID, body: bytes) -> str:
        """Return the reference, once the body is durable. Put again it has the same reference, and
        another body of the same event another one.

        Raises:
            TransientError: the store did not answer. Nothing was promised.
        """
        ...

    def get(self, reference: str) -> bytes:
        """Return what is kept there.

        Raises:
            TransientError: the store did not answer. Nack.
            PoisonError: there is nothing (`payload_missing`). Dead-letter: the bytes may be put back by hand.
        """
        ...
