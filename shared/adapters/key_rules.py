"""Which keys every idempotency store takes, so that a fake refuses what Firestore would. Pure: no I/O."""

from typing import Final

MAX_KEY_BYTES: Final = 1500


def check_key(key: str) -> None:
    """Refuse what cannot be a document's id.

    Raises:
        ValueError: our bug: keys are made of a consumer's name and an event's id.
    Source: Firestore limits, "Constraints on document IDs".
    """
    if not 0 < len(key.encode()) <= MAX_KEY_BYTES or "/" in key or key in (".", ".."):
        raise ValueError("not a key: empty, too long, a dot or two, or with a slash")
    if key.startswith("__") and key.endswith("__"):
        raise ValueError("not a key: the store keeps such names to itself")
