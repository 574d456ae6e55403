"""What one server alone knows a thing by: two servers' ids are two claims, two payers, two resources."""

import json
from dataclasses import replace
from uuid import UUID

from shared.domain.claims import (
    Authorization,
    AuthorizationRequest,
    ClaimPayment,
    Delivery,
    Record,
    RemittanceSummary,
    SubmittedClaim,
)
from shared.domain.ids import payment_id
from shared.formats.registry import read
from tests.unit.formats.test_fhir_payment import RESPONSE

CLAIM: dict[str, object] = {
    "resourceType": "Claim",
    "id": "100",
    "status": "active",
    "use": "claim",
    "created": "2026-02-01",
    "insurer": {"reference": "Organization/1"},
    "total": {"value": 100, "currency": "USD"},
}
BARE: dict[str, object] = {
    **RESPONSE,
    "identifier": None,
    "insurer": {"reference": "Organization/1"},
    "request": {"reference": "Claim/100"},
    "meta": {"versionId": "1"},
}


def over(connection_id: str, resource: object) -> list[Record]:
    return list(read(Delivery(json.dumps(resource).encode(), connection_id=connection_id)))


def submitted(connection_id: str, **members: object) -> SubmittedClaim:
    (claim,) = over(connection_id, {**CLAIM, **members})
    assert isinstance(claim, SubmittedClaim)
    return claim


def decided(connection_id: str, **members: object) -> ClaimPayment:
    payment, summary = over(connection_id, {**BARE, **members})
    assert isinstance(payment, ClaimPayment)
    assert isinstance(summary, RemittanceSummary)
    assert summary.remittance == payment.remittance
    return payment


def test_an_id_is_a_claim_of_its_server_alone() -> None:
    assert submitted("aetna").claim_number == "aetna/Claim/100"
    assert submitted("uhc").claim_number == "uhc/Claim/100"
    assert decided("aetna").claim_number == "aetna/Claim/100"
    assert decided("aetna").payer_claim_number == "aetna/ClaimResponse/R1"


def test_a_claim_and_its_answer_both_say_what_its_server_calls_it() -> None:
    claim = submitted("aetna", identifier=[{"value": "PCN-1"}])
    assert claim.claim_name == decided("aetna").claim_name == "aetna/Claim/100"
    assert decided("aetna", request={"identifier": {"value": "PCN-1"}}).claim_name == ""


def test_a_payment_is_the_same_before_and_after_its_claims_number_is_known() -> None:
    payment = decided("aetna")
    assert payment_id(UUID(int=1), payment) == payment_id(UUID(int=1), replace(payment, claim_number="PCN-1"))


def test_an_identifier_is_everybodys() -> None:
    identified = [{"value": "PCN-1"}]
    assert submitted("aetna", identifier=identified).claim_number == "PCN-1"
    assert decided("aetna", request={"identifier": {"value": "PCN-1"}}).claim_number == "PCN-1"


def test_a_payer_that_is_a_bare_reference_is_one_of_its_server() -> None:
    assert submitted("aetna").payer.key == "aetna-organization-1"
    assert decided("uhc").remittance.payer.key == "uhc-organization-1"
    named = {"reference": "Organization/1", "display": "Acme Health Plan"}
    assert {submitted(each, insurer=named).payer.key for each in ("a", "b")} == {"acme-health-plan"}


def test_a_resource_is_one_of_its_server() -> None:
    assert decided("aetna").resource_key != decided("uhc").resource_key
    assert decided("aetna").resource_key == decided("aetna", meta={"versionId": "2"}).resource_key


def test_an_answer_in_a_bundle_with_its_claim_is_about_that_claim() -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"fullUrl": "urn:uuid:1", "resource": CLAIM},
            {"fullUrl": "urn:uuid:2", "resource": {**BARE, "request": {"reference": "urn:uuid:1"}}},
        ],
    }
    claim, payment, _ = over("aetna", bundle)
    assert isinstance(claim, SubmittedClaim)
    assert isinstance(payment, ClaimPayment)
    assert payment.claim_number == claim.claim_number == "aetna/Claim/100"


def test_a_request_and_its_answer_meet_by_the_id_on_one_server() -> None:
    (request,) = over("aetna", {**CLAIM, "use": "preauthorization"})
    (answer,) = over("aetna", {**BARE, "use": "preauthorization"})
    assert isinstance(request, AuthorizationRequest)
    assert isinstance(answer, Authorization)
    assert request.trace_number == answer.trace_number == "aetna/Claim/100"
    assert answer.number == "aetna/ClaimResponse/R1"
