"""`ActionLedger` in PostgreSQL: one short transaction a call, as the action's customer."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Engine, TextClause

from shared.adapters.postgres import action_rows as rows
from shared.adapters.postgres.action_rows import stamp, swap
from shared.adapters.postgres.engine import database_errors
from shared.adapters.postgres.record import tenant
from shared.ports.ledger import ActionClaim, Ended, Visit, Waits
from shared.runtime.errors import PermanentError, PoisonError, TransientError


class PostgresActionLedger:
    """Rows of `actions` and `action_attempts`."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_app`."""
        self._engine = engine

    def claim(
        self,
        customer_id: UUID,
        action_id: UUID,
        *,
        event_id: UUID,
        token: UUID,
        now: datetime,
        lease_s: float,
    ) -> ActionClaim | Waits | Ended:
        """Own the action until the lease ends, or say why not."""
        with database_errors(), tenant(self._engine, customer_id) as connection:
            if connection.execute(rows.TAKEN, {"event_id": str(event_id)}).scalar_one_or_none():
                return Ended()
            asked = {
                "id": str(action_id),
                "token": str(token),
                "now": stamp(now),
                "until": stamp(now, lease_s),
            }
            row = connection.execute(rows.CLAIM, asked).one_or_none()
            if row is None:
                return _why_not(connection, action_id)
            return rows.claimed(row, token)

    def renew(self, claim: ActionClaim, *, now: datetime, lease_s: float) -> None:
        """Own the action for longer."""
        self._swap(rows.RENEW, claim, now=stamp(now), until=stamp(now, lease_s))

    def begin_visit(self, claim: ActionClaim, *, flow: str, now: datetime) -> int:
        """Note that a visit begins, pin the flow, and return which visit it is."""
        return int(str(self._swap(rows.BEGIN_VISIT, claim, flow=flow, now=stamp(now))))

    def end_visit(self, claim: ActionClaim, visit: Visit) -> None:
        """Note what a visit left."""
        with database_errors(), tenant(self._engine, claim.customer_id) as connection:
            connection.execute(
                rows.END_VISIT,
                {
                    "id": str(claim.action_id),
                    "attempt": visit.attempt,
                    "outcome": visit.outcome,
                    "code": visit.code,
                    "reference": visit.reference,
                    "steps": rows.as_json(visit.steps),
                    "files": rows.as_json(dict(visit.files)),
                    "evidence": rows.as_json(dict(visit.evidence)),
                    "at": stamp(visit.at),
                },
            )

    def mark_committing(
        self,
        claim: ActionClaim,
        *,
        client_reference: str,
        seen_before: Collection[str],
        now: datetime,
        lease_s: float,
    ) -> None:
        """Have it on disk that Submit is about to be pressed."""
        asked = {
            **rows.key(claim),
            **rows.about(claim),
            "reference": client_reference,
            "seen": sorted(seen_before),
            "now": stamp(now),
            "until": stamp(now, lease_s),
        }
        with database_errors(), tenant(self._engine, claim.customer_id) as connection:
            connection.execute(rows.ONE_AT_A_TIME, asked)
            if connection.execute(rows.UNDER_WAY, asked).scalar_one_or_none():
                raise PermanentError("under_way", f"action {claim.action_id}")
            if connection.execute(rows.MARK_COMMITTING, asked).scalar_one_or_none() is None:
                off = connection.execute(rows.IS_OFF, {"id": str(claim.action_id)}).scalar_one_or_none()
                raise TransientError("switched_off" if off else "claim_lost", f"action {claim.action_id}")

    def held_by_others(self, claim: ActionClaim, portal: str, references: Collection[str]) -> frozenset[str]:
        """Return which of a portal's references the customer's other actions were settled under."""
        asked = {
            "id": str(claim.action_id),
            "customer_id": str(claim.customer_id),
            "references": list(references),
            "portal": portal,
            "payer_key": claim.payer_key,
        }
        with database_errors(), tenant(self._engine, claim.customer_id) as connection:
            return frozenset(connection.execute(rows.HELD_BY_OTHERS, asked).scalars())

    def disabled(self, customer_id: UUID, portal: str) -> bool:
        """Return whether the portal waits for a person to allow it again."""
        asked = {"customer_id": str(customer_id), "portal": portal}
        with database_errors(), tenant(self._engine, customer_id) as connection:
            return connection.execute(rows.BREAKER, asked).scalar_one_or_none() is not None

    def postpone(self, claim: ActionClaim, *, until: datetime | None, code: str) -> None:
        """Give the action up until then."""
        self._swap(rows.POSTPONE, claim, until=rows.FOREVER if until is None else stamp(until), code=code)

    def _swap(self, statement: TextClause, claim: ActionClaim, **values: object) -> object:
        with database_errors(), tenant(self._engine, claim.customer_id) as connection:
            return swap(connection, statement, claim, **values)


def _why_not(connection: Connection, action_id: UUID) -> Waits | Ended:
    row = connection.execute(rows.LOOK, {"id": str(action_id)}).one_or_none()
    if row is None:
        raise PoisonError("unknown_action", f"no action {action_id}")
    if row.ended_at is not None or row.state not in ("requested", "claimed", "committing", "unknown"):
        return Ended()
    if row.switched_off:
        return Waits("switched_off", None)
    if row.disabled:
        return Waits("disabled", None)
    if row.due_at is not None and row.lease_expires_at is None:
        return Waits("not_due", row.due_at)
    return Waits("held", row.lease_expires_at)
