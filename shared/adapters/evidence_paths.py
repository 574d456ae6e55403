"""Where a piece of evidence lies in its store: by kind first, so that each kind has its own readers and retention."""

from uuid import UUID

from shared.ports.evidence import Piece


def path_of(customer_id: UUID, action_id: UUID, attempt: int, piece: Piece) -> str:
    """Return the path: `<kind>s/<customer>/<action>/<attempt>-<name>`."""
    return f"{piece.kind}s/{customer_id}/{action_id}/{attempt}-{piece.name}"
