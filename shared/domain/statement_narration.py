"""What is said between submission and payment, and of authorizations asked for, as domain events. Pure."""

from typing import assert_never
from uuid import UUID

from shared.domain.claims import Acknowledgement, AuthorizationRequest, ClaimStatus, FetchTask
from shared.domain.ids import acknowledgement_id, claim_id, derive, fetch_id, request_id, status_id
from shared.domain.narration_facts import Facts, Told, digest

Statement = AuthorizationRequest | ClaimStatus | Acknowledgement | FetchTask


def tell_statement(customer: UUID, record: Statement) -> Told:
    """Return the event of a statement: its type, subject, what its id derives from, and its data."""
    match record:
        case AuthorizationRequest():
            key = request_id(customer, record.trace_number)
            facts = _request(record, key)
            identity = derive(key, record.requested_on, digest(facts))
            return "authorization.requested", f"authorization_requests/{key}", identity, facts
        case ClaimStatus():
            return _tell_status(customer, record)
        case Acknowledgement():
            key = acknowledgement_id(customer, record)
            subject = f"submissions/{record.group_number}"
            return "submission.acknowledged", subject, key, _acknowledgement(record)
        case FetchTask():
            key = fetch_id(customer, record)
            facts = {"payload": {"id": key, "kind": record.kind, "reason": record.reason}}
            return "payload.named", f"fetches/{key}", key, facts
        case _:
            assert_never(record)


def _tell_status(customer: UUID, status: ClaimStatus) -> Told:
    key = status_id(customer, status)
    if status.level != "claim":
        return (
            "submission.acknowledged",
            f"submissions/{status.trace_number}",
            key,
            {"submission": _standing(status)},
        )
    facts = {"claim": _standing_claim(customer, status), "status": _standing(status)}
    subject = f"claims/{claim_id(customer, status.claim_number)}"
    if status.kind == "acknowledgement":
        return "claim.acknowledged", subject, key, facts
    return "claim.status_changed", subject, key, facts


def _standing_claim(customer: UUID, status: ClaimStatus) -> Facts:
    return {
        "id": claim_id(customer, status.claim_number),
        "number": status.claim_number,
        "payer_id": status.payer.key,
        "payer_name": status.payer.name,
        "provider_id": status.provider.id,
        "charge_cents": status.charge_cents,
        "service_on": status.service_on,
    }


def _standing(status: ClaimStatus) -> Facts:
    return {
        "level": status.level,
        "outcome": status.standing,
        "categories": list(dict.fromkeys(code.category for code in status.codes)),
        "codes": list(dict.fromkeys(code.status for code in status.codes if code.status)),
        "action": status.action or None,
        "charge_cents": status.charge_cents,
        "paid_cents": status.paid_cents,
        "payer_claim_number": status.payer_claim_number or None,
        "stated_on": status.stated_on,
        "payer_id": status.payer.key,
    }


def _acknowledgement(said: Acknowledgement) -> Facts:
    return {
        "submission": {
            "level": "set" if said.set_number else "interchange" if said.kind == "TA1" else "group",
            "outcome": said.outcome,
            "kind": said.kind,
            "group_number": said.group_number,
            "set_number": said.set_number,
            "claim_numbers": said.claim_numbers,
            "stated_on": said.stated_on,
        }
    }


def _request(request: AuthorizationRequest, key: UUID) -> Facts:
    return {
        "authorization": {
            "id": key,
            "number": request.previous_number or None,
            "trace_number": request.trace_number,
            "payer_id": request.payer.key,
            "payer_name": request.payer.name,
            "provider_id": request.provider.id,
            "kind": request.kind,
            "procedures": list(dict.fromkeys(line.procedure for line in request.lines)),
            "diagnoses": request.diagnoses,
            "requested_on": request.requested_on,
            "service_on": request.service_on,
        }
    }
