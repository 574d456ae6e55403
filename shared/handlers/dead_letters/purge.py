"""Empties letters that were dealt with long ago: the payload goes, why it failed and what became of it stay."""

from datetime import datetime

from shared.ports.dead_letters import DeadLetterDesk
from shared.runtime.errors import PoisonError


def purge_dead_letters(before: datetime, *, by: str, why: str, desk: DeadLetterDesk) -> int:
    """Empty the letters that were discarded or replayed before a time, and return how many.

    Raises:
        PoisonError: nobody, or no reason, was named (`bad_request`).
        TransientError: the database is away or busy; run again for the rest.
    """
    if not (by.strip() and why.strip()):
        raise PoisonError("bad_request", "say who purges them, and why")
    purged = 0
    while emptied := desk.purge(before, by=by, why=why):
        purged += emptied
    return purged
