"""The record: what is known of claims, what was decided, and the messages in between.

There is no in-memory fake of this port. Its meaning is transactions and row-level security, and the real one runs
wherever the tests do (docs/adr/0003).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from shared.domain.claims import Record as PayerRecord
from shared.domain.commands import Action, Alert, Execution, Hold, Risk
from shared.domain.events import Message, Outgoing, Received
from shared.domain.spending import Controls, Spent
from shared.ports.jobs import JobWork
from shared.ports.ledger import ActionClaim, Appeal, AppealAnswer, Ending, ReleasedAction


@dataclass(frozen=True, slots=True)
class Emitted:
    """Messages that are in the outbox and not yet published, as many as are published at a time.

    ids: theirs, to be marked afterwards. more_of: the event that has more of them there; `unpublished` has those then.
    """

    customer_id: UUID
    ids: tuple[UUID, ...] = ()
    messages: tuple[Message, ...] = ()
    more_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class ClaimCourse:
    """A claim's way so far. payer_key: of its submission. first_status: of its first decision; None while undecided."""

    payer_key: str = ""
    first_status: str | None = None
    submitted_on: date | None = None
    first_paid_on: date | None = None


@dataclass(frozen=True, slots=True)
class PayerDay:
    """How many claims a payer decided on a day, and how many of them it denied."""

    on: date
    decided: int
    denied: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be processed, whole. reason: ids, places and codes, never patient data.

    replay_id: the replay after which it failed; None for a message as its sender published it.
    """

    id: UUID
    customer_id: UUID
    event_id: UUID | None
    connection_id: UUID | None
    consumer: str
    subscription: str
    event_type: str
    code: str
    reason: str
    attempts: int
    trace_id: str
    attributes: Mapping[str, str]
    body: bytes = field(repr=False)
    replay_id: UUID | None = None


class EventTransaction(Protocol):
    """One event's effects in one tenant's transaction: all or none. Every write is "insert, or it is already there".

    Writes are gathered and made before the commit, those of all its events together; what is asked sees the record as
    it was before them. All methods raise TransientError when the database is away or busy; nothing was changed then.
    """

    @property
    def repeat(self) -> bool:
        """Whether this consumer has taken the event before."""
        ...

    @property
    def rules_version(self) -> int:
        """The version of the customer's rule set as of this transaction."""
        ...

    @property
    def jobs(self) -> JobWork:
        """What a scheduled job reads and writes in this transaction, at once."""
        ...

    @property
    def emitted(self) -> Emitted:
        """Whatever of this event's is in the outbox and not published. Known once the transaction has committed.

        Of a repeat: what an earlier run committed and did not publish. Of a new event: what it emitted, without what
        another event had emitted before.
        """
        ...

    def emit(self, outgoing: Sequence[Outgoing]) -> None:
        """Put events into the outbox, unless they are there already."""
        ...

    def store(self, records: Sequence[PayerRecord]) -> None:
        """Add what a payer or provider stated; claims, sums and daily statistics follow. Any order ends alike."""
        ...

    def claim_numbers(self, asked: Iterable[str], noted: Mapping[str, str]) -> Mapping[str, str]:
        """Note the numbers of claims by their servers' names; return those of the names asked for that are known.

        At once: this transaction's later events see what is noted, and other transactions wait for the commit with
        the same names.
        """
        ...

    def rules(self) -> Sequence[Mapping[str, object]]:
        """Return the customer's active rule documents."""
        ...

    def controls(self) -> Controls:
        """Return what stops the customer's rules. It changes with the version of the rule set only."""
        ...

    def spent(self, scope: str, *, since: date) -> Sequence[Spent]:
        """Return what rules did within a scope from a day on, by day, this transaction included.

        From then on until the commit no other transaction is told of this customer's: two cannot both pass a limit.
        """
        ...

    def spend(self, scope: str, *, on: date, amount_cents: int) -> None:
        """Note that a rule acted once more, on this much money, within a scope."""
        ...

    def denials_in_a_row(self, *, payer_key: str, claim_id: UUID) -> int | None:
        """Return how many decided claims of the payer, up to and with this one, were denied without another between.

        None if the claim is not decided. Counts to 50.
        """
        ...

    def claim_course(self, claim_id: UUID) -> ClaimCourse:
        """Return how a claim has gone; nothing of it is known where there is no such claim."""
        ...

    def payer_days(self, *, payer_key: str, since: date) -> Sequence[PayerDay]:
        """Return what the payer decided on each day from `since` on, over all procedures; days without are left out."""
        ...

    def last_payment_on(self, *, payer_key: str) -> date | None:
        """Return the last day on which the payer paid anything."""
        ...

    def denied_cents(self, *, payer_key: str, since: date) -> int:
        """Return what was charged for the claims whose latest decision is a denial of the payer's since a day."""
        ...

    def contracted_cents(self, *, payer_key: str, procedures: Sequence[str], on: date) -> Mapping[str, int]:
        """Return the contracted amount by procedure, as of a date, for those that have one."""
        ...

    def denial_rate(self, *, payer_key: str, procedure: str, since: date) -> float | None:
        """Return how often the payer denies the procedure, from 0 to 1, by the customer's baselines.

        Before their first build, from the claims decided since a day. None where there are none.
        """
        ...

    def open_denial_streak(self, *, payer_key: str) -> int:
        """Return how many of the payer's newest decided claims were denied without another between. Counts to 50."""
        ...

    def decide(
        self,
        executions: Sequence[Execution],
        *,
        actions: Sequence[Action] = (),
        alerts: Sequence[Alert] = (),
        holds: Sequence[Hold] = (),
        risks: Sequence[Risk] = (),
    ) -> None:
        """Write the audit trail of one event and what follows from it."""
        ...

    def end_action(self, claim: ActionClaim, ending: Ending) -> None:
        """Write an action's result, as `shared/ports/ledger.py` says.

        Raises:
            TransientError: the claim was taken over (`claim_lost`). Nothing of this transaction may be kept.
        """
        ...

    def park_action(self, action_id: UUID) -> None:
        """Note that no message is under way for an action: it is released once it is due."""
        ...

    def release_actions(self, *, now: datetime, most: int) -> Sequence[ReleasedAction]:
        """Take the customer's parked actions that are due out of parking; a message for each must be emitted."""
        ...

    def record_appeal(self, appeal: Appeal) -> None:
        """Note that an appeal was submitted, to be followed up."""
        ...

    def answer_appeals(self, answer: AppealAnswer) -> None:
        """Note what a payer answered to the claim's pending appeals."""
        ...

    def keep_dead_letter(self, letter: DeadLetter) -> None:
        """Keep a dead letter. One that is known is open again, with why it failed this time and its own body.

        A late copy of an earlier failure changes nothing: a letter that was replayed or discarded since stays so.
        """
        ...


