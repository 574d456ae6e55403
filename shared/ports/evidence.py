"""Keeps what shows that an action was done, and what was sent."""

from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

# What a piece may show decides who may read it and how long it is kept.
PieceKind = Literal[
    "screenshot",  # masked; a page may still show a patient whom nobody expected there
    "trace",  # of a failure: shows patient data
    "document",  # a letter or report as it was sent: patient data
    "payload",  # what a payer sent and no message can hold: patient data (shared/ports/payloads.py)
]


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing to keep. name: with its suffix, unique within the attempt."""

    kind: PieceKind
    name: str
    content_type: str


class EvidenceStore(Protocol):
    """Write once, read by address. Blocks."""

    def put(self, customer_id: UUID, action_id: UUID, attempt: int, piece: Piece, content: bytes) -> str:
        """Return the piece's address. An attempt has one piece of a name: put again, either one may be kept.

        Raises:
            TransientError: the store did not answer.
        """
        ...

    def get(self, address: str) -> bytes:
        """Return what is kept there.

        Raises:
            TransientError: the store did not answer.
            PermanentError: there is nothing (`not_found`), or it is no address of this store.
        """
        ...
