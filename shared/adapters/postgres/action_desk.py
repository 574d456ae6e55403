"""`ActionDesk` in PostgreSQL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, Engine, RowMapping, text

from shared.adapters.postgres.action_rows import HELD_BACK, record_appeal, released, stamp
from shared.adapters.postgres.engine import database_errors
from shared.domain.events import Message, Outgoing, trace_id
from shared.ports.action_desk import (
    ActionEntry,
    Breaker,
    Listed,
    Resolved,
    VisitEntry,
    Woken,
)
from shared.ports.record import Emitted
from shared.runtime.envelope import to_attributes
from shared.runtime.errors import PermanentError

CONSUMER: Final = "operator"
MOST_UNPUBLISHED: Final = 1000

ENTRY: Final = f"""
SELECT a.id, a.customer_id, coalesce(c.name, '') AS customer, a.type, a.subject, a.payer_key, a.rule_id, a.state,
    a.code, a.attempts, a.submissions, a.flow, a.client_reference, a.reference,
    CASE WHEN a.due_at <> 'infinity' THEN a.due_at END AS due_at,
    coalesce(a.due_at = 'infinity', false) AS disabled, {HELD_BACK} AS switched_off, a.created_at,
    a.ended_at, a.resolved_by, a.resolved_note
FROM actions a LEFT JOIN customers c ON c.id = a.customer_id
"""  # noqa: S608 - constants
NEEDS_A_PERSON: Final = f"""
(a.state = 'open' OR (a.state = 'unknown' AND a.ended_at IS NOT NULL) OR coalesce(a.due_at = 'infinity', false)
    OR {HELD_BACK})
"""
LIST = text(f"""
{ENTRY}
WHERE (CAST(:customer_id AS uuid) IS NULL OR a.customer_id = CAST(:customer_id AS uuid))
    AND (:payer_key = '' OR a.payer_key = :payer_key) AND (:type = '' OR a.type = :type)
    AND (:state = '' OR a.state = :state) AND (NOT CAST(:waiting AS boolean) OR {NEEDS_A_PERSON})
ORDER BY {NEEDS_A_PERSON} DESC, a.state = 'unknown' DESC, a.created_at DESC, a.id LIMIT CAST(:limit AS integer)
""")
ONE = text(f"{ENTRY} WHERE a.id = CAST(:id AS uuid)")
BEGINNING = text("""
SELECT id FROM actions WHERE CAST(id AS text) LIKE :start || '%' ORDER BY id LIMIT 2
""")
PARAMS = text("SELECT params FROM actions WHERE id = CAST(:id AS uuid)")
VISITS = text("""
SELECT attempt, flow, reconciling, outcome, code, reference, began_at, ended_at, steps, files, evidence
FROM action_attempts WHERE action_id = CAST(:id AS uuid) ORDER BY attempt
""")
RESOLVE = text(f"""
UPDATE actions a SET state = :state, reference = CASE WHEN :reference = '' THEN reference ELSE :reference END,
    ended_at = CAST(:at AS timestamptz), due_at = NULL, parked = false, token = NULL, lease_expires_at = NULL,
    resolved_by = :by, resolved_note = :note, updated_at = CAST(:at AS timestamptz)
WHERE a.id = CAST(:id AS uuid) AND {NEEDS_A_PERSON}
RETURNING a.customer_id
""")  # noqa: S608 - constants
AGAIN = text(f"""
UPDATE actions a SET state = 'requested', ended_at = NULL, due_at = NULL, parked = false, token = NULL,
    lease_expires_at = NULL, attempts = attempts, submissions = 0, committed_at = NULL, releases = releases + 1,
    code = '', resolved_by = :by, resolved_note = :note, updated_at = CAST(:at AS timestamptz)
WHERE a.id = CAST(:id AS uuid) AND {NEEDS_A_PERSON}
RETURNING a.customer_id
""")  # noqa: S608 - constants
BREAKERS = text("""
SELECT b.customer_id, coalesce(c.name, '') AS customer, b.portal, b.state, b.code, b.action_id, b.opened_at,
    b.closed_by, b.closed_why, b.closed_at
FROM portal_breakers b LEFT JOIN customers c ON c.id = b.customer_id
WHERE CAST(:customer_id AS uuid) IS NULL OR b.customer_id = CAST(:customer_id AS uuid)
ORDER BY b.state = 'open' DESC, b.opened_at DESC
""")
CLOSE = text("""
UPDATE portal_breakers SET state = 'closed', closed_by = :by, closed_why = :why, closed_at = CAST(:at AS timestamptz)
WHERE customer_id = CAST(:customer_id AS uuid) AND portal = :portal AND state = 'open' RETURNING 1
""")
FREE = text("""
UPDATE actions SET due_at = CAST(:at AS timestamptz), parked = true, updated_at = CAST(:at AS timestamptz)
WHERE customer_id = CAST(:customer_id AS uuid) AND due_at = 'infinity' AND ended_at IS NULL
    AND (flow LIKE :portal || '/%' OR flow = '')
RETURNING id
""")
WAKE = text(f"""
UPDATE actions SET parked = false, releases = releases + 1, updated_at = CAST(:at AS timestamptz)
WHERE id IN (
    SELECT id FROM actions a
    WHERE ended_at IS NULL AND NOT {HELD_BACK} AND state IN ('requested', 'claimed', 'committing', 'unknown')
        AND (parked OR updated_at < CAST(:stale AS timestamptz))
        AND coalesce(due_at, '-infinity') <= CAST(:at AS timestamptz)
        AND coalesce(lease_expires_at, '-infinity') <= CAST(:at AS timestamptz)
    ORDER BY due_at NULLS FIRST, id LIMIT CAST(:most AS integer) FOR UPDATE SKIP LOCKED)
