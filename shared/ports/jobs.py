"""Runs of scheduled jobs, and what a customer's share of one reads and writes.

Like the record they are kept in, these ports have no in-memory fake (docs/adr/0003).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from shared.domain.authorizations import Held, Transition
from shared.domain.detection import Series
from shared.domain.drift import DailyRatios
from shared.domain.findings import Finding, NetworkChange
from shared.domain.jobs import Run, Stage
from shared.domain.slowdown import LifeRow, WeekOfClaims
from shared.ports.ledger import ReleasedAction

Tally = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run as it stands. pending: customers whose share of the present stage is not done. new: opened just now."""

    run: Run
    stage: Stage
    pending: tuple[UUID, ...]
    tasks: int
    new: bool
    payload: Mapping[str, object] = field(default_factory=dict)


class JobRuns(Protocol):
    """Opens runs, as a role that lists customers and reads nothing of theirs. Blocks."""

    def open(self, run: Run) -> OpenRun:
        """Return the run of this slot, opened if nobody did before. One of several at once opens it.

        Every customer has a share, but of `release_actions`: there those with actions that are due, or if there is
        none, nobody, so that the run ends as any other does.

        Raises:
            TransientError: the database is away or busy; fire again.
        """
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """What is left of a run after a share of it. customers: everybody's, for a next stage."""

    run: Run
    stage: Stage
    left: int
    customers: tuple[UUID, ...]
    counts: Tally


@dataclass(frozen=True, slots=True)
class Signal:
    """A denial reason that rose at a customer. reporter: tells customers apart, and names none."""

    reporter: UUID
    payer_key: str
    carc: str


@dataclass(frozen=True, slots=True)
class ReauthRequest:
    """A request for renewal that a portal took. authorization: as the rules see it."""

    action_id: UUID
    authorization: Mapping[str, object]
    requested_on: date


class JobWork(Protocol):
    """One share's reads and writes, in its customer's transaction.

    All methods raise TransientError when the database is away or busy; nothing was changed then.
    """

    def time_zone(self) -> str:
        """Return the customer's IANA time zone."""
        ...

    def advance(self, run: Run) -> bool:
        """Note that the customer's share of the run's slot is done; False where one of a later slot was.

        Of two at once, one waits here for the other's commit.
        """
        ...

    def finish_task(
        self, task_id: UUID, run_id: UUID, stage: Stage, *, counts: Tally, attempt: int, duration_ms: float
    ) -> None:
        """Note that the share is done."""
        ...

    def count_task(self, run_id: UUID, stage: Stage, *, counts: Tally, signals: Sequence[Signal]) -> Progress:
        """Count one share more as done. As nobody, and once a share: the caller's inbox row sees to that.

        Raises:
            PoisonError: no such run, or it is past this stage (`invalid_event`).
        """
        ...

    def network_changes(self, *, since: datetime, least: int) -> Sequence[NetworkChange]:
        """Return the reasons that rose at `least` customers or more. As nobody."""
        ...

    def enter_stage(
        self, run_id: UUID, stage: Stage, *, tasks: int, network: Sequence[Mapping[str, object]]
    ) -> None:
        """Begin the run's next stage. As nobody. network: what its shares are told."""
        ...

    def finish_run(self, run_id: UUID, *, at: datetime) -> None:
        """Note that every share is done. As nobody."""
        ...

    def build_baselines(self, on: date, *, full: bool = False, until: date | None = None) -> Tally:
        """Bring baselines up to the 180 days that end with `on`; cost follows what changed since the last build.

        full: look at everything. until: as if nothing later were known, into the past only.
        """
        ...

    def denial_series(self, on: date) -> tuple[list[Series], int]:
        """Return the series that may have risen, and how many were looked at."""
        ...

    def affected(self, *, payer_key: str, on: date) -> Mapping[str, list[str]]:
        """Return the payer's procedures and denial reasons that carry most of the last fortnight's denials."""
        ...

    def weeks_of_claims(self, on: date) -> Sequence[WeekOfClaims]:
        """Return each payer's claims by week of submission, the newest first, with the median days to a decision."""
        ...

    def life_table(self, *, payer_key: str, on: date) -> Sequence[LifeRow]:
        """Return a payer's days to decision, by week of submission, of claims decided and not."""
        ...

    def daily_ratios(self, on: date) -> Sequence[DailyRatios]:
        """Return what payers pay of what their fee schedules say, by procedure: then and now."""
        ...

    def open_findings(self) -> Sequence[Finding]:
        """Return the customer's open findings, locked until the commit."""
        ...

    def current_rates(self, known: Sequence[Finding], on: date) -> Mapping[UUID, tuple[float, int]]:
        """Return (rate, n) of the last fortnight for each finding about denials."""
        ...

    def keep_findings(self, changed: Sequence[Finding], *, run_id: UUID) -> None:
        """Store findings, new or as they now are."""
        ...

    def payers_since(self, since: date) -> frozenset[str]:
        """Return the payers that decided any claim of the customer since a day."""
        ...

    def held_authorizations(self, *, today: date, horizon: date) -> Sequence[Held]:
        """Return the authorizations that may change state: those with a last day, or units, to run out by then."""
        ...

    def lead_times(self) -> Mapping[tuple[str, str], int]:
        """Return the customer's own lead times by payer and procedure (empty: all of the payer's)."""
        ...

    def move_authorizations(self, moves: Sequence[Transition], *, run_id: UUID) -> None:
        """Store new states, with their history."""
        ...

    def release_actions(
        self, *, now: datetime, stale_before: datetime, most: int
    ) -> Sequence[ReleasedAction]:
        """Return actions that are due and parked, or untouched since then; a message for each must follow.

        The oldest first. None that a person switched off.
        """
        ...

    def reauth_requests(self) -> Sequence[ReauthRequest]:
        """Return requests for renewal that a portal took and no later authorization answers."""
        ...
