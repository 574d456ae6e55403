"""`History` in PostgreSQL: one customer's part of a trace, put together from what each table holds of it.

A sender that posts for several practices may give them all one trace: nothing is looked up by the trace alone. Its
events are those of the customer's inbox rows and what these put into the outbox, so every look-up is by an index.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping, TextClause, text

from shared.adapters.postgres.engine import database_errors
from shared.ports.record import Hop

TRACE = text("""
SELECT trace_id, customer_id FROM inbox WHERE event_id = CAST(:event_id AS uuid)
UNION ALL SELECT trace_id, customer_id FROM outbox WHERE id = CAST(:event_id AS uuid)
UNION ALL SELECT trace_id, customer_id FROM dead_letters WHERE event_id = CAST(:event_id AS uuid)
UNION ALL SELECT trace_id, customer_id FROM executions WHERE event_id = CAST(:event_id AS uuid)
LIMIT 1
""")

TAKEN = text("""
SELECT event_id, event_type, consumer, customer_id, trace_id, event_at, attempt, processed_at FROM inbox
WHERE trace_id = :trace_id AND customer_id = CAST(:customer_id AS uuid)
    AND (:trace_id <> '' OR event_id = CAST(:event_id AS uuid))
ORDER BY processed_at
""")

CAUSED = text("""
SELECT id, parent_id, event_type, consumer, topic, created_at, published_at
FROM outbox
WHERE parent_id = ANY(CAST(:events AS uuid[])) AND trace_id = :trace_id AND customer_id = CAST(:customer_id AS uuid)
ORDER BY created_at, id
""")


@dataclass(frozen=True, slots=True)
class _Known:
    """An event of the trace."""

    type: str
    parent_id: UUID | None


@dataclass(frozen=True, slots=True)
class _Table:
    """What one table holds of events. Its rows are read as (event_id, at, outcome) and details by their names."""

    what: str
    rows: TextClause


TABLES: Final = (
    _Table(
        "decision",
        text("""
SELECT event_id, created_at AS at, decision AS outcome, rule_id, rule_version, result, execution_time_ms, id
FROM executions WHERE event_id = ANY(CAST(:events AS uuid[])) ORDER BY created_at, rule_id
"""),
    ),
    _Table(
        "action",
        text("""
SELECT a.event_id, e.created_at AS at, a.state AS outcome, a.type, a.rule_id, a.subject, a.id
FROM actions a JOIN executions e ON e.id = a.execution_id
WHERE a.event_id = ANY(CAST(:events AS uuid[])) ORDER BY e.created_at, a.rule_id, a.type
"""),
    ),
    _Table(
        "alert",
        text("""
SELECT a.event_id, coalesce(e.created_at, a.created_at) AS at, a.state AS outcome, a.severity, a.title, a.rule_id, a.id
FROM alerts a LEFT JOIN executions e ON e.event_id = a.event_id AND e.rule_id = a.rule_id
WHERE a.event_id = ANY(CAST(:events AS uuid[])) ORDER BY at, a.rule_id
"""),
    ),
    _Table(
        "notification",
        text("""
SELECT id AS event_id, created_at AS at, outcome, channel_id, code
FROM notifications WHERE id = ANY(CAST(:events AS uuid[])) ORDER BY created_at, channel_id
"""),
    ),
    _Table(
        "dead letter",
        text("""
SELECT d.event_id, greatest(d.first_at, i.processed_at) AS at, d.code AS outcome, d.reason, d.consumer, d.attempts,
    d.state, d.id
FROM dead_letters d LEFT JOIN inbox i ON i.event_id = d.event_id AND i.consumer = 'record_dead_letter'
WHERE d.event_id = ANY(CAST(:events AS uuid[])) ORDER BY at
"""),
    ),
)


class PostgresHistory:
    """Tells stories by reading; it changes nothing."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_operator`."""
        self._engine = engine

    def story(self, event_id: UUID) -> Iterator[Hop]:
        """Return every hop of its customer in the event's trace, oldest first; empty if nothing is known of it."""
        with database_errors(), self._engine.begin() as connection:
            hops = list(_hops(connection, event_id))
        return iter(sorted(hops, key=lambda hop: hop.at))


def _hops(connection: Connection, event_id: UUID) -> Iterator[Hop]:
    trace = connection.execute(TRACE, {"event_id": str(event_id)}).one_or_none()
    if trace is None:
        return
    whose = {"trace_id": trace.trace_id, "customer_id": str(trace.customer_id)}
    taken = connection.execute(TAKEN, {**whose, "event_id": str(event_id)}).mappings().all()
    parents = [str(row["event_id"]) for row in taken]
    caused = connection.execute(CAUSED, {**whose, "events": parents}).mappings().all()
    events = {row["event_id"]: _Known(row["event_type"], None) for row in taken}
    events |= {row["id"]: _Known(row["event_type"], row["parent_id"]) for row in caused}
    yield from (_accepted(row) for row in {row["event_id"]: row for row in reversed(taken)}.values()
                if row["event_type"] == "webhook.received")  # fmt: skip
    yield from (_taken(row, events[row["event_id"]]) for row in taken)
    yield from (_caused(row) for row in caused)
    for table in TABLES:
        for row in connection.execute(table.rows, {"events": [str(key) for key in events]}).mappings():
            yield _outcome(table.what, row, events[row["event_id"]])


def _accepted(row: RowMapping) -> Hop:
    """Return the hop that ingress left no row of: the first consumer's row says when the event was made."""
    detail = {"trace_id": row["trace_id"], "customer_id": str(row["customer_id"])}
    return Hop(
        row["event_at"], "receive_webhook", row["event_id"], None, row["event_type"], "accepted", detail
    )


def _taken(row: RowMapping, event: _Known) -> Hop:
    detail = {"attempt": row["attempt"]}
    return Hop(
        row["processed_at"], row["consumer"], row["event_id"], event.parent_id, event.type, "taken", detail
    )


def _caused(row: RowMapping) -> Hop:
    published: datetime | None = row["published_at"]
    detail = {"topic": row["topic"], "by": row["consumer"], "published_at": published}
    outcome = "published" if published else "waiting"
    return Hop(row["created_at"], "event", row["id"], row["parent_id"], row["event_type"], outcome, detail)


def _outcome(what: str, row: RowMapping, event: _Known) -> Hop:
    detail = {name: value for name, value in row.items() if name not in ("event_id", "at", "outcome")}
    return Hop(row["at"], what, row["event_id"], event.parent_id, event.type, row["outcome"], detail)
