"""Authorizations' states, and the requests for renewal that wait for an answer."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from shared.adapters.postgres.same_patient import same_patient
from shared.domain.authorizations import Held, Transition
from shared.ports.jobs import ReauthRequest

TIME_ZONE = text("SELECT time_zone FROM customers WHERE id = CAST(:customer_id AS uuid)")

HELD = text(f"""
SELECT a.id, a.payer_key, a.payer_name, a.number, a.procedure, a.status, a.state, a.effective_on, a.expires_on,
    a.units_authorized, a.units_used, a.stated_on, s.id AS successor
FROM authorizations a LEFT JOIN LATERAL (
    SELECT n.id FROM authorizations n
    WHERE n.customer_id = a.customer_id AND n.id <> a.id AND n.status = 'active'
        AND n.payer_key = a.payer_key AND n.procedure = a.procedure
        AND n.expires_on > a.expires_on AND (a.effective_on IS NULL OR n.effective_on > a.effective_on)
        AND {same_patient("n", "a")}
    ORDER BY n.expires_on DESC, n.id LIMIT 1
) AS s ON true
WHERE a.customer_id = CAST(:customer_id AS uuid) AND a.status = 'active'
    AND (a.state <> 'RENEWED' AND (a.state <> 'EXPIRED' OR s.id IS NOT NULL OR a.expires_on >= CAST(:today AS date)))
    AND (a.state <> 'ACTIVE' OR s.id IS NOT NULL OR a.expires_on <= CAST(:horizon AS date)
        OR (a.units_authorized IS NOT NULL AND coalesce(a.units_used, 0) > 0))
ORDER BY a.id
""")  # noqa: S608 - constants

LEAD_TIMES = text("""
SELECT payer_key, procedure, lead_days FROM authorization_lead_times WHERE customer_id = CAST(:customer_id AS uuid)
""")

MOVE = text("""
WITH moves AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        id uuid, state text, was text, since date, reason text, successor uuid)
), moved AS (
    UPDATE authorizations a SET state = m.state, state_since = m.since, renewed_by = m.successor
    FROM moves m WHERE a.id = m.id AND a.state = m.was
    RETURNING a.id, m.state, m.since, m.reason
)
INSERT INTO authorization_states (authorization_id, ordinal, customer_id, state, since, reason, run_id)
SELECT m.id, (SELECT count(*) FROM authorization_states s WHERE s.authorization_id = m.id) + 1,
    CAST(:customer_id AS uuid), m.state, m.since, m.reason, CAST(:run_id AS uuid)
FROM moved m ORDER BY m.id
""")

REQUESTS = text("""
SELECT DISTINCT ON (x.subject) x.id AS action_id, CAST(x.updated_at AT TIME ZONE c.time_zone AS date) AS requested_on,
    jsonb_build_object(
        'id', a.id, 'number', a.number, 'payer_id', a.payer_key, 'payer_name', a.payer_name,
        'procedure', a.procedure, 'status', a.status, 'state', a.state, 'expires_on', a.expires_on) AS document
FROM actions x
JOIN customers c ON c.id = x.customer_id
JOIN authorizations a ON x.subject = 'authorizations/' || a.id AND a.customer_id = x.customer_id
WHERE x.customer_id = CAST(:customer_id AS uuid) AND x.type = 'submit_reauth_request' AND x.state = 'settled'
    AND a.state IN ('EXPIRING_SOON', 'EXPIRED')
ORDER BY x.subject, x.updated_at DESC, x.id
""")


def time_zone(connection: Connection, customer_id: UUID) -> str:
    """Return the customer's IANA time zone."""
    return str(connection.execute(TIME_ZONE, {"customer_id": str(customer_id)}).scalar_one())


def held(connection: Connection, customer_id: UUID, *, today: date, horizon: date) -> list[Held]:
    """Return the active authorizations that may change state."""
    asked = {
        "customer_id": str(customer_id),
        "today": today.isoformat(),
        "horizon": horizon.isoformat(),
    }
    return [Held(**row) for row in connection.execute(HELD, asked).mappings()]


def lead_times(connection: Connection, customer_id: UUID) -> dict[tuple[str, str], int]:
    """Return the customer's own lead times by payer and procedure."""
    rows = connection.execute(LEAD_TIMES, {"customer_id": str(customer_id)})
    return {(row.payer_key, row.procedure): row.lead_days for row in rows}


def move(connection: Connection, customer_id: UUID, moves: Sequence[Transition], *, run_id: UUID) -> None:
    """Store new states, each with a row of its history."""
    rows = [
        {
            "id": m.held.id,
            "state": m.state,
            "was": m.held.state,
            "since": m.on,
            "reason": m.reason,
            "successor": m.held.successor if m.state == "RENEWED" else None,
        }
        for m in moves
    ]
    if rows:
        asked = {"customer_id": str(customer_id), "run_id": str(run_id), "rows": orjson.dumps(rows).decode()}
        connection.execute(MOVE, asked)


def reauth_requests(connection: Connection, customer_id: UUID) -> list[ReauthRequest]:
    """Return requests for renewal that a portal took and no later authorization answers."""
    rows = connection.execute(REQUESTS, {"customer_id": str(customer_id)}).all()
    return [ReauthRequest(row.action_id, row.document, row.requested_on) for row in rows]