RETURNING id, customer_id, subject, type, releases,
    (SELECT o.attributes ->> 'traceparent' FROM outbox o WHERE o.id = actions.id) AS trace_parent,
    (SELECT o.attributes ->> 'ce-rulechain' FROM outbox o WHERE o.id = actions.id) AS chain
""")  # noqa: S608 - constants
EMIT = text("""
INSERT INTO outbox (id, customer_id, consumer, parent_id, topic, event_type, trace_id, attributes, data)
VALUES (CAST(:id AS uuid), CAST(:customer_id AS uuid), :consumer, CAST(:parent_id AS uuid), :topic, :event_type,
    :trace_id, CAST(:attributes AS jsonb), :data)
ON CONFLICT (id) DO NOTHING
""")
UNPUBLISHED = text("""
SELECT customer_id, id, topic, attributes, data FROM outbox
WHERE published_at IS NULL AND consumer = :consumer ORDER BY created_at LIMIT CAST(:most AS integer)
""")


class PostgresActionDesk:
    """Each call is one transaction."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_operator`."""
        self._engine = engine

    def list(self, wanted: Listed) -> Sequence[ActionEntry]:
        """Return actions, those that need a person first, then the newest."""
        asked = asdict(wanted) | {"customer_id": _text(wanted.customer_id)}
        with database_errors(), self._engine.begin() as connection:
            return [_entry(row) for row in connection.execute(LIST, asked).mappings()]

    def beginning_with(self, start: str) -> Sequence[UUID]:
        """Return at most two ids that begin so."""
        with database_errors(), self._engine.begin() as connection:
            return list(connection.execute(BEGINNING, {"start": start.lower()}).scalars())

    def show(self, action_id: UUID) -> tuple[ActionEntry, Mapping[str, object], Sequence[VisitEntry]] | None:
        """Return an action, its rule's parameters, and its visits; None if there is none."""
        asked = {"id": str(action_id)}
        with database_errors(), self._engine.begin() as connection:
            row = connection.execute(ONE, asked).mappings().one_or_none()
            if row is None:
                return None
            params = connection.execute(PARAMS, asked).scalar_one()
            visits = [VisitEntry(**visit) for visit in connection.execute(VISITS, asked).mappings()]
            return _entry(row), params, visits

    def resolve(self, action_id: UUID, resolved: Resolved, outgoing: Sequence[Outgoing]) -> None:
        """Write a person's word on an action that needs one, and put what follows into the outbox."""
        asked: dict[str, object] = {
            "id": str(action_id),
            "by": resolved.by,
            "note": resolved.note,
            "at": stamp(resolved.at),
        }
        statement = AGAIN
        if resolved.as_ != "again":
            statement, asked = RESOLVE, asked | {"state": resolved.as_, "reference": resolved.reference}
        with database_errors(), self._engine.begin() as connection:
            customer_id = connection.execute(statement, asked).scalar_one_or_none()
            if customer_id is None:
                raise PermanentError("claim_lost", f"action {action_id} does not need a person")
            for appeal in resolved.appeals:
                record_appeal(connection, customer_id, appeal)
            emit(connection, outgoing)

    def breakers(self, *, customer_id: UUID | None = None) -> Sequence[Breaker]:
        """Return every portal that is or was disabled, the disabled ones first."""
        with database_errors(), self._engine.begin() as connection:
            rows = connection.execute(BREAKERS, {"customer_id": _text(customer_id)}).mappings()
            return [Breaker(**row) for row in rows]

    def enable(self, customer_id: UUID, portal: str, *, by: str, why: str, at: datetime) -> int | None:
        """Let actions use the portal again; return how many were waiting. None if it was not disabled and none was."""
        asked = {"customer_id": str(customer_id), "portal": portal, "at": stamp(at)}
        with database_errors(), self._engine.begin() as connection:
            closed = connection.execute(CLOSE, {**asked, "by": by, "why": why}).scalar_one_or_none()
            freed = len(connection.execute(FREE, asked).all())
            return None if closed is None and not freed else freed

    def wake(
        self, *, at: datetime, stale_before: datetime, most: int, request: Callable[[Woken], Outgoing]
    ) -> int:
        """Put a request into the outbox for each action that is due and parked, or has no message under way."""
        asked = {"at": stamp(at), "stale": stamp(stale_before), "most": most}
        with database_errors(), self._engine.begin() as connection:
            woken = [Woken(row.customer_id, released(row)) for row in connection.execute(WAKE, asked)]
            emit(connection, [request(one) for one in woken])
            return len(woken)

    def unpublished(self) -> Sequence[Emitted]:
        """Return, by customer, what this desk put into the outbox and nobody has published yet."""
        asked = {"consumer": CONSUMER, "most": MOST_UNPUBLISHED}
        with database_errors(), self._engine.begin() as connection:
            rows = connection.execute(UNPUBLISHED, asked).all()
        return [
            Emitted(row.customer_id, (row.id,), (Message(row.topic, bytes(row.data), row.attributes),))
            for row in rows
        ]


def emit(connection: Connection, outgoing: Sequence[Outgoing]) -> None:
    """Put messages into the outbox as an operator's."""
    for one in outgoing:
        event = one.event
        connection.execute(
            EMIT,
            {
                "id": str(event.id),
                "customer_id": str(event.customer_id),
                "consumer": CONSUMER,
                "parent_id": str(event.parent_id or event.id),
                "topic": one.topic,
                "event_type": event.type,
                "trace_id": trace_id(event.trace_parent),
                "attributes": orjson.dumps(to_attributes(event)).decode(),
                "data": event.data,
            },
        )


def _entry(row: RowMapping) -> ActionEntry:
    return ActionEntry(**row)


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
