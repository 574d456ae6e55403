"""`CaseFiles` in PostgreSQL."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping, text

from shared.adapters.postgres.engine import database_errors
from shared.adapters.postgres.record import tenant
from shared.adapters.postgres.same_patient import same_patient
from shared.domain.cases import AuthorizationCase, ClaimCase, Service, Treatment
from shared.domain.claims import Adjustment, Patient

CLAIM = text("""
SELECT c.id, u.name AS practice, c.claim_number, c.payer_key, c.payer_name, c.payer_claim_number, c.provider_id,
    c.patient, c.status, c.charge_cents, c.paid_cents, c.patient_cents, c.authorization_number, c.diagnoses,
    c.submitted_on, c.service_on, c.decided_on, c.procedures, p.id AS payment_id, p.payer_key AS paid_by,
    p.lines,
    coalesce((SELECT x.reference FROM actions x
        WHERE x.customer_id = c.customer_id AND x.subject = 'claims/' || c.id AND x.type = 'submit_appeal'
            AND x.state = 'settled'
        ORDER BY x.ended_at DESC NULLS LAST LIMIT 1),
        (SELECT p.reference FROM appeals p WHERE p.customer_id = c.customer_id AND p.claim_id = c.id
        ORDER BY p.submitted_on DESC LIMIT 1), '') AS reference
FROM claims c JOIN customers u ON u.id = c.customer_id
LEFT JOIN LATERAL (
    SELECT id, lines, payer_key FROM claim_payments WHERE claim_id = c.id AND status <> 'not_decided'
    ORDER BY (created_at, position, status) = (c.decided_at, c.decided_position, c.status) DESC NULLS LAST,
        decided_on DESC NULLS LAST, remittance_id DESC, position DESC, id DESC LIMIT 1
) p ON true
WHERE c.id = CAST(:id AS uuid)
""")
ADJUSTMENTS = text("""
SELECT group_code, carc, amount_cents, quantity, line FROM adjustments
WHERE owner_id = CAST(:id AS uuid) ORDER BY ordinal
""")
CONTRACTED = text("""
SELECT DISTINCT ON (procedure) procedure, contracted_cents FROM fee_schedules
WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key IN (:payer_key, :paid_by)
    AND procedure = ANY(CAST(:procedures AS text[])) AND effective_from <= CAST(:on AS date)
ORDER BY procedure, (payer_key = :paid_by) DESC, effective_from DESC
""")
AUTHORIZATION = text("""
SELECT a.id, u.name AS practice, a.number, a.payer_key, a.payer_name, a.patient, a.procedure, a.status,
    a.effective_on, a.expires_on, a.units_authorized, a.units_used,
    coalesce((SELECT x.reference FROM actions x
        WHERE x.customer_id = a.customer_id AND x.subject = 'authorizations/' || a.id
            AND x.type = 'submit_reauth_request' AND x.state = 'settled'
        ORDER BY x.ended_at DESC NULLS LAST LIMIT 1), '') AS reference
FROM authorizations a JOIN customers u ON u.id = a.customer_id WHERE a.id = CAST(:id AS uuid)
""")
TREATMENTS = text(f"""
SELECT c.claim_number, c.service_on, c.procedures, c.diagnoses, c.status, c.provider_id, p.lines
FROM authorizations a
JOIN claims c ON c.customer_id = a.customer_id AND c.payer_key = a.payer_key AND c.procedures @> ARRAY[a.procedure]
LEFT JOIN LATERAL (
    SELECT lines FROM claim_payments WHERE claim_id = c.id
    ORDER BY decided_on DESC NULLS LAST, remittance_id DESC, position DESC, id DESC LIMIT 1
) p ON true
WHERE a.id = CAST(:id AS uuid)
    AND (c.authorization_number = a.number OR {same_patient("c", "a")})
    AND coalesce(c.service_on, '-infinity') >= coalesce(a.effective_on, '-infinity')
ORDER BY c.service_on NULLS FIRST, c.claim_number LIMIT 200
""")  # noqa: S608 - constants


class PostgresCaseFiles:
    """Reads, as the case's customer; changes nothing."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_app`."""
        self._engine = engine

    def claim(self, customer_id: UUID, claim_id: UUID) -> ClaimCase | None:
        """Return a claim as it stands now, or None."""
        with database_errors(), tenant(self._engine, customer_id) as connection:
            row = connection.execute(CLAIM, {"id": str(claim_id)}).mappings().one_or_none()
            if row is None:
                return None
            adjustments = connection.execute(
                ADJUSTMENTS, {"id": None if row["payment_id"] is None else str(row["payment_id"])}
            )
            return _claim(
                row,
                tuple(
                    Adjustment(a.group_code, a.carc, a.amount_cents, a.quantity, a.line) for a in adjustments
                ),
                _contracted(connection, customer_id, row),
            )

    def authorization(self, customer_id: UUID, authorization_id: UUID) -> AuthorizationCase | None:
        """Return an authorization with the treatment under it, or None."""
        with database_errors(), tenant(self._engine, customer_id) as connection:
            row = connection.execute(AUTHORIZATION, {"id": str(authorization_id)}).mappings().one_or_none()
            if row is None:
                return None
            treatments = connection.execute(TREATMENTS, {"id": str(authorization_id)})
            return _authorization(row, list(treatments.mappings()))


