"""`PayloadStore` where evidence is kept: a local folder, or Cloud Storage with its keys and retention."""

from hashlib import sha256
from typing import Final
from uuid import UUID

from shared.ports.evidence import EvidenceStore, Piece
from shared.runtime.errors import PermanentError, PoisonError

CONTENT_TYPE: Final = "application/octet-stream"  # payers' own labels are with the event


class StoredPayloads:
    """Payloads as pieces of their own kind, so that the bucket gives them their own readers and retention."""

    def __init__(self, store: EvidenceStore) -> None:
        """store: where pieces go."""
        self._store = store

    def put(self, customer_id: UUID, event_id: UUID, body: bytes) -> str:
        """Return the reference, once the body is durable. Named by its digest: no other body is ever in its place."""
        piece = Piece("payload", sha256(body).hexdigest(), CONTENT_TYPE)
        return self._store.put(customer_id, event_id, 0, piece, body)

    def get(self, reference: str) -> bytes:
        """Return what is kept there."""
        try:
            return self._store.get(reference)
        except PermanentError as exc:
            raise PoisonError("payload_missing", "the payload is not where its event says") from exc
