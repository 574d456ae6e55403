"""What payers and providers state, as rows of the record's tables. Pure: no I/O."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Generic, TypeVar
from uuid import UUID

import orjson

from shared.domain.claims import (
    Adjustment,
    Authorization,
    ClaimPayment,
    Patient,
    PaymentStatus,
    Record,
    Remittance,
    RemittanceSummary,
    ServiceLine,
    SubmittedClaim,
    whole_units,
)
from shared.domain.ids import authorization_id, claim_id, payment_id, remittance_id
from shared.domain.reasons import is_denial, is_priced, payer_rank

Row = dict[str, object]


R_co = TypeVar("R_co", bound=Record, covariant=True)


@dataclass(frozen=True, slots=True)
class Stated(Generic[R_co]):
    """A record, and the event whose payload states it. nth: of the transaction's events; the later learnt later."""

    event_id: UUID
    nth: int
    record: R_co


def advices(
    customer_id: UUID,
    payments: Sequence[Stated[ClaimPayment]],
    summaries: Sequence[Stated[RemittanceSummary]],
) -> dict[str, str]:
    """Return the rows of advices, payments and adjustments, each list as JSON, by the name of its parameter.

    One row an advice and one a payment, as the statement demands: of several that state it the first counts, and an
    advice's end before its beginning.
    """
    payments = _once(customer_id, payments)
    advices: dict[UUID, Row] = {}
    for s in summaries:
        advices.setdefault(remittance_id(customer_id, s.record.remittance), _summary(customer_id, s))
    for p in payments:
        key = remittance_id(customer_id, p.record.remittance)
        if key not in advices:
            advices[key] = _remittance(customer_id, p.event_id, p.record.remittance)
    adjustments = [
        row for p in payments for row in _adjustments(payment_id(customer_id, p.record), p.record.reasons)
    ]
    for s in summaries:
        adjustments += _adjustments(remittance_id(customer_id, s.record.remittance), s.record.adjustments)
    return {
        "remittances": as_json(advices.values()),
        "payments": as_json(_payment(customer_id, p.nth, p.record) for p in payments),
        "adjustments": as_json(adjustments),
        "lines": as_json(
            row for p in payments if not p.record.resource_key for row in _paid_lines(customer_id, p.record)
        ),
    }


def _once(customer_id: UUID, payments: Sequence[Stated[ClaimPayment]]) -> list[Stated[ClaimPayment]]:
    """Return each payment as it was stated first, but as the newest version of its resource that states it."""
    once: dict[UUID, Stated[ClaimPayment]] = {}
    for p in payments:
        first = once.setdefault(payment_id(customer_id, p.record), p)
        if p.record.resource_version > first.record.resource_version:
            newest = replace(first.record, resource_version=p.record.resource_version)
            once[payment_id(customer_id, p.record)] = replace(first, record=newest)
    return [*once.values()]


def submissions(customer_id: UUID, submitted: Sequence[Stated[SubmittedClaim]]) -> str:
    """Return the rows of claims as their providers sent them, one a claim: the latest to the payer asked first."""
    ordered = sorted(
        submitted, key=lambda s: (-s.record.payer_rank, s.record.submitted_on or date.min, s.event_id)
    )
    rows = (_submission(customer_id, s.event_id, s.record) for s in ordered)
    return as_json({row["id"]: row for row in rows}.values())


def authorizations(customer_id: UUID, stated: Sequence[Stated[Authorization]]) -> str:
    """Return the rows of authorizations as payers stated them, one each: the latest."""
    ordered = sorted(stated, key=lambda s: (s.record.stated_on or date.min, s.event_id))
    rows = (_authorization(customer_id, s.event_id, s.record) for s in ordered)
    return as_json({row["id"]: row for row in rows}.values())


def _submission(customer_id: UUID, event_id: UUID, claim: SubmittedClaim) -> Row:
    return {
        "id": claim_id(customer_id, claim.claim_number),
        "claim_number": claim.claim_number,
        "payer_key": claim.payer.key,
        "payer_name": claim.payer.name,
        "payer_id": claim.payer.id,
        "payer_rank": claim.payer_rank,
        "provider_id": claim.provider.id,
        "patient": _patient(claim.patient),
        "charge_cents": claim.charge_cents,
        "procedures": [line.procedure for line in claim.lines],
        "modifiers": _modifiers(claim.lines),
        "diagnoses": claim.diagnoses,
        "authorization_number": claim.authorization_number,
        "frequency": claim.frequency,
        "submitted_on": claim.submitted_on,
        "submission_event_id": event_id,
        "service_on": claim.service_on,
        "original_claim_number": claim.original_claim_number,
        "clearinghouse_number": claim.clearinghouse_number,
        "batch_number": claim.batch_number,
        "set_number": claim.set_number,
    }


