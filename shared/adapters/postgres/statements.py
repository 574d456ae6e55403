"""What is said between a claim's submission and its payment, and of authorizations asked for: one statement a table.

Rows are statements and never change, but for a request, which is its latest wording and the latest answer to it. So
any order and repetition ends alike; the views of migration 0006 join statements to claims when they are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, TextClause, text

from shared.adapters.postgres.claim_rows import Stated
from shared.domain.claims import (
    Acknowledgement,
    Authorization,
    AuthorizationRequest,
    ClaimStatus,
    FetchTask,
    Patient,
)
from shared.domain.ids import acknowledgement_id, claim_id, fetch_id, request_id, status_id

Row = dict[str, object]
Statement = ClaimStatus | Acknowledgement | AuthorizationRequest | Authorization | FetchTask

ADD_STATUSES = text("""
INSERT INTO claim_statuses (id, customer_id, event_id, kind, level, standing, claim_id, claim_number, trace_number,
    payer_claim_number, clearinghouse_number, payer_key, provider_id, codes, action, charge_cents, paid_cents,
    stated_on, decided_on, check_number, service_on, lines, findings)
SELECT id, CAST(:customer_id AS uuid), event_id, kind, level, standing, claim_id, claim_number, trace_number,
    payer_claim_number, clearinghouse_number, payer_key, provider_id, codes, action, charge_cents, paid_cents,
    stated_on, decided_on, check_number, service_on, lines, findings
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    id uuid, event_id uuid, kind text, level text, standing text, claim_id uuid, claim_number text, trace_number text,
    payer_claim_number text, clearinghouse_number text, payer_key text, provider_id text, codes jsonb, action text,
    charge_cents bigint, paid_cents bigint, stated_on date, decided_on date, check_number text, service_on date,
    lines jsonb, findings jsonb)
ORDER BY id
ON CONFLICT (id) DO NOTHING
""")

ADD_ACKNOWLEDGEMENTS = text("""
INSERT INTO submission_acknowledgements (id, customer_id, event_id, kind, group_number, set_number, outcome, errors,
    claim_numbers, stated_on, findings)
SELECT id, CAST(:customer_id AS uuid), event_id, kind, group_number, set_number, outcome, errors, claim_numbers,
    stated_on, findings
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    id uuid, event_id uuid, kind text, group_number text, set_number text, outcome text, errors text[],
    claim_numbers text[], stated_on date, findings jsonb)
ORDER BY id
ON CONFLICT (id) DO NOTHING
""")

PLACE_REQUESTS = text("""
INSERT INTO authorization_requests AS a (id, customer_id, trace_number, payer_key, payer_name, provider_id, patient,
    kind, previous_number, procedures, diagnoses, service_on, requested_on, request_event_id)
SELECT id, CAST(:customer_id AS uuid), trace_number, payer_key, payer_name, provider_id, patient, kind,
    previous_number, procedures, diagnoses, service_on, requested_on, event_id
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    id uuid, event_id uuid, trace_number text, payer_key text, payer_name text, provider_id text, patient jsonb,
    kind text, previous_number text, procedures text[], diagnoses text[], service_on date, requested_on date)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
    payer_key = EXCLUDED.payer_key, payer_name = EXCLUDED.payer_name, provider_id = EXCLUDED.provider_id,
    patient = EXCLUDED.patient, kind = EXCLUDED.kind, previous_number = EXCLUDED.previous_number,
    procedures = EXCLUDED.procedures, diagnoses = EXCLUDED.diagnoses, service_on = EXCLUDED.service_on,
    requested_on = EXCLUDED.requested_on, request_event_id = EXCLUDED.request_event_id, updated_at = now()
WHERE a.request_event_id IS NULL
    OR (coalesce(EXCLUDED.requested_on, '-infinity'), EXCLUDED.request_event_id)
     > (coalesce(a.requested_on, '-infinity'), a.request_event_id)
""")

PLACE_ANSWERS = text("""
INSERT INTO authorization_requests AS a (id, customer_id, trace_number, status, number, reason, answered_on,
    answer_event_id)
SELECT id, CAST(:customer_id AS uuid), trace_number, status, number, reason, answered_on, event_id
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    id uuid, event_id uuid, trace_number text, status text, number text, reason text, answered_on date)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
    status = EXCLUDED.status, number = EXCLUDED.number, reason = EXCLUDED.reason,
    answered_on = EXCLUDED.answered_on, answer_event_id = EXCLUDED.answer_event_id, updated_at = now()
