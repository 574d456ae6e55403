"""FHIR `ClaimResponse` and `ExplanationOfBenefit`: payments, denials, and what is neither."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from shared.domain.claims import (
    Adjustment,
    ClaimPayment,
    Party,
    PaymentStatus,
    Remittance,
    RemittanceSummary,
    ServiceLine,
)
from tests.unit.formats.advices import FIXTURES, read_all, refused

SAMPLES = [
    path
    for kind in ("fhir-claimresponse", "fhir-eob")
    for path in sorted((FIXTURES / kind).iterdir())
    if b'"preauthorization"' not in path.read_bytes()
]
CARC = "https://x12.org/codes/claim-adjustment-reason-codes"
GROUP = "https://x12.org/codes/claim-adjustment-group-codes"
RESPONSE = {
    "resourceType": "ClaimResponse",
    "id": "R1",
    "identifier": [{"value": "ICN-1"}],
    "status": "active",
    "use": "claim",
    "created": "2026-02-17",
    "insurer": {"display": "Acme Health Plan"},
    "request": {"identifier": {"value": "PCN-1"}},
    "outcome": "complete",
}


def amount(value: float) -> dict[str, object]:
    return {"value": value, "currency": "USD"}


def category(code: str) -> dict[str, object]:
    return {"coding": [{"code": code}]}


def total(**amounts: float) -> list[dict[str, object]]:
    return [{"category": category(code), "amount": amount(value)} for code, value in amounts.items()]


def denial(group: str, carc: str, value: float | None = None) -> dict[str, object]:
    reason = {"coding": [{"system": GROUP, "code": group}, {"system": CARC, "code": carc}]}
    return {
        "category": category("denialreason"),
        "reason": reason,
        **({} if value is None else {"amount": amount(value)}),
    }


def read_payment(**members: object) -> tuple[ClaimPayment, RemittanceSummary]:
    payment, summary = read_all(json.dumps({**RESPONSE, **members}).encode())
    assert isinstance(payment, ClaimPayment)
    assert isinstance(summary, RemittanceSummary)
    return payment, summary


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples_agree_with_a_plain_reading(path: Path) -> None:
    payment, summary = read_all(path.read_bytes())
    raw = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    assert isinstance(payment, ClaimPayment)
    assert isinstance(summary, RemittanceSummary)
    totals = {
        coding["code"]: entry["amount"]["value"]
        for entry in reversed(raw.get("total", []))
        for coding in entry.get("category", {}).get("coding", [])
    }
    stated = raw.get("payment", {}).get("amount", {}).get("value", totals.get("benefit", 0))
    assert Decimal(payment.paid_cents) / 100 == stated
    if "submitted" in totals:
        assert Decimal(payment.charge_cents) / 100 == totals["submitted"]
    assert payment.payer_claim_number == raw["identifier"][0]["value"]
    assert str(payment.decided_on) == raw.get("created", "None")[:10]
    assert len(payment.lines) == len(raw.get("item", []))
    concepts = [
        item.get("productOrService", {}).get("coding") or item.get("revenue", {}).get("coding", [])
        for item in raw.get("item", [])
    ]
    assert [line.procedure for line in payment.lines] == [
        next((coding["code"] for coding in concept if "code" in coding), "") for concept in concepts
    ]
    assert (summary.remittance, summary.claim_count) == (payment.remittance, 1)
    assert summary.claims_paid_cents == payment.paid_cents


def test_no_two_samples_are_the_same_decision() -> None:
    payments = [record for path in SAMPLES for record in read_all(path.read_bytes())]
    keys = [record.remittance.key for record in payments if isinstance(record, ClaimPayment)]
    assert len(set(keys)) == len(keys)


def test_a_payment_of_a_sample_in_full() -> None:
    payment, summary = read_all(
        (FIXTURES / "fhir-claimresponse" / "fhir__ClaimResponse-R3500.json").read_bytes()
    )
    assert isinstance(payment, ClaimPayment)
    assert payment.remittance == Remittance(
        key="ClaimResponse|555123|R3500|oral|2014-08-16|active|complete|/|201408-2-1569478|13557|10047",
        payer=Party("", "555123"),
        payee=Party("", "Organization/1"),
        trace_number="201408-2-1569478",
        method="complete",
        paid_cents=10_047,
        decided_on=date(2014, 8, 16),
        decided_source="created",
    )
    assert (payment.claim_number, payment.payer_claim_number) == ("oralhealthclaim/15476332402", "R3500")
    assert (payment.charge_cents, payment.paid_cents, payment.patient_cents) == (13_557, 10_047, 1_000)
    assert (payment.status, payment.status_code) == (PaymentStatus.PAID, "complete")
    assert payment.lines == (
        ServiceLine(procedure="", charge_cents=0, paid_cents=9_047, allowed_cents=13_557, remarks=("ar002",)),
    )
    # The example pays 10 more than its own benefit comes to.
    assert [finding.code for finding in payment.findings] == ["payment_unbalanced"]
    assert summary == RemittanceSummary(payment.remittance, 1, 10_047)


def test_an_explanation_of_benefit_of_a_sample() -> None:
    path = FIXTURES / "fhir-eob" / "carin-for-blue-button-test-kit__c4bb_eob_inpatient_example.json"
    payment, _ = read_all(path.read_bytes())
    assert isinstance(payment, ClaimPayment)
    assert payment.remittance.payer == Party("UPMC Health Plan", "Organization/c4bb-payor")
    assert (payment.charge_cents, payment.paid_cents, payment.patient_cents) == (714_720, 139_357, 12_000)
    assert (payment.allowed_cents, payment.diagnoses) == (154_201, ("I21.4", "I25.118", "E78.5", "M19.90"))
    assert (payment.decided_on, payment.service_on) == (date(2017, 6, 1), date(2017, 5, 23))
    assert (len(payment.lines), payment.lines[0].procedure) == (13, "99231")


def test_a_claim_that_could_not_be_processed_is_denied_for_its_errors() -> None:
    payment, _ = read_all((FIXTURES / "fhir-claimresponse" / "fhir__ClaimResponse-R3501.json").read_bytes())
    assert isinstance(payment, ClaimPayment)
    assert (payment.status, payment.claim_number, payment.remarks) == (
        PaymentStatus.DENIED,
        "Claim/100156",
        ("a002",),
    )


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"total": total(submitted=100, benefit=80)}, PaymentStatus.PAID),
        ({"total": total(submitted=100, benefit=0, deductible=100)}, PaymentStatus.PAID),
        ({"total": total(submitted=100, benefit=0)}, PaymentStatus.DENIED),
        (
            {"total": total(submitted=100, benefit=0), "adjudication": [denial("CO", "197")]},
            PaymentStatus.DENIED,
        ),
        (
            {"total": total(submitted=100, benefit=0), "adjudication": [denial("CO", "197", 100)]},
            PaymentStatus.DENIED,
        ),
        (
            {"total": total(submitted=100, benefit=0), "adjudication": [denial("CO", "45", 100)]},
            PaymentStatus.PAID,
        ),
        (
            {"total": total(submitted=100, benefit=0), "adjudication": [denial("PR", "1", 100)]},
            PaymentStatus.PAID,
        ),
        (
            {"total": total(submitted=100, benefit=80), "adjudication": [denial("CO", "97", 20)]},
            PaymentStatus.PARTIALLY_PAID,
        ),
        (
            {"total": total(submitted=100, benefit=80), "adjudication": [denial("CO", "97")]},
            PaymentStatus.PAID,
        ),
        ({"total": total(submitted=100), "outcome": "error"}, PaymentStatus.DENIED),
        ({"total": total(submitted=100), "outcome": "queued"}, PaymentStatus.NOT_DECIDED),
        ({"total": total(submitted=100, benefit=80), "outcome": "queued"}, PaymentStatus.NOT_DECIDED),
        ({"total": total(submitted=100)}, PaymentStatus.NOT_DECIDED),
        # Nothing says what was paid, and a reason says why nothing was.
        ({"total": total(submitted=100), "adjudication": [denial("CO", "197")]}, PaymentStatus.DENIED),
        ({"total": total(submitted=100), "adjudication": [denial("PR", "1")]}, PaymentStatus.NOT_DECIDED),
        (
            {"total": total(submitted=100), "adjudication": [denial("CO", "197")], "outcome": "partial"},
            PaymentStatus.NOT_DECIDED,
        ),
        ({"total": total(submitted=100, benefit=80), "status": "cancelled"}, PaymentStatus.REVERSED),
        ({"total": total(submitted=100, benefit=0), "use": "predetermination"}, PaymentStatus.NOT_DECIDED),
        ({"total": total(submitted=100, benefit=80), "use": "predetermination"}, PaymentStatus.NOT_DECIDED),
    ],
)
def test_what_a_response_says(members: dict[str, object], status: PaymentStatus) -> None:
    assert read_payment(**members)[0].status is status


@pytest.mark.parametrize(
    "members",
    [{"outcome": "queued"}, {}, {"status": "draft"}, {"use": "predetermination", "total": total(benefit=1)}],
)
def test_a_response_that_decides_nothing_says_so(members: dict[str, object]) -> None:
    payment, _ = read_payment(**members)
    assert "not_decided" in {finding.code for finding in payment.findings}


def test_a_cancelled_response_takes_back_what_it_paid() -> None:
    item = {
        "adjudication": [
            {"category": category("submitted"), "amount": amount(100)},
            {"category": category("benefit"), "amount": amount(80)},
            denial("CO", "45", 20),
        ]
    }
    paid, _ = read_payment(item=[item], payment={"amount": amount(80)})
    back, summary = read_payment(item=[item], payment={"amount": amount(80)}, status="cancelled")
    assert (back.charge_cents, back.paid_cents, summary.claims_paid_cents) == (-10_000, -8_000, -8_000)
    assert back.lines[0].paid_cents == -paid.lines[0].paid_cents == -8_000
    assert back.lines[0].adjustments == (Adjustment("CO", "45", -2_000, line=1),)
    assert back.remittance.key != paid.remittance.key


def test_an_items_reasons_know_their_line_and_added_items_come_last() -> None:
    payment, _ = read_payment(
        item=[{"adjudication": []}, {"adjudication": [denial("CO", "97", 5)]}],
        addItem=[
            {"productOrService": category("99213"), "net": amount(9), "adjudication": [denial("PR", "2", 1)]}
        ],
    )
    assert [line.adjustments for line in payment.lines] == [
        (),
        (Adjustment("CO", "97", 500, line=2),),
        (Adjustment("PR", "2", 100, line=3),),
    ]
    assert (payment.lines[2].procedure, payment.lines[2].charge_cents) == ("99213", 900)


@pytest.mark.parametrize("adjustment", [10, -10])
def test_what_a_payment_holds_back_for_other_reasons_is_the_advices(adjustment: int) -> None:
    payment, summary = read_payment(
        total=total(submitted=100, benefit=80),
        payment={"amount": amount(70), "adjustment": amount(adjustment), "adjustmentReason": category("WO")},
    )
    assert (payment.paid_cents, payment.findings) == (8_000, ())
    assert (summary.remittance.paid_cents, summary.adjustments) == (7_000, (Adjustment("", "WO", 1_000),))


def test_without_a_benefit_the_payment_is_what_it_less_the_adjustment_came_to() -> None:
    payment, _ = read_payment(payment={"amount": amount(70), "adjustment": amount(10)})
    assert payment.paid_cents == 8_000


def test_what_stands_where_a_code_should_and_may_be_a_text_about_the_patient_is_not_kept() -> None:
    said = "Robin Example DOB 1981-04-17"
    remark = {"coding": [{"system": "https://x12.org/codes/remittance-advice-remark-codes", "code": said}]}
    payment, summary = read_payment(
        total=total(submitted=100, benefit=0),
        adjudication=[{"category": category("denialreason"), "reason": remark}],
        item=[{"net": amount(40)}, {"net": amount(60), "adjudication": [denial("CO", said, 60)]}],
        addItem=[{"net": amount(1), "adjudication": [denial("CO", "97", 1)]}],
        error=[{"code": category(said)}],
        payment={"amount": amount(-10), "adjustment": amount(-10), "adjustmentReason": category(said)},
    )
    assert (payment.status, payment.remarks) == (PaymentStatus.DENIED, ())
    assert [line.adjustments for line in payment.lines] == [
        (),
        (Adjustment("CO", "", 6_000, line=2),),
        (Adjustment("CO", "97", 100, line=3),),
    ]
    assert summary.adjustments == (Adjustment("", "", 1_000),)
    assert [finding.place for finding in payment.findings if finding.code == "invalid_code"] == [
        "$.adjudication[0]",
        "$.item[1].adjudication",
        "$.error",
        "$.payment.adjustmentReason",
    ]
    assert said not in repr((payment, summary))


def test_a_payers_own_words_beside_a_reasons_code_are_not_taken_for_it() -> None:
    reason = {"coding": [{"system": CARC, "code": "Not covered by plan"}, {"system": CARC, "code": "96"}]}
    payment, _ = read_payment(
        total=total(submitted=100, benefit=0), adjudication=[{"reason": reason, "amount": amount(100)}]
    )
    assert payment.adjustments == (Adjustment("", "96", 10_000),)
    assert [finding.code for finding in payment.findings] == ["invalid_code"]


@pytest.mark.parametrize(
    ("members", "number"),
    [
        ({}, "PCN-1"),
        ({"request": {"reference": "Claim/77"}}, "Claim/77"),
        ({"request": {"reference": "Claim/77/_history/2"}}, "Claim/77"),
        ({"request": {"reference": "https://payer.example/fhir/Claim/77"}}, "Claim/77"),
        ({"request": {"reference": "#c"}, "contained": [{"id": "c", "identifier": [{"value": "78"}]}]}, "78"),
        ({"request": None}, "ICN-1"),
        ({"request": None, "identifier": None}, "ClaimResponse/R1"),
        ({"request": None, "claim": {"identifier": {"value": "79"}}}, "79"),
        (
            {
                "request": None,
                "supportingInfo": [{"category": category("patientaccountnumber"), "valueString": "80"}],
            },
            "80",
        ),
    ],
)
def test_the_claim_number_is_ours_where_the_response_gives_it(
    members: dict[str, object], number: str
) -> None:
    assert read_payment(**members)[0].claim_number == number


@pytest.mark.parametrize(
    ("members", "decided"),
    [
        ({}, (date(2026, 2, 17), "created")),
        ({"created": None, "payment": {"date": "2026-02-20"}}, (date(2026, 2, 20), "payment.date")),
        ({"created": "2026-02", "payment": {"date": "2026-02-20"}}, (date(2026, 2, 20), "payment.date")),
        ({"created": None}, (None, "")),
    ],
)
def test_a_decision_is_dated_by_its_creation_or_its_payment(
    members: dict[str, object], decided: tuple[date | None, str]
) -> None:
    remittance = read_payment(**members)[0].remittance
    assert (remittance.decided_on, remittance.decided_source) == decided


def test_money_of_another_country_is_found() -> None:
    payment, _ = read_payment(
        total=total(submitted=10, benefit=5), payment={"amount": {"value": 5, "currency": "CAD"}}
    )
    assert [finding.code for finding in payment.findings] == ["foreign_currency"]


@pytest.mark.parametrize(
    ("members", "where"),
    [
        ({"created": "IGNORED_FIELD"}, "$.created"),
        ({"payment": {"date": "soon"}}, "$.payment.date"),
        ({"payment": {"amount": {"value": "5"}}}, "$.payment.amount.value"),
        ({"total": [{}, {"amount": 5}]}, "$.total[1].amount"),
        (
            {"item": [{"adjudication": [{"reason": {"coding": 1}}]}]},
            "$.item[0].adjudication[0].reason.coding",
        ),
        (
            {"addItem": [{"adjudication": [{"amount": {"value": []}}]}]},
            "$.addItem[0].adjudication[0].amount.value",
        ),
        ({"insurer": []}, "$.insurer"),
    ],
)
def test_an_element_of_the_wrong_kind_is_named(members: dict[str, object], where: str) -> None:
    assert refused(json.dumps({**RESPONSE, **members}).encode()).place == where


def test_a_search_bundle_of_a_sample() -> None:
    records = read_all(
        (FIXTURES / "fhir-search-bundle" / "bluebutton-web-server__eob_search_v2.json").read_bytes()
    )
    payments = [record for record in records if isinstance(record, ClaimPayment)]
    assert (len(records), len(payments)) == (20, 10)
    assert len({payment.remittance.key for payment in payments}) == 10


def test_a_bundle_is_read_resource_by_resource_and_a_searchs_own_remarks_are_skipped() -> None:
    claim = json.loads((FIXTURES / "fhir-claim" / "fhir__Claim-860150.json").read_text(encoding="utf-8"))
    remark = {"search": {"mode": "outcome"}, "resource": {"resourceType": "OperationOutcome"}}
    bundle = {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": claim}, remark, {"resource": RESPONSE}],
    }
    assert [type(record).__name__ for record in read_all(json.dumps(bundle).encode())] == [
        "SubmittedClaim",
        "ClaimPayment",
        "RemittanceSummary",
    ]
    bundle["entry"] = [{"resource": claim}, {"resource": {**RESPONSE, "created": "x"}}]
    assert refused(json.dumps(bundle).encode()).place == "$.entry[1].resource.created"
    bundle["entry"] = [{"resource": claim}, {"resource": {"resourceType": "PaymentNotice"}}]
    assert refused(json.dumps(bundle).encode()).place == "$.entry[1].resource.resourceType"
    bundle["entry"] = [{"resource": 5}]
    assert refused(json.dumps(bundle).encode()).place == "$.entry[0].resource"
