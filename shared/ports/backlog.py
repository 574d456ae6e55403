"""How much of the record waits for somebody: a port without an in-memory fake, as the record has none (adr/0003)."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Waiting:
    """Of all customers together. outbox_age_s: of the oldest message committed and not published; 0 if there is none.

    dead_letters: neither replayed nor discarded.
    """

    dead_letters: int
    outbox_age_s: float


class Backlog(Protocol):
    """Measures, as a role that reads no customer's rows. Blocks."""

    def measure(self) -> Waiting:
        """Return what waits now.

        Raises:
            TransientError: the database is away or busy.
        """
        ...
