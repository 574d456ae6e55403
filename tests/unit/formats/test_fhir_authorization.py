"""FHIR answers to requests for authorization: only the review action decides."""

import json
from datetime import date

import pytest

from shared.domain.claims import Authorization, Party, Patient
from tests.unit.formats.advices import FIXTURES, read_all, refused

PAS = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition/extension-"


def answer(code: str | None, **members: object) -> list[Authorization]:
    action = {
        "url": PAS + "reviewAction",
        "extension": [
            {"url": "number", "valueString": "AUTH-1"},
            {"url": PAS + "reviewActionCode", "valueCodeableConcept": {"coding": [{"code": code}]}},
        ],
    }
    item = {"adjudication": [{"extension": [action]}] if code else [{}]}
    resource = {
        "resourceType": "ClaimResponse",
        "id": "x",
        "use": "preauthorization",
        "outcome": "complete",
        "preAuthRef": "PRE-1",
        "created": "2026-02-03",
        "insurer": {"display": "Acme"},
        "item": [item],
        **members,
    }
    return [record for record in read_all(json.dumps(resource).encode()) if isinstance(record, Authorization)]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("A1", "active"),
        ("A2", "active"),
        ("A3", "denied"),
        ("A4", "pended"),
        ("A6", "active"),
        ("C", "denied"),
        ("CT", "pended"),
        ("??", "pended"),
        (None, "pended"),
    ],
)
def test_the_review_action_decides_and_never_the_outcome_or_a_number(code: str | None, status: str) -> None:
    [authorization] = answer(code)
    assert authorization.status == status
    assert authorization.number == ("AUTH-1" if code else "PRE-1")


def test_a_sample_with_a_review_action() -> None:
    name = "davinci-epdx__ClaimResponse-UnsolicitedReferralAuthorizationResponseExample.json"
    assert read_all((FIXTURES / "fhir-claimresponse" / name).read_bytes()) == [
        Authorization(
            number="AUTH0001",
            payer=Party("", "Organization/full"),
            patient=Patient(),
            procedure="3",
            status="active",
            effective_on=date(2005, 5, 2),
            expires_on=date(2005, 6, 2),
            stated_on=date(2005, 5, 2),
            trace_number="111099",
        )
    ]


def test_a_sample_without_one_is_pended_for_each_of_its_services() -> None:
    records = read_all((FIXTURES / "fhir-claimresponse" / "fhir__ClaimResponse-UR3503.json").read_bytes())
    assert [(r.number, r.procedure, r.status) for r in records if isinstance(r, Authorization)] == [
        ("18SS12345", "1101", "pended"),
        ("18SS12345", "2101", "pended"),
    ]


def test_an_explanation_of_benefit_of_an_authorization_is_no_payment() -> None:
    name = "davinci-epdx__ExplanationOfBenefit-PDexPriorAuth1.json"
    [record] = read_all((FIXTURES / "fhir-eob" / name).read_bytes())
    assert isinstance(record, Authorization)
    assert (record.number, record.procedure, record.status) == ("AUTH0001", "BB201", "active")
    assert (record.effective_on, record.expires_on) == (date(2021, 10, 1), date(2021, 10, 31))


def test_a_queued_answer_in_a_bundle_is_pended() -> None:
    [record] = read_all(
        (FIXTURES / "fhir-claimresponse" / "prior-auth__claimresponse-minimal.json").read_bytes()
    )
    assert isinstance(record, Authorization)
    assert (record.number, record.status) == ("ClaimResponse/minimal", "pended")
    assert record.stated_on == date(2019, 4, 1)


@pytest.mark.parametrize(
    ("quantity", "units"),
    [(12, 12), (12.0, 12), (12.5, None), (-1, None), (10**9, None), ("12", None), (None, None)],
)
def test_units_are_whole_and_believable(quantity: object, units: int | None) -> None:
    detail = {
        "url": PAS + "itemAuthorizedDetail",
        "extension": [
            {"url": "productOrServiceCode", "valueCodeableConcept": {"coding": [{"code": "97110"}]}},
            {"url": "quantity", "valueQuantity": {"value": quantity}},
        ],
    }
    [authorization] = answer(None, item=[{"extension": [detail]}])
    assert (authorization.procedure, authorization.units_authorized) == ("97110", units)


def test_an_answer_without_services_is_one_authorization() -> None:
    [authorization] = answer(None, item=[], preAuthPeriod={"start": "2026-01-01", "end": "2026-06-30"})
    assert (authorization.number, authorization.procedure) == ("PRE-1", "")
    assert (authorization.effective_on, authorization.expires_on) == (date(2026, 1, 1), date(2026, 6, 30))


def test_an_element_of_the_wrong_kind_is_named() -> None:
    body = {
        "resourceType": "ClaimResponse",
        "use": "preauthorization",
        "id": "x",
        "preAuthPeriod": {"end": "soon"},
    }
    assert refused(json.dumps(body).encode()).place == "$.preAuthPeriod.end"
