"""FHIR `Claim`, as the samples have it and as real ones stray from it."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from shared.domain.claims import AuthorizationRequest, Party, Patient, ServiceLine, SubmittedClaim
from tests.unit.formats.advices import FIXTURES, read_all, refused

SAMPLES = sorted((FIXTURES / "fhir-claim").iterdir())
CLAIM = {
    "resourceType": "Claim",
    "identifier": [{"value": "PCN-1"}],
    "created": "2026-02-03",
    "total": {"value": 100.0, "currency": "USD"},
}


def read_claim(**members: object) -> SubmittedClaim:
    [claim] = read_all(json.dumps({**CLAIM, **members}).encode())
    assert isinstance(claim, SubmittedClaim)
    return claim


def place(**members: object) -> str:
    return refused(json.dumps({**CLAIM, **members}).encode()).place


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples_agree_with_a_plain_reading(path: Path) -> None:
    [claim] = read_all(path.read_bytes())
    raw = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    number = raw["identifier"][0]["value"] if "identifier" in raw else f"Claim/{raw['id']}"
    if raw["use"] == "preauthorization":
        assert isinstance(claim, AuthorizationRequest)
        assert (claim.trace_number, str(claim.requested_on)) == (number, raw["created"])
        return
    assert isinstance(claim, SubmittedClaim)
    assert claim.claim_number == number
    assert str(claim.submitted_on) == raw["created"]
    assert claim.use == raw["use"]
    assert len(claim.lines) == len(raw.get("item", []))
    nets = [item["net"]["value"] for item in raw.get("item", [])]
    assert [Decimal(line.charge_cents) / 100 for line in claim.lines] == nets
    assert Decimal(claim.charge_cents) / 100 == raw.get("total", {}).get("value", sum(nets))
    codes = [item["productOrService"]["coding"][0]["code"] for item in raw.get("item", [])]
    assert [line.procedure for line in claim.lines] == codes


def test_a_claim_of_a_sample_in_full() -> None:
    [claim] = read_all((FIXTURES / "fhir-claim" / "fhir__Claim-660152.json").read_bytes())
    assert claim == SubmittedClaim(
        claim_number="6612347",
        payer=Party("", "Organization/2"),
        provider=Party("", "Organization/1"),
        patient=Patient(),
        charge_cents=23_540,
        payer_rank=2,
        authorization_number="AB543GTD7567",
        claim_name="Claim/660152",
        submitted_on=date(2014, 8, 16),
        service_on=date(2014, 8, 16),
        diagnoses=("654321",),
        lines=(
            ServiceLine(
                procedure="glasses", charge_cents=23_540, modifiers=("rooh",), service_on=date(2014, 8, 16)
            ),
        ),
    )


def test_a_sample_with_contained_parties() -> None:
    [claim] = read_all((FIXTURES / "fhir-claim" / "fhir__Claim-100152.json").read_bytes())
    assert isinstance(claim, SubmittedClaim)
    assert (claim.payer, claim.provider) == (Party("", "123456"), Party("", "3456"))
    assert claim.patient.name
    assert (claim.claim_number, claim.charge_cents, claim.diagnoses) == ("12347", 13_557, ("123456",))


def test_amounts_are_exact_where_binary_floats_are_not() -> None:
    body = json.dumps({**CLAIM, "total": {"value": "AMOUNT"}}).replace('"AMOUNT"', "0.285").encode()
    [claim] = read_all(body)
    assert isinstance(claim, SubmittedClaim)
    assert claim.charge_cents == 28  # half to even; the float 0.285 is below half


@pytest.mark.parametrize(
    ("item", "cents"),
    [
        ({"net": {"value": 12.5}}, 1_250),
        ({"unitPrice": {"value": 2.5}, "quantity": {"value": 3}}, 750),
        ({"unitPrice": {"value": 10}, "quantity": {"value": 2}, "factor": 0.75}, 1_500),
        ({"unitPrice": {"value": 10}}, 1_000),
        ({}, 0),
    ],
)
def test_an_items_charge_is_its_net_or_what_it_multiplies_to(item: dict[str, object], cents: int) -> None:
    claim = read_claim(item=[item], total=None)
    assert (claim.lines[0].charge_cents, claim.charge_cents) == (cents, cents)


def test_money_of_stu3_is_a_quantity_and_its_service_a_service() -> None:
    amount = {"value": 75, "system": "urn:iso:std:iso:4217", "code": "USD"}
    claim = read_claim(total=amount, item=[{"service": {"coding": [{"code": "99213"}]}, "net": amount}])
    assert (claim.charge_cents, claim.lines[0].procedure, claim.lines[0].charge_cents) == (
        7_500,
        "99213",
        7_500,
    )


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("2026-02-03", date(2026, 2, 3)),
        ("2026-02-03T23:30:00-05:00", date(2026, 2, 3)),
        ("2026-02-03T00:00:00Z", date(2026, 2, 3)),
        ("2026-02", None),
        ("2026", None),
        (None, None),
    ],
)
def test_a_date_keeps_the_day_it_was_written_with(created: str | None, expected: date | None) -> None:
    assert read_claim(created=created).submitted_on == expected


@pytest.mark.parametrize(
    "related",
    [
        {"claim": {"reference": "Claim/1", "identifier": {"value": "77"}}},
        {"claim": {"identifier": {"value": "77"}}},
        {"reference": {"value": "77"}},
    ],
)
def test_a_claim_that_replaces_another_says_which(related: dict[str, object]) -> None:
    prior = {"coding": [{"code": "prior"}]}
    claim = read_claim(
        related=[{"relationship": {"coding": [{"code": "associated"}]}}, {**related, "relationship": prior}]
    )
    assert (claim.frequency, claim.original_claim_number) == ("7", "77")


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_a_claim_that_was_withdrawn_is_a_void(status: str) -> None:
    assert read_claim(status=status).frequency == "8"


def test_a_patient_is_what_is_contained_or_referred_to_with_more_than_an_id() -> None:
    contained = {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [{"value": "W01"}],
        "name": [{"given": ["Jane", "Q"], "family": "Doe"}],
        "birthDate": "1980-01-31",
    }
    claim = read_claim(contained=[contained], patient={"reference": "#p"})
    assert claim.patient == Patient("Jane Q Doe", "W01", date(1980, 1, 31))
    claim = read_claim(
        patient={"reference": "Patient/1", "display": "Jane Doe", "identifier": {"value": "W01"}}
    )
    assert claim.patient == Patient("Jane Doe", "W01")
    assert read_claim(patient={"reference": "Patient/1"}).patient == Patient()


@pytest.mark.parametrize(
    ("members", "where"),
    [
        ({"created": "IGNORED_FIELD"}, "$.created"),
        ({"created": "2026-02-30"}, "$.created"),
        ({"created": 20260203}, "$.created"),
        ({"total": {"value": "100"}}, "$.total.value"),
        ({"total": {"value": 10**20}}, "$.total.value"),
        ({"total": 100}, "$.total"),
        ({"item": {}}, "$.item"),
        ({"item": [{}, 5]}, "$.item[1]"),
        ({"item": [{}, {"net": {"value": True}}]}, "$.item[1].net.value"),
        ({"item": [{"servicedPeriod": {"start": "x"}}]}, "$.item[0].servicedPeriod.start"),
        ({"item": [{"unitPrice": {"value": 1}, "factor": "2"}]}, "$.item[0].factor"),
        (
            {"item": [{"productOrService": {"coding": [{}, {"code": {}}]}}]},
            "$.item[0].productOrService.coding[1].code",
        ),
        ({"diagnosis": [{"diagnosisCodeableConcept": []}]}, "$.diagnosis[0].diagnosisCodeableConcept"),
        ({"insurer": {"identifier": {"value": []}}}, "$.insurer.identifier.value"),
        ({"identifier": [], "id": None}, "$.identifier"),
        ({"identifier": [{"value": "9" * 1_001}]}, "$.identifier[0].value"),
        ({"resourceType": "Unknown"}, "$.resourceType"),
        ({"resourceType": ["Claim"]}, "$.resourceType"),
    ],
)
def test_an_element_of_the_wrong_kind_is_named(members: dict[str, object], where: str) -> None:
    assert place(**members) == where
