"""Takes a customer's patients out of the record and of the stores beside it.

The desk, like the record, has no in-memory fake (docs/adr/0003).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PurgeRun:
    """One run: its audit row. by, why: recorded for good, so no patient data in them."""

    id: UUID
    customer_id: UUID
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Purged:
    """A run as its audit row tells. ended_at: None for an interrupted one. rows: by table, those gone or emptied."""

    id: UUID
    purged_by: str
    why: str
    rows: Mapping[str, int]
    began_at: datetime
    ended_at: datetime | None


class PurgeDesk(Protocol):
    """Reads and writes as `upstream_operator`. Blocks.

    Every method raises TransientError when the database is away or busy.
    connection_ids: the customer's; a dead letter that came over one of them is the customer's, whoever it is kept as.
    """

    def count(self, table: str, customer_id: UUID, connection_ids: Sequence[UUID]) -> int:
        """Return how many rows of a table a purge would remove or empty."""
        ...

    def purge(self, table: str, customer_id: UUID, connection_ids: Sequence[UUID], *, run: PurgeRun) -> int:
        """Remove or empty a table's rows of the customer; return how many. Killed half-way, some are: run again."""
        ...

    def begin(self, run: PurgeRun) -> None:
        """Write the audit row, before anything is done."""
        ...

    def end(self, run: PurgeRun, rows: Mapping[str, int]) -> None:
        """Complete the audit row."""
        ...

    def runs(self, customer_id: UUID) -> Sequence[Purged]:
        """Return the customer's purges, the newest first."""
        ...


class PatientObjects(Protocol):
    """What is kept of a customer's patients outside the record. Blocks."""

    def count(self, customer_id: UUID) -> int:
        """Return how many objects there are.

        Raises:
            TransientError: the store did not answer, or does not let this identity list.
        """
        ...

    def remove(self, customer_id: UUID) -> int:
        """Remove them; return how many. Removing what is gone is no error.

        Raises:
            TransientError: the store did not answer, or does not let this identity delete. Run again for the rest.
        """
        ...
