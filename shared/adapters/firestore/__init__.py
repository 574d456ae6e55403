"""Keys and connections in Firestore, in the emulator where `FIRESTORE_EMULATOR_HOST` names one."""

from shared.adapters.firestore.connections import FirestoreConnectionRegistry
from shared.adapters.firestore.keys import FirestoreIdempotencyStore

__all__ = ["FirestoreConnectionRegistry", "FirestoreIdempotencyStore"]
