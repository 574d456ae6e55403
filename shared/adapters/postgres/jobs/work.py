"""`JobWork` in PostgreSQL: one transaction's statements, each in the module of what it is about."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection

from shared.adapters.postgres import action_rows
from shared.adapters.postgres.jobs import authorizations, baselines, findings, runs, series
from shared.domain.authorizations import Held, Transition
from shared.domain.detection import Series
from shared.domain.drift import DailyRatios
from shared.domain.findings import Finding, NetworkChange
from shared.domain.jobs import Run, Stage
from shared.domain.slowdown import LifeRow, WeekOfClaims
from shared.ports.jobs import Progress, ReauthRequest, Signal, Tally
from shared.ports.ledger import ReleasedAction


class PostgresJobWork:
    """One share's reads and writes, as its customer."""

    def __init__(self, connection: Connection, customer_id: UUID) -> None:
        """connection: in a transaction that sees this customer's rows."""
        self._connection = connection
        self._customer_id = customer_id

    def time_zone(self) -> str:
        """Return the customer's IANA time zone."""
        return authorizations.time_zone(self._connection, self._customer_id)

    def advance(self, run: Run) -> bool:
        """Note that the share of the run's slot is done; False where one of a later slot was."""
        return runs.advance(self._connection, self._customer_id, run)

    def finish_task(
        self, task_id: UUID, run_id: UUID, stage: Stage, *, counts: Tally, attempt: int, duration_ms: float
    ) -> None:
        """Note that the share is done."""
        runs.finish_task(
            self._connection,
            self._customer_id,
            task_id,
            run_id=run_id,
            stage=stage,
            counts=counts,
            attempt=attempt,
            duration_ms=duration_ms,
        )

    def count_task(self, run_id: UUID, stage: Stage, *, counts: Tally, signals: Sequence[Signal]) -> Progress:
        """Count one share more as done."""
        return runs.count_task(self._connection, run_id, stage, counts=counts, signals=signals)

    def network_changes(self, *, since: datetime, least: int) -> Sequence[NetworkChange]:
        """Return the reasons that rose at `least` customers or more."""
        return runs.network_changes(self._connection, since=since, least=least)

    def enter_stage(
        self, run_id: UUID, stage: Stage, *, tasks: int, network: Sequence[Mapping[str, object]]
    ) -> None:
        """Begin the run's next stage."""
        runs.enter_stage(self._connection, run_id, stage, tasks=tasks, network=network)

    def finish_run(self, run_id: UUID, *, at: datetime) -> None:
        """Note that every share is done."""
        runs.finish_run(self._connection, run_id, at=at)

    def build_baselines(self, on: date, *, full: bool = False, until: date | None = None) -> Tally:
        """Bring baselines up to the 180 days that end with `on`."""
        return baselines.build(self._connection, self._customer_id, on, full=full, until=until)

    def denial_series(self, on: date) -> tuple[list[Series], int]:
        """Return the series that may have risen, and how many were looked at."""
        return series.denial_series(self._connection, self._customer_id, on)

    def affected(self, *, payer_key: str, on: date) -> Mapping[str, list[str]]:
        """Return the codes that carry most of the payer's denials of the last fortnight."""
        return series.affected(self._connection, self._customer_id, payer_key=payer_key, on=on)

    def weeks_of_claims(self, on: date) -> Sequence[WeekOfClaims]:
        """Return each payer's claims by week of submission."""
        return series.weeks_of_claims(self._connection, self._customer_id, on)

    def life_table(self, *, payer_key: str, on: date) -> Sequence[LifeRow]:
        """Return a payer's days to decision by week of submission."""
        return series.life_table(self._connection, self._customer_id, payer_key=payer_key, on=on)

    def daily_ratios(self, on: date) -> Sequence[DailyRatios]:
        """Return what payers pay of what their fee schedules say."""
        return series.daily_ratios(self._connection, self._customer_id, on)

    def open_findings(self) -> Sequence[Finding]:
        """Return the customer's open findings, locked until the commit."""
        return findings.open_findings(self._connection, self._customer_id)

    def current_rates(self, known: Sequence[Finding], on: date) -> Mapping[UUID, tuple[float, int]]:
        """Return (rate, n) of the last fortnight for each finding about denials."""
        return series.current_rates(self._connection, self._customer_id, known, on)

    def keep_findings(self, changed: Sequence[Finding], *, run_id: UUID) -> None:
        """Store findings, new or as they now are."""
        findings.keep(self._connection, self._customer_id, changed, run_id=run_id)

    def payers_since(self, since: date) -> frozenset[str]:
        """Return the payers that decided any claim of the customer since a day."""
        return findings.payers_since(self._connection, self._customer_id, since)

    def held_authorizations(self, *, today: date, horizon: date) -> Sequence[Held]:
        """Return the authorizations that may change state."""
        return authorizations.held(self._connection, self._customer_id, today=today, horizon=horizon)

    def lead_times(self) -> Mapping[tuple[str, str], int]:
        """Return the customer's own lead times by payer and procedure."""
        return authorizations.lead_times(self._connection, self._customer_id)

    def move_authorizations(self, moves: Sequence[Transition], *, run_id: UUID) -> None:
        """Store new states, with their history."""
        authorizations.move(self._connection, self._customer_id, moves, run_id=run_id)

    def release_actions(
        self, *, now: datetime, stale_before: datetime, most: int
    ) -> Sequence[ReleasedAction]:
        """Return actions that are due and parked, or untouched since then."""
        return action_rows.release(
            self._connection, self._customer_id, now=now, most=most, stale_before=stale_before
        )

    def reauth_requests(self) -> Sequence[ReauthRequest]:
        """Return requests for renewal that wait for an answer."""
        return authorizations.reauth_requests(self._connection, self._customer_id)
