"""Shows dead letters: what they failed of, which they are, what became of one. Never what a body holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.ports.dead_letters import Cause, DeadLetterDesk, Letter, Place, Replay, Wanted
from shared.runtime.errors import PoisonError

PAGE = 50


@dataclass(frozen=True, slots=True)
class Listing:
    """Causes of all wanted letters, and one page of them, the newest first. after: asks for the next page, if any."""

    causes: Sequence[Cause]
    letters: Sequence[Letter]
    after: Place | None

    @property
    def total(self) -> int:
        """Return how many letters are wanted in all."""
        return sum(cause.count for cause in self.causes)


@dataclass(frozen=True, slots=True)
class Shown:
    """One letter and its replays, oldest first."""

    letter: Letter
    replays: Sequence[Replay]


def list_dead_letters(
    wanted: Wanted, *, desk: DeadLetterDesk, limit: int = PAGE, after: Place | None = None
) -> Listing:
    """Return the wanted letters, by cause and then one by one.

    Raises:
        TransientError: the database is away or busy.
    """
    letters = desk.letters(wanted, limit=limit, after=after) if limit else ()
    return Listing(desk.causes(wanted), letters, letters[-1].place if len(letters) == limit > 0 else None)


def show_dead_letter(letter_id: UUID, *, desk: DeadLetterDesk) -> Shown:
    """Return one letter and what became of it.

    Raises:
        PoisonError: there is no such letter (`not_found`).
        TransientError: the database is away or busy.
    """
    replays = desk.replays(letter_id)  # before the letter: it settles what is known by now
    found = desk.letters(Wanted(ids=(letter_id,)), limit=1)
    if not found:
        raise PoisonError("not_found", f"no dead letter {letter_id}")
    return Shown(found[0], replays)
