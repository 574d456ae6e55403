"""Writes a claim as a FHIR R4 `Claim`. Pure."""

import json

from local.sample_month.values import Claim, ClaimLine

_CODES = "http://terminology.hl7.org/CodeSystem"


def write_fhir_claim(claim: Claim) -> bytes:
    """Return the resource, with patient and payer contained."""
    resource = {
        "resourceType": "Claim",
        "id": claim.number.lower(),
        "contained": [_patient(claim), {"resourceType": "Organization", "id": "payer", **_payer(claim)}],
        "identifier": [{"system": "https://ehr.example/claims", "value": claim.number}],
        "status": "active",
        "type": {"coding": [{"system": f"{_CODES}/claim-type", "code": "professional"}]},
        "use": "claim",
        "patient": {"reference": "#patient"},
        "billablePeriod": {"start": claim.service_on.isoformat(), "end": claim.service_on.isoformat()},
        "created": claim.submitted_on.isoformat(),
        "insurer": {"reference": "#payer", "display": claim.payer.name},
        "provider": _provider(claim),
        "priority": {"coding": [{"system": f"{_CODES}/processpriority", "code": "normal"}]},
        "diagnosis": [
            {"sequence": at, "diagnosisCodeableConcept": _coded("http://hl7.org/fhir/sid/icd-10-cm", code)}
            for at, code in enumerate(claim.diagnoses, 1)
        ],
        "insurance": [_insurance(claim)],
        "item": [_item(at, line, claim) for at, line in enumerate(claim.lines, 1)],
        "total": _money(claim.charge_cents),
    }
    return json.dumps(resource, separators=(",", ":")).encode()


def _patient(claim: Claim) -> dict[str, object]:
    return {
        "resourceType": "Patient",
        "id": "patient",
        "identifier": [{"type": {"coding": [{"code": "MB"}]}, "value": f"TEST{claim.patient:06d}"}],
        "name": [{"family": f"TESTPATIENT{claim.patient:04d}", "given": ["SAMPLE"]}],
    }


def _payer(claim: Claim) -> dict[str, object]:
    return {"identifier": [{"value": claim.payer.id}], "name": claim.payer.name}


def _provider(claim: Claim) -> dict[str, object]:
    npi = {"system": "http://hl7.org/fhir/sid/us-npi", "value": claim.practice.npi}
    return {"identifier": npi, "display": claim.practice.name}


def _insurance(claim: Claim) -> dict[str, object]:
    insurance: dict[str, object] = {
        "sequence": 1,
        "focal": True,
        "coverage": {"identifier": {"value": f"TEST{claim.patient:06d}"}},
    }
    if claim.authorization_number:
        insurance["preAuthRef"] = [claim.authorization_number]
    return insurance


def _item(at: int, line: ClaimLine, claim: Claim) -> dict[str, object]:
    item: dict[str, object] = {
        "sequence": at,
        "diagnosisSequence": [1],
        "productOrService": _coded("http://www.ama-assn.org/go/cpt", line.procedure),
        "servicedDate": claim.service_on.isoformat(),
        "quantity": {"value": line.units},
        "unitPrice": _money(line.charge_cents // line.units),
        "net": _money(line.charge_cents),
    }
    if line.modifiers:
        item["modifier"] = [_coded("https://ehr.example/modifiers", code) for code in line.modifiers]
    return item


def _coded(system: str, code: str) -> dict[str, object]:
    return {"coding": [{"system": system, "code": code}]}


def _money(cents: int) -> dict[str, object]:
    """Return dollars as JSON writes them. Whole cents below a trillion dollars survive the float."""
    return {"value": cents / 100, "currency": "USD"}