def _remittance(customer_id: UUID, event_id: UUID, remittance: Remittance) -> Row:
    return {
        "id": remittance_id(customer_id, remittance),
        "event_id": event_id,
        "payer_key": remittance.payer.key,
        "payer_name": remittance.payer.name,
        "payee_name": remittance.payee.name,
        "trace_number": remittance.trace_number,
        "method": remittance.method,
        "paid_cents": remittance.paid_cents,
        "decided_on": remittance.decided_on,
        "decided_source": remittance.decided_source,
        "claim_count": None,
        "claims_paid_cents": None,
        "findings": [],
    }


def _summary(customer_id: UUID, stated: Stated[RemittanceSummary]) -> Row:
    summary = stated.record
    return {
        **_remittance(customer_id, stated.event_id, summary.remittance),
        "claim_count": summary.claim_count,
        "claims_paid_cents": summary.claims_paid_cents,
        "findings": [asdict(finding) for finding in summary.findings],
    }


def _payment(customer_id: UUID, nth: int, payment: ClaimPayment) -> Row:
    payer = payment.remittance.payer
    return {
        "id": payment_id(customer_id, payment),
        "nth": nth,
        "claim_id": claim_id(customer_id, payment.claim_number),
        "remittance_id": remittance_id(customer_id, payment.remittance),
        "position": payment.position,
        "payer_key": payer.key,
        "payer_name": payer.name,
        "payer_id": payer.id,
        "payer_rank": payer_rank(payment),
        "payer_claim_number": payment.payer_claim_number,
        "provider_id": payment.provider.id,
        "patient": _patient(payment.patient),
        "procedures": [line.procedure for line in payment.lines],
        "modifiers": _modifiers(payment.lines),
        "diagnoses": payment.diagnoses,
        "service_on": payment.service_on,
        "status": payment.status,
        "status_code": payment.status_code,
        "charge_cents": payment.charge_cents,
        "paid_cents": payment.paid_cents,
        "patient_cents": payment.patient_cents,
        "allowed_cents": payment.allowed_cents,
        "decided_on": payment.decided_on,
        "lines": [_line(line) for line in payment.lines],
        "daily_lines": [*_paid_lines(customer_id, payment)] if payment.resource_key else None,
        "resource_key": payment.resource_key,
        "resource_version": payment.resource_version,
        "findings": [asdict(finding) for finding in payment.findings],
    }


def _line(line: ServiceLine) -> Row:
    return {
        "procedure": line.procedure,
        "modifiers": line.modifiers,
        "units": line.units,
        "charge_cents": line.charge_cents,
        "paid_cents": line.paid_cents,
        "allowed_cents": line.allowed_cents,
        "service_on": line.service_on,
        "remarks": line.remarks,
    }


def _paid_lines(customer_id: UUID, payment: ClaimPayment) -> Iterator[Row]:
    """Yield what each paid line adds to the day's sums. A reversal's amounts are negative, and so are its counts."""
    if payment.decided_on is None or not is_priced(payment):
        return
    sign = -1 if payment.status is PaymentStatus.REVERSED else 1
    of_claim = payment.adjustments if len(payment.lines) == 1 else ()
    for line in payment.lines:
        patient_cents = sum(
            a.amount_cents for a in (*line.adjustments, *of_claim) if a.group == "PR" and not is_denial(a)
        )
        if line.paid_cents + patient_cents:
            yield {
                "payment_id": payment_id(customer_id, payment),
                "payer_key": payment.remittance.payer.key,
                "procedure": line.procedure,
                "day": payment.decided_on,
                "service_on": line.service_on or payment.service_on or payment.decided_on,
                "lines": sign,
                "units": sign * whole_units(line.units),
                "received_cents": line.paid_cents + patient_cents,
            }


def _authorization(customer_id: UUID, event_id: UUID, stated: Authorization) -> Row:
    return {
        "id": authorization_id(customer_id, stated),
        "event_id": event_id,
        "payer_key": stated.payer.key,
        "payer_name": stated.payer.name,
        "number": stated.number,
        "patient": _patient(stated.patient),
        "procedure": stated.procedure,
        "status": stated.status,
        "effective_on": stated.effective_on,
        "expires_on": stated.expires_on,
        "units_authorized": stated.units_authorized,
        "units_used": stated.units_used,
        "stated_on": stated.stated_on,
    }


def _adjustments(owner: UUID, adjustments: Iterable[Adjustment]) -> list[Row]:
    return [
        {
            "owner_id": owner,
            "ordinal": ordinal,
            "line": a.line,
            "group_code": a.group,
            "carc": a.carc,
            "amount_cents": a.amount_cents,
            "quantity": a.quantity,
        }
        for ordinal, a in enumerate(adjustments)
    ]


def _patient(patient: Patient) -> Row:
    born_on: date | None = patient.born_on
    return {"name": patient.name, "member_id": patient.member_id, "born_on": born_on}


def _modifiers(lines: Sequence[ServiceLine]) -> list[str]:
    return sorted({modifier for line in lines for modifier in line.modifiers})


def as_json(rows: Iterable[Row]) -> str:
    """Return rows as the JSON that `jsonb_to_recordset` takes."""
    return orjson.dumps(list(rows)).decode()
