"""What senders only named: the list of it, and how it is had.

Like the record it is kept in, the list has no in-memory fake (docs/adr/0003).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Fetch:
    """One thing to fetch. reference: may name a patient's record, and is for no log. attempts: this one counted."""

    id: UUID
    customer_id: UUID
    connection_id: UUID
    kind: str
    reference: str = field(repr=False)
    attempts: int


@dataclass(frozen=True, slots=True)
class FetchEntry:
    """One line of the list. connection_id: None for what was named before connections were noted.

    next_at: not before; None: at once. event_id: the delivery that it became.
    """

    id: UUID
    customer_id: UUID
    customer: str
    connection_id: UUID | None
    kind: str
    reason: str
    state: str
    attempts: int
    code: str
    next_at: datetime | None
    event_id: UUID | None
    created_at: datetime


class FetchList(Protocol):
    """Works as `upstream_operator`, which sees every customer. Blocks. All raise TransientError when it is away."""

    def take(
        self, connections: Sequence[UUID], *, kinds: Sequence[str], now: datetime, lease_s: float, most: int
    ) -> Sequence[Fetch]:
        """Own what is due of these connections until the lease ends, the oldest first, and count the attempt."""
        ...

    def fetched(self, fetch: Fetch, *, event_id: UUID, at: datetime) -> None:
        """Note that it is in the pipeline, as this event."""
        ...

    def failed(self, fetch: Fetch, *, code: str, next_at: datetime | None, at: datetime) -> None:
        """Note why it is not; None gives it up."""
        ...

    def list(
        self, *, customer_id: UUID | None = None, state: str = "", limit: int = 50
    ) -> Sequence[FetchEntry]:
        """Return what was named, the newest first."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server gave."""

    body: bytes = field(repr=False)
    content_type: str


class Fetcher(Protocol):
    """Reads from senders' servers. Blocks."""

    def get(self, url: str, *, headers: Mapping[str, str], follow: bool) -> Fetched:
        """Return what is there, 32 MiB at most. follow: one redirect, without our headers, to where only it leads.

        Raises:
            TransientError: no connection, no answer in time, 401, 403, 404, 408, 425, 429 or 5xx. Try again later.
            PermanentError: any other answer, or more than we take (`fetch_refused`); an address that must not be used
                (`invalid_recipient`).
        """
        ...
