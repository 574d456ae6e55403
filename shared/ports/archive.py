"""The domain events that were decided: for explaining a decision, and for trying a draft of rules on the past."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ArchivedEvent:
    """One domain event as it was published. data: decoded. seen: facts that cost a query, as its decisions saw them."""

    id: str
    type: str
    at: datetime
    data: Mapping[str, object] = field(repr=False)
    seen: Mapping[str, object] = field(default_factory=dict, repr=False)


class EventArchive(Protocol):
    """Reads domain events across customers. Blocks."""

    def event(self, event_id: UUID) -> tuple[UUID, ArchivedEvent] | None:
        """Return the event and whose it is; None if it is not a domain event, or not known.

        Raises:
            TransientError: the database is away or busy.
        """
        ...

    def count(self, customer_id: UUID, *, since: date, until: date) -> int:
        """Return how many events `pages` would yield.

        Raises:
            TransientError: the database is away or busy.
        """
        ...

    def pages(self, customer_id: UUID, *, since: date, until: date) -> Iterator[Sequence[ArchivedEvent]]:
        """Yield the customer's events from the first day to the last (UTC), a bounded number at a time, oldest first.

        Raises:
            TransientError: the database is away or busy.
        """
        ...