WHERE a.answer_event_id IS NULL
    OR (coalesce(EXCLUDED.answered_on, '-infinity'), EXCLUDED.answer_event_id)
     > (coalesce(a.answered_on, '-infinity'), a.answer_event_id)
""")

ADD_FETCHES = text("""
INSERT INTO fetch_tasks (id, customer_id, event_id, kind, reference, reason, stated_on, connection_id)
SELECT id, CAST(:customer_id AS uuid), event_id, kind, reference, reason, stated_on, connection_id
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    id uuid, event_id uuid, kind text, reference text, reason text, stated_on date, connection_id text)
ORDER BY id
ON CONFLICT (id) DO NOTHING
""")


def store(connection: Connection, customer_id: UUID, stated: Sequence[Stated[Statement]]) -> None:
    """Write statements, each with the event whose payload states it. Each kind in an order, so that none deadlocks."""
    tables: dict[TextClause, dict[object, Row]] = {statement: {} for statement in _STATEMENTS}
    for one in sorted(stated, key=lambda one: (_on(one.record), one.event_id)):
        into, row = _row(customer_id, one.event_id, one.record)
        rows = tables[into]
        rows[row["id"]] = _joined(rows.get(row["id"]), row) if into is PLACE_ANSWERS else row
    for into, rows in tables.items():
        if rows:
            written = orjson.dumps(list(rows.values())).decode()
            connection.execute(into, {"customer_id": str(customer_id), "rows": written})


_STATEMENTS: Final = (ADD_STATUSES, ADD_ACKNOWLEDGEMENTS, PLACE_REQUESTS, PLACE_ANSWERS, ADD_FETCHES)


def _on(statement: Statement) -> date:
    on = statement.requested_on if isinstance(statement, AuthorizationRequest) else statement.stated_on
    return on or date.min


def _row(customer_id: UUID, event_id: UUID, statement: Statement) -> tuple[TextClause, Row]:
    match statement:
        case ClaimStatus():
            return ADD_STATUSES, _status(customer_id, event_id, statement)
        case Acknowledgement():
            return ADD_ACKNOWLEDGEMENTS, {
                "id": acknowledgement_id(customer_id, statement),
                "event_id": event_id,
                **_plain(statement),
            }
        case AuthorizationRequest():
            return PLACE_REQUESTS, _request(customer_id, event_id, statement)
        case Authorization():
            return PLACE_ANSWERS, _answer(customer_id, event_id, statement)
        case FetchTask():
            return ADD_FETCHES, {
                "id": fetch_id(customer_id, statement),
                "event_id": event_id,
                **_plain(statement),
            }


def _plain(statement: Acknowledgement | FetchTask) -> Mapping[str, object]:
    return asdict(statement)


def _status(customer_id: UUID, event_id: UUID, status: ClaimStatus) -> Row:
    row = asdict(status)
    del row["payer"], row["provider"], row["patient"]
    return {
        **row,
        "id": status_id(customer_id, status),
        "event_id": event_id,
        "claim_id": claim_id(customer_id, status.claim_number) if status.claim_number else None,
        "payer_key": status.payer.key,
        "provider_id": status.provider.id,
    }


def _request(customer_id: UUID, event_id: UUID, request: AuthorizationRequest) -> Row:
    return {
        "id": request_id(customer_id, request.trace_number),
        "event_id": event_id,
        "trace_number": request.trace_number,
        "payer_key": request.payer.key,
        "payer_name": request.payer.name,
        "provider_id": request.provider.id,
        "patient": _patient(request.patient),
        "kind": request.kind,
        "previous_number": request.previous_number,
        "procedures": list(dict.fromkeys(line.procedure for line in request.lines)),
        "diagnoses": request.diagnoses,
        "service_on": request.service_on,
        "requested_on": request.requested_on,
    }


def _answer(customer_id: UUID, event_id: UUID, answer: Authorization) -> Row:
    return {
        "id": request_id(customer_id, answer.trace_number),
        "event_id": event_id,
        "trace_number": answer.trace_number,
        "status": answer.status,
        "number": answer.number,
        "reason": answer.reason,
        "answered_on": answer.stated_on,
    }


def _joined(first: Row | None, row: Row) -> Row:
    """Return an answer's row with what another of its services says: mixed where the two differ."""
    if first is None or first["event_id"] != row["event_id"]:
        return row
    status = first["status"] if first["status"] == row["status"] else "mixed"
    return {
        **row,
        "status": status,
        "number": first["number"] or row["number"],
        "reason": first["reason"] or row["reason"],
    }


def _patient(patient: Patient) -> Row:
    return asdict(patient)