class EventRecord(Protocol):
    """Opens transactions for events. Blocks: call it from a thread."""

    def event(self, consumer: str, received: Received) -> AbstractContextManager[EventTransaction]:
        """Begin the event's transaction as its customer; leaving without an error commits.

        Raises:
            TransientError: the database is away or busy; nothing was changed.
            PoisonError: the event's customer does not exist (`unknown_customer`).
        """
        ...

    def events(
        self, consumer: str, received: Sequence[Received]
    ) -> AbstractContextManager[Sequence[EventTransaction]]:
        """Begin one transaction for different events of one customer; leaving without an error commits all of them.

        Yields their transactions in the order of `received`. Raises what `event` does.
        """
        ...

    def mark_published(self, emitted: Sequence[Emitted]) -> None:
        """Note that the broker has these messages, so that a redelivery does not publish them again.

        Raises:
            TransientError: the database is away or busy.
        """
        ...

    def unpublished(self, consumer: str, event_id: UUID, *, customer_id: UUID) -> Emitted:
        """Return what a consumer committed for an event and nobody has marked published.

        Raises:
            TransientError: the database is away or busy.
        """
        ...

    def ready(self) -> None:
        """Return if the database answers.

        Raises:
            TransientError: it does not.
        """
        ...


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of an event's story, for `upstream trace`. parent_id: the event that caused it."""

    at: datetime
    what: str
    event_id: UUID
    parent_id: UUID | None
    event_type: str
    outcome: str
    detail: Mapping[str, object] = field(default_factory=dict)


class History(Protocol):
    """What engineers and reports ask of the record, across customers."""

    def story(self, event_id: UUID) -> Iterator[Hop]:
        """Return every hop of its customer in the event's trace, oldest first; empty if nothing is known of it.

        Raises:
            TransientError: the database is away or busy.
        """
        ...
