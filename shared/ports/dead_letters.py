"""What engineers do with dead letters: look for them, publish them again, put them aside.

Like the record it reads, this port has no in-memory fake (docs/adr/0003).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, Protocol
from uuid import UUID

LEASE_S: Final = 30  # how long a claimed letter is left to the run that claimed it
IN_FLIGHT_S: Final = 3600  # how long a replay may be without outcome before its message counts as lost

LetterState = Literal[
    "open",  # failed, and nobody has dealt with it
    "replayed",  # published again, and has not failed again
    "discarded",  # an engineer decided that it need not be processed
]
ReplayOutcome = Literal[
    "claimed",  # a run is about to publish it
    "published",  # the broker has it; the consumer has not taken it yet
    "processed",  # the consumer took it
    "failed",  # it became a dead letter again
    "interrupted",  # its run ended without saying whether it was published
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are meant; what is not set does not restrict.

    since, until: when they failed last. text: part of the reason, in capitals or not.
    """

    ids: tuple[UUID, ...] = ()
    consumer: str = ""
    code: str = ""
    connection_id: UUID | None = None
    customer_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    state: LetterState | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing but the state restricts."""
        return not any(
            (
                *(self.ids, self.consumer, self.code, self.text),
                *(self.connection_id, self.customer_id, self.since, self.until),
            )
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of letters ended."""

    first_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class Cause:
    """Letters that failed alike. reason: numbers and ids in it are `#`. newest_id: the one that failed last."""

    consumer: str
    code: str
    reason: str
    count: int
    customers: int
    first_at: datetime
    last_at: datetime
    newest_id: UUID


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without its body. event_id: None for what was never one of our events."""

    id: UUID
    customer_id: UUID
    customer: str
    event_id: UUID | None
    connection_id: UUID | None
    consumer: str
    subscription: str
    event_type: str
    code: str
    reason: str
    attempts: int
    trace_id: str
    state: LetterState
    first_at: datetime
    last_at: datetime
    last_replay: UUID | None
    discarded_by: str
    discarded_why: str
    discarded_at: datetime | None
    body_bytes: int
    attributes: Mapping[str, str]

    @property
    def place(self) -> Place:
        """Return where a page that ends with this letter goes on."""
        return Place(self.first_at, self.id)


@dataclass(frozen=True, slots=True)
class Replay:
    """One time that a letter was published again. code, reason: why it failed, if it did."""

    id: UUID
    batch_id: UUID
    event_id: UUID
    replay_id: str
    replayed_by: str
    why: str
    edited: bool
    outcome: ReplayOutcome
    code: str
    reason: str
    claimed_at: datetime
    published_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A letter as it was when it was looked at. event_id, customer_id: of the event as its consumer would take it."""

    letter: Letter
    event_id: UUID
    customer_id: UUID


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides whether a letter may be published again.

    taken: its consumer has the event in its inbox. unfinished: what the consumer committed for it is not all published.
    outcome_unknown: an action that the event led to may have happened. held_until: another run is about to publish it.
    in_flight_since: when it was published again, if that has no outcome yet. purged: its body is empty.
    """

    taken: bool
    unfinished: bool
    outcome_unknown: bool
    has_customer: bool
    held_until: datetime | None
    in_flight_since: datetime | None
    purged: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a replay: who, why, and how. replay_id: asks consumers to act again. edited: instead of the body."""

    batch_id: UUID
    by: str
    why: str
    replay_id: str = ""
    edited: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A letter that is this run's to publish. id: of the replay."""

    id: UUID
    letter_id: UUID
    consumer: str
    attributes: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of a run's letters so far. waiting: published, and nothing known yet."""

    waiting: int = 0
    processed: int = 0
    failed: int = 0


class DeadLetterDesk(Protocol):
    """Reads and writes as `upstream_operator`, which sees every customer. Blocks.

    Every method raises TransientError when the database is away or busy; nothing was changed then.
    """

    def now(self) -> datetime:
        """Return the database's time, by which letters and leases go."""
        ...

    def causes(self, wanted: Wanted) -> Sequence[Cause]:
        """Return the wanted letters by what they failed of, the most frequent first; at most 100 causes."""
        ...

    def letters(
        self, wanted: Wanted, *, limit: int, after: Place | None = None, oldest_first: bool = False
    ) -> Sequence[Letter]:
        """Return a page of the wanted letters by their first failure. after: where the page before ended."""
        ...

    def beginning_with(self, beginning: str) -> Sequence[UUID]:
        """Return the ids of the letters whose id begins so, at most ten."""
        ...

    def body(self, letter_id: UUID) -> bytes:
        """Return a letter's original bytes. They hold patient data.

        Raises:
            PoisonError: there is no such letter (`not_found`).
        """
        ...

    def replays(self, letter_id: UUID) -> Sequence[Replay]:
        """Return a letter's replays, oldest first, with the outcomes that are known by now."""
        ...

    def facts(self, asked: Sequence[Asked]) -> Mapping[UUID, Facts]:
        """Return what decides over each letter, by its id."""
        ...

    def claim(self, asked: Sequence[Asked], run: Run) -> Sequence[Claimed]:
        """Own those letters that are still as they were and may be published, for `LEASE_S` seconds.

        A letter that another run claimed, replayed, discarded or saw fail since is left out.
        """
        ...

    def mark_published(self, claimed: Sequence[Claimed]) -> None:
        """Note that the broker has these; one that has failed again already stays open."""
        ...

    def settle(self, batch_id: UUID | None = None) -> Tally:
        """Note which replays their consumers have taken, of one run or of all, and return the run's tally."""
        ...

    def discard(self, letter_ids: Sequence[UUID], *, by: str, why: str) -> Sequence[UUID]:
        """Put open letters aside; return which. One that a run is about to publish is left."""
        ...

    def purgeable(self, before: datetime) -> int:
        """Return how many letters were discarded, or replayed and taken, before a time, and still have a body."""
        ...

    def purge(self, before: datetime, *, by: str, why: str) -> int:
        """Empty some hundreds of these, with what was published instead of them; return how many: 0 once all are."""
        ...
