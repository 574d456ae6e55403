"""What the record holds after the month: counted by SQL, across customers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from shared.adapters.postgres.engine import database_errors

Row = Mapping[str, Any]

PAYMENTS = """
SELECT c.name AS customer, p.status, count(*) AS n, sum(p.charge_cents)::bigint AS charge_cents,
    sum(p.paid_cents)::bigint AS paid_cents, sum(p.patient_cents)::bigint AS patient_cents
FROM claim_payments p JOIN customers c ON c.id = p.customer_id GROUP BY 1, 2
"""
CLAIMS = """
SELECT c.name AS customer, x.status, count(*) AS n FROM claims x JOIN customers c ON c.id = x.customer_id GROUP BY 1, 2
"""
REMITTANCES = """
SELECT c.name AS customer, count(*) AS n, sum(r.paid_cents)::bigint AS paid_cents
FROM remittances r JOIN customers c ON c.id = r.customer_id GROUP BY 1
"""
EVENTS = """
SELECT c.name AS customer, o.event_type, count(*) AS n
FROM outbox o JOIN customers c ON c.id = o.customer_id GROUP BY 1, 2
"""
RULES = """
SELECT c.name AS customer, e.rule_id, e.decision, count(*) AS n
FROM executions e JOIN customers c ON c.id = e.customer_id WHERE e.rule_id IS NOT NULL GROUP BY 1, 2, 3
"""
DECIDED = "SELECT count(DISTINCT event_id) AS n FROM executions"
ACTIONS = "SELECT type, state, count(*) AS n FROM actions GROUP BY 1, 2 ORDER BY 1, 2"
ALERTS = "SELECT title, severity, count(*) AS n FROM alerts GROUP BY 1, 2 ORDER BY 3 DESC, 1"
NOTIFICATIONS = """
SELECT channel ->> 'kind' AS kind, n.outcome, count(*) AS n
FROM notifications n JOIN customers c ON c.id = n.customer_id
CROSS JOIN LATERAL jsonb_array_elements(c.channels) AS channel
WHERE channel ->> 'id' = n.channel_id GROUP BY 1, 2
"""
PORTALS = """
SELECT a.type, a.payer_key, a.state, a.code, a.reference, t.evidence ->> 'page.png' AS screenshot,
    round(extract(epoch FROM t.ended_at - t.began_at)::numeric, 1) AS seconds
FROM actions a JOIN action_attempts t ON t.action_id = a.id AND t.attempt = a.attempts
WHERE a.type LIKE 'submit%' OR a.type LIKE 'check%' ORDER BY a.ended_at
"""
DEAD_LETTERS = "SELECT code, reason, consumer, attempts, event_id FROM dead_letters ORDER BY code, reason"

HOPS = """
SELECT hop, count(*) AS n, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50_ms,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY ms) AS p95_ms
FROM (
    SELECT 'process_webhook' AS hop, extract(epoch FROM max(o.created_at) - i.event_at) * 1000 AS ms
    FROM inbox i JOIN outbox o ON o.parent_id = i.event_id AND o.consumer = i.consumer
    WHERE i.consumer = 'process_webhook' GROUP BY i.event_id, i.event_at
    UNION ALL
    SELECT 'apply_rules', extract(epoch FROM max(e.created_at) - i.event_at) * 1000
    FROM inbox i JOIN executions e ON e.event_id = i.event_id
    WHERE i.consumer = 'apply_rules' GROUP BY i.event_id, i.event_at
    UNION ALL
    SELECT 'notify', extract(epoch FROM processed_at - event_at) * 1000 FROM inbox WHERE consumer = 'notify'
    UNION ALL
    SELECT 'end_to_end', extract(epoch FROM max(e.created_at) - w.event_at) * 1000
    FROM inbox w JOIN outbox o ON o.parent_id = w.event_id AND o.consumer = w.consumer
    JOIN executions e ON e.event_id = o.id
    WHERE w.consumer = 'process_webhook' GROUP BY w.event_id, w.event_at
) AS hops GROUP BY hop
"""

# The delivery with the fewest events among those of which a customer was told.
SHORT_STORY = """
SELECT o.parent_id FROM outbox o
WHERE o.consumer = 'process_webhook' AND EXISTS (
    SELECT FROM outbox d JOIN outbox n ON n.parent_id = d.id AND n.event_type = 'notification.requested'
    WHERE d.parent_id = o.parent_id)
GROUP BY o.parent_id ORDER BY count(*), o.parent_id LIMIT 1
"""

JOBS = "SELECT job, state, count(*) AS n FROM job_runs GROUP BY 1, 2 ORDER BY 1"
FINDINGS = """
SELECT c.name AS customer, f.kind, f.payer_key, f.subject, f.baseline, f.current, 1 AS n
FROM findings f JOIN customers c ON c.id = f.customer_id ORDER BY 1, 2, 3, 4
"""
AUTHORIZATIONS = """
SELECT c.name AS customer, a.state, count(*) AS n FROM authorizations a JOIN customers c ON c.id = a.customer_id
GROUP BY 1, 2 ORDER BY 1, 2
"""

FACTS: Final = {
    "payments": PAYMENTS,
    "claims": CLAIMS,
    "remittances": REMITTANCES,
    "events": EVENTS,
    "rules": RULES,
    "actions": ACTIONS,
    "alerts": ALERTS,
    "notifications": NOTIFICATIONS,
    "portals": PORTALS,
    "dead_letters": DEAD_LETTERS,
    "jobs": JOBS,
    "findings": FINDINGS,
    "authorizations": AUTHORIZATIONS,
    "hops": HOPS,
}


@dataclass(frozen=True, slots=True)
class Found:
    """Rows by fact. decided: events with a row in the audit trail. story: an event worth tracing."""

    facts: Mapping[str, list[Row]]
    decided: int
    story: UUID | None

    def sum(self, fact: str, column: str = "n", **where: object) -> int:
        """Return the sum of a column over the rows that have these values."""
        rows = self.facts[fact]
        return sum(
            int(row[column] or 0) for row in rows if all(row[name] == value for name, value in where.items())
        )


def find(engine: Engine) -> Found:
    """Return the counts. engine: connects as `upstream_operator`.

    Raises:
        TransientError: the database is away.
    """
    with database_errors(), engine.begin() as connection:
        facts = {name: _rows(connection, statement) for name, statement in FACTS.items()}
        story = connection.execute(text(SHORT_STORY)).scalar_one_or_none()
        return Found(facts, int(connection.execute(text(DECIDED)).scalar_one()), story)


def _rows(connection: Connection, statement: str) -> list[Row]:
    return [dict(row) for row in connection.execute(text(statement)).mappings()]
