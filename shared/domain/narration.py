"""What a record says, as the domain event that rules read. Pure.

An event's id follows from what the record says, not from the delivery that carried it: the same advice sent twice under
two delivery ids is one event, and a claim corrected on the day it was submitted is another one (docs/adr/0009). Its
data holds facts by the names of `schemas/rules/facts.json`, and no patient.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import assert_never
from uuid import UUID

from shared.domain.claims import (
    Acknowledgement,
    Adjustment,
    Authorization,
    AuthorizationRequest,
    ClaimPayment,
    ClaimStatus,
    FetchTask,
    Finding,
    PaymentStatus,
    Record,
    RemittanceSummary,
    ServiceLine,
    SubmittedClaim,
)
from shared.domain.events import Event, EventType
from shared.domain.ids import authorization_id, claim_id, derive, payment_id
from shared.domain.narration_facts import Facts, Told, digest, written
from shared.domain.reasons import denials, is_priced, payer_rank
from shared.domain.statement_narration import tell_statement

PAYMENT_EVENTS: Mapping[PaymentStatus, EventType] = {
    PaymentStatus.PAID: "claim.paid",
    PaymentStatus.PARTIALLY_PAID: "claim.paid",
    PaymentStatus.DENIED: "claim.denied",
    PaymentStatus.REVERSED: "claim.reversed",
    PaymentStatus.NOT_DECIDED: "claim.status_changed",
}


def narrate(record: Record, *, cause: Event, now: datetime) -> Event | None:
    """Return the domain event for a record; None for the end of an advice, which is stored and decides nothing.

    cause: the event whose payload held the record. Its data carries the record's findings, which are no facts.
    """
    told = _tell(cause.customer_id, record)
    if told is None:
        return None
    event_type, subject, identity, facts = told
    return Event(
        id=derive(identity, event_type),
        type=event_type,
        source="/functions/process_webhook",
        subject=subject,
        time=now,
        customer_id=cause.customer_id,
        data=written({**facts, "findings": [_finding(found) for found in record.findings]}),
        trace_parent=cause.trace_parent,
        parent_id=cause.id,
        extensions={"connectionid": cause.extensions["connectionid"]}
        if "connectionid" in cause.extensions
        else {},
    )


def _tell(customer: UUID, record: Record) -> Told | None:
    match record:
        case ClaimPayment():
            facts = _payment(customer, record)
            event_type = PAYMENT_EVENTS[record.status]
            return event_type, _claim(customer, record), payment_id(customer, record), facts
        case SubmittedClaim():
            facts = _submission(customer, record)
            identity = derive(claim_id(customer, record.claim_number), record.submitted_on, digest(facts))
            return "claim.submitted", _claim(customer, record), identity, facts
        case RemittanceSummary():
            return None
        case Authorization():
            key = authorization_id(customer, record)
            facts = _authorization(record, key)
            identity = derive(key, record.stated_on, digest(facts))
            return "authorization.decided", f"authorizations/{key}", identity, facts
        case AuthorizationRequest() | ClaimStatus() | Acknowledgement() | FetchTask():
            return tell_statement(customer, record)
        case _:
            assert_never(record)


def _claim(customer: UUID, record: ClaimPayment | SubmittedClaim) -> str:
    return f"claims/{claim_id(customer, record.claim_number)}"


def _payment(customer: UUID, payment: ClaimPayment) -> Facts:
    payer = payment.remittance.payer
    claim: dict[str, object] = {
        "id": claim_id(customer, payment.claim_number),
        "number": payment.claim_number,
        "payer_id": payer.key,
        "payer_name": payer.name,
        "provider_id": payment.provider.id,
        "charge_cents": payment.charge_cents,
        "paid_cents": payment.paid_cents,
        "patient_cents": payment.patient_cents,
        "allowed_cents": payment.allowed_cents,
        "status": payment.status,
        "status_code": payment.status_code,
        "service_on": payment.service_on,
        "decided_on": payment.decided_on,
        "priced": is_priced(payment),
        "payer_rank": payer_rank(payment),
        "diagnoses": payment.diagnoses,
        **_lines(payment.lines),
    }
    if payment.status is PaymentStatus.NOT_DECIDED:
        return {"claim": claim, "status": _standing(payment)}
    return {"claim": claim, "denial": _denial(payment)}


def _standing(payment: ClaimPayment) -> Facts:
    return {
        "level": "claim",
        "outcome": payment.status,
        "categories": [],
        "codes": [],
        "payer_claim_number": payment.payer_claim_number or None,
        "stated_on": payment.decided_on,
        "payer_id": payment.remittance.payer.key,
    }


def _denial(payment: ClaimPayment) -> Facts:
    """Return the reasons that refuse a service, and what they come to."""
    reasons = denials(payment.reasons)
    remarks = [*payment.remarks, *(remark for line in payment.lines for remark in line.remarks)]
    return {
        "carc": reasons[0].carc if reasons else None,
        "group": reasons[0].group if reasons else None,
        "carcs": list(dict.fromkeys(a.carc for a in reasons)),
        "amount_cents": _denied_cents(payment, reasons),
        "remarks": list(dict.fromkeys(remarks)),
    }


def _denied_cents(payment: ClaimPayment, reasons: Sequence[Adjustment]) -> int | None:
    """Return what was denied: the sum of the reasons, or the whole charge of a denial that states no amount."""
    amount_cents = sum(a.amount_cents for a in reasons)
    if payment.status is PaymentStatus.DENIED:
        return amount_cents or payment.charge_cents
    return amount_cents if reasons else None


def _submission(customer: UUID, claim: SubmittedClaim) -> Facts:
    return {
        "claim": {
            "id": claim_id(customer, claim.claim_number),
            "number": claim.claim_number,
            "payer_id": claim.payer.key,
            "payer_name": claim.payer.name,
            "provider_id": claim.provider.id,
            "charge_cents": claim.charge_cents,
            "status": "submitted",
            "use": claim.use,
            "frequency": claim.frequency,
            # Left out of most: it would give the claims submitted before there was such a thing another id.
            **({"payer_rank": claim.payer_rank} if claim.payer_rank > 1 else {}),
            "submitted_on": claim.submitted_on,
            "authorization_number": claim.authorization_number or None,
            "service_on": claim.service_on,
            "diagnoses": claim.diagnoses,
            **_lines(claim.lines),
        }
    }


def _lines(lines: tuple[ServiceLine, ...]) -> Facts:
    return {
        "procedures": list(dict.fromkeys(line.procedure for line in lines)),
        "modifiers": sorted({modifier for line in lines for modifier in line.modifiers}),
        "lines": [
            {
                "procedure": line.procedure,
                "modifiers": line.modifiers,
                "charge_cents": line.charge_cents,
                "paid_cents": line.paid_cents,
                "allowed_cents": line.allowed_cents,
                "units": line.units,
                "service_on": line.service_on,
            }
            for line in lines
        ],
    }


def _authorization(authorization: Authorization, key: UUID) -> Facts:
    return {
        "authorization": {
            "id": key,
            "number": authorization.number or None,
            "trace_number": authorization.trace_number or None,
            "payer_id": authorization.payer.key,
            "payer_name": authorization.payer.name,
            "procedure": authorization.procedure,
            "status": authorization.status,
            "effective_on": authorization.effective_on,
            "expires_on": authorization.expires_on,
            "units_authorized": authorization.units_authorized,
            "units_used": authorization.units_used,
            "units_left": _units_left(authorization),
        }
    }


def _units_left(authorization: Authorization) -> int | None:
    """Return what is left of the units; None where the authorization counts none."""
    if authorization.units_authorized is None:
        return None
    return authorization.units_authorized - (authorization.units_used or 0)


def _finding(found: Finding) -> Facts:
    return {"code": found.code, "severity": found.severity, "place": found.place, "detail": found.detail}
