"""Who owns a piece of work, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Claim:
    """Our ownership of a key. token: proves it; a later owner has another. created: nobody had claimed it before."""

    key: str
    token: str
    created: bool = True


@dataclass(frozen=True, slots=True)
class Settled:
    """The outcome that someone already reached for a key."""

    key: str
    outcome: Mapping[str, str]


class IdempotencyStore(Protocol):
    """Keys that are claimed once and settled once. Readers check `expires_at` themselves: stores delete late.

    key: `<consumer>:<event_id>[:<replay_id>]`; no `/`, at most 1,500 UTF-8 bytes.
    Source: Firestore limits, "Constraints on document IDs".
    """

    async def claim(
        self, key: str, *, payload_sha256: str, lease_s: float, expires_at: datetime
    ) -> Claim | Settled:
        """Own `key` until the lease ends, or return the outcome someone already reached.

        A lease of 0 never holds anyone off: a retry by the same sender takes an unsettled key over at once.

        Raises:
            TransientError: another worker holds the key (`key_held`), or the store did not answer. Try again later.
            PoisonError: the same key came before with another payload (`key_reused`).
        """
        ...

    async def settle(self, claim: Claim, outcome: Mapping[str, str]) -> None:
        """Keep the outcome for whoever asks again.

        Raises:
            TransientError: the claim was taken over (`claim_lost`), or the store did not answer.
        """
        ...

    async def release(self, claim: Claim) -> None:
        """Give the key up, so that the next claim wins at once. Does nothing if the claim was taken over.

        Raises:
            TransientError: the store did not answer.
        """
        ...

    async def ready(self) -> None:
        """Return if the store answers.

        Raises:
            TransientError: it does not.
        """
        ...
