"""Findings as rows."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import date
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from shared.domain.findings import Finding

_NAMES = ", ".join(f.name for f in fields(Finding))

OPEN = text(f"""
SELECT {_NAMES} FROM findings WHERE customer_id = CAST(:customer_id AS uuid) AND state = 'open'
ORDER BY id FOR UPDATE
""")  # noqa: S608 - the names of a dataclass

KEEP = text("""
INSERT INTO findings AS f (
    id, customer_id, kind, payer_key, subject, state, first_seen_on, last_seen_on, closed_on, closed_why, baseline,
    current, low, high, n, p, q, at_stake_cents, told, detail, run_id)
SELECT id, CAST(:customer_id AS uuid), kind, payer_key, subject, state, first_seen_on, last_seen_on, closed_on,
    closed_why, baseline, current, low, high, n, p, q, at_stake_cents, told, detail, CAST(:run_id AS uuid)
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    id uuid, kind text, payer_key text, subject text, state text, first_seen_on date, last_seen_on date,
    closed_on date, closed_why text, baseline double precision, current double precision, low double precision,
    high double precision, n bigint, p double precision, q double precision, at_stake_cents bigint,
    told double precision, detail jsonb)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
    state = EXCLUDED.state, last_seen_on = EXCLUDED.last_seen_on, closed_on = EXCLUDED.closed_on,
    closed_why = EXCLUDED.closed_why, current = EXCLUDED.current, low = EXCLUDED.low, high = EXCLUDED.high,
    n = EXCLUDED.n, p = EXCLUDED.p, q = EXCLUDED.q, at_stake_cents = EXCLUDED.at_stake_cents, told = EXCLUDED.told,
    detail = EXCLUDED.detail, run_id = EXCLUDED.run_id, updated_at = now()
""")

PAYERS = text("""
SELECT DISTINCT payer_key FROM claim_daily_stats
WHERE customer_id = CAST(:customer_id AS uuid) AND day > CAST(:since AS date) AND decided > 0
""")


def open_findings(connection: Connection, customer_id: UUID) -> list[Finding]:
    """Return the open findings, locked until the commit."""
    rows = connection.execute(OPEN, {"customer_id": str(customer_id)}).mappings()
    return [Finding(**row) for row in rows]


def keep(connection: Connection, customer_id: UUID, findings: Sequence[Finding], *, run_id: UUID) -> None:
    """Store findings, new or as they now are."""
    if findings:
        rows = orjson.dumps([asdict(finding) for finding in findings]).decode()
        connection.execute(KEEP, {"customer_id": str(customer_id), "run_id": str(run_id), "rows": rows})


def payers_since(connection: Connection, customer_id: UUID, since: date) -> frozenset[str]:
    """Return the payers that decided any claim of the customer since a day."""
    asked = {"customer_id": str(customer_id), "since": since.isoformat()}
    return frozenset(connection.execute(PAYERS, asked).scalars())
