"""Writes claims and authorizations in our own JSON. Pure.

Source: `schemas/webhooks/`.
"""

import json
from collections.abc import Sequence

from local.sample_month.values import Authorization, Claim, ClaimLine
from local.sample_month.world import Payer


def write_claims(claims: Sequence[Claim]) -> bytes:
    """Return a batch of `claim.submitted`."""
    return _written({"events": [_claim(claim) for claim in claims]})


def write_authorization(authorization: Authorization) -> bytes:
    """Return an `authorization.stated`."""
    return _written(
        {
            "type": "authorization.stated",
            "number": authorization.number,
            "payer": _payer(authorization.payer),
            "patient": _patient(authorization.patient),
            "procedure": authorization.procedure,
            "status": "active",
            "effective_on": authorization.effective_on.isoformat(),
            "expires_on": authorization.expires_on.isoformat(),
            "units_authorized": authorization.units_authorized,
            "units_used": authorization.units_used,
            "stated_on": authorization.stated_on.isoformat(),
        }
    )


def _claim(claim: Claim) -> dict[str, object]:
    event: dict[str, object] = {
        "type": "claim.submitted",
        "claim_number": claim.number,
        "payer": _payer(claim.payer),
        "provider": {"name": claim.practice.name, "id": claim.practice.npi},
        "patient": _patient(claim.patient),
        "charge": _dollars(claim.charge_cents),
        "submitted_on": claim.submitted_on.isoformat(),
        "service_on": claim.service_on.isoformat(),
        "diagnoses": list(claim.diagnoses),
        "lines": [_line(line) for line in claim.lines],
    }
    if claim.authorization_number:
        event["authorization_number"] = claim.authorization_number
    return event


def _line(line: ClaimLine) -> dict[str, object]:
    return {
        "procedure": line.procedure,
        "charge": _dollars(line.charge_cents),
        "modifiers": list(line.modifiers),
        "units": str(line.units),
    }


def _payer(payer: Payer) -> dict[str, str]:
    return {"name": payer.name, "id": payer.id}


def _patient(number: int) -> dict[str, str]:
    return {"name": f"SAMPLE TESTPATIENT{number:04d}", "member_id": f"TEST{number:06d}"}


def _dollars(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _written(value: dict[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