def _claim(row: RowMapping, adjustments: tuple[Adjustment, ...], contracted: Mapping[str, int]) -> ClaimCase:
    services = tuple(_service(line, contracted) for line in row["lines"] or ())
    return ClaimCase(
        id=row["id"],
        practice=row["practice"],
        number=row["claim_number"],
        payer_key=row["payer_key"],
        payer_name=row["payer_name"],
        payer_claim_number=row["payer_claim_number"],
        provider_id=row["provider_id"],
        patient=_patient(row["patient"]),
        status=row["status"],
        charge_cents=row["charge_cents"],
        paid_cents=row["paid_cents"],
        patient_cents=row["patient_cents"],
        authorization_number=row["authorization_number"],
        diagnoses=tuple(row["diagnoses"]),
        submitted_on=row["submitted_on"],
        service_on=row["service_on"] or min((s.service_on for s in services if s.service_on), default=None),
        decided_on=row["decided_on"],
        services=services,
        adjustments=adjustments,
        contracted_cents=_worth(services),
        reference=row["reference"],
    )


def _worth(services: tuple[Service, ...]) -> int | None:
    """Return what the contract allows for all lines, as `history_facts` does; None where a line has no fee."""
    fees = [service.contracted_cents for service in services if service.contracted_cents is not None]
    return sum(fees) if services and len(fees) == len(services) else None


def _authorization(row: RowMapping, treatments: list[RowMapping]) -> AuthorizationCase:
    return AuthorizationCase(
        id=row["id"],
        practice=row["practice"],
        number=row["number"],
        payer_key=row["payer_key"],
        payer_name=row["payer_name"],
        patient=_patient(row["patient"]),
        procedure=row["procedure"],
        status=row["status"],
        provider_id=next((t["provider_id"] for t in reversed(treatments) if t["provider_id"]), ""),
        effective_on=row["effective_on"],
        expires_on=row["expires_on"],
        units_authorized=row["units_authorized"],
        units_used=row["units_used"],
        treatments=tuple(_treatment(t, row["procedure"]) for t in treatments),
        reference=row["reference"],
    )


def _treatment(row: RowMapping, procedure: str) -> Treatment:
    lines: Iterable[Mapping[str, Any]] = row["lines"] or ()
    units = sum(_units(str(line.get("units", ""))) for line in lines if line["procedure"] == procedure)
    return Treatment(
        claim_number=row["claim_number"],
        service_on=row["service_on"],
        procedures=tuple(row["procedures"]),
        diagnoses=tuple(row["diagnoses"]),
        units=units or row["procedures"].count(procedure),
        status=row["status"],
    )


def _contracted(connection: Connection, customer_id: UUID, row: RowMapping) -> dict[str, int]:
    on = row["service_on"] or row["decided_on"]
    asked = {
        "customer_id": str(customer_id),
        "payer_key": row["payer_key"],
        "paid_by": row["paid_by"] or row["payer_key"],
        "procedures": list(row["procedures"]),
        "on": None if on is None else on.isoformat(),
    }
    return {found.procedure: found.contracted_cents for found in connection.execute(CONTRACTED, asked)}


def _service(line: Mapping[str, Any], contracted: Mapping[str, int]) -> Service:
    fee, units = contracted.get(line["procedure"]), str(line.get("units", ""))
    return Service(
        procedure=line["procedure"],
        modifiers=tuple(line.get("modifiers", ())),
        units=units,
        service_on=_day(line.get("service_on")),
        charge_cents=line["charge_cents"],
        paid_cents=line.get("paid_cents", 0),
        allowed_cents=line.get("allowed_cents"),
        contracted_cents=None if fee is None else min(line["charge_cents"], fee * _units(units)),
    )


def _patient(stored: Mapping[str, Any]) -> Patient:
    return Patient(stored.get("name", ""), stored.get("member_id", ""), _day(stored.get("born_on")))


def _day(text: object) -> date | None:
    return date.fromisoformat(text) if isinstance(text, str) and text else None


def _units(text: str) -> int:
    """Return the whole units billed; what is not a whole number counts as one."""
    return int(text) if text.isascii() and text.isdigit() and text != "0" else 1
