"""Puts letters aside that need not be processed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from shared.ports.dead_letters import DeadLetterDesk, Letter, Wanted
from shared.runtime.errors import PoisonError

PAGE: Final = 500


def plan_discard(wanted: Wanted, *, desk: DeadLetterDesk) -> Iterator[Sequence[Letter]]:
    """Return the letters that would be put aside, in pages: those of the wanted ones that are open.

    Raises:
        TransientError: the database is away or busy.
    """
    still_open = replace(wanted, state="open")
    after = None
    while letters := desk.letters(still_open, limit=PAGE, after=after, oldest_first=True):
        yield letters
        after = letters[-1].place


def discard_dead_letters(wanted: Wanted, *, by: str, why: str, desk: DeadLetterDesk) -> int:
    """Put the open ones of the wanted letters aside, and return how many.

    Raises:
        PoisonError: nobody, or no reason, was named (`bad_request`).
        TransientError: the database is away or busy; run again for the rest.
    """
    if not (by.strip() and why.strip()):
        raise PoisonError("bad_request", "say who discards them, and why")
    return sum(
        len(desk.discard([letter.id for letter in page], by=by, why=why))
        for page in plan_discard(wanted, desk=desk)
    )
