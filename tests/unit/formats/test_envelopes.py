"""Stedi's events and CloudEvents: what they bring is read, what they name is a task, and the rest says why not."""

import base64
import json
from datetime import date
from pathlib import Path

import pytest

from shared.domain.claims import FetchTask, Finding
from tests.unit.formats.advices import FIXTURES, make_835, read_all, refused

EVENT = json.loads((FIXTURES / "acme" / "claim_denied.json").read_bytes())
CLAIM = json.loads((FIXTURES / "fhir-claim" / "fhir__Claim-860150.json").read_bytes())
PROCESSED = json.loads(
    (FIXTURES / "webhook-stedi" / "stedi-idk__event-transaction-processed-v2.json").read_bytes()
)


def written(value: object) -> bytes:
    return json.dumps(value).encode()


# Stedi


def of_kind(number: str, **changes: object) -> dict[str, object]:
    event = json.loads(json.dumps(PROCESSED))
    event["detail"]["x12"]["metadata"]["transaction"]["transactionSetIdentifier"] = number
    return {**event, **changes}


@pytest.mark.parametrize("kind", ["transaction.processed.v2", "transaction.processed"])
def test_a_transaction_of_ours_is_a_task_to_fetch_its_x12(kind: str) -> None:
    assert read_all(written(of_kind("835", **{"detail-type": kind}))) == [
        FetchTask(
            "stedi_transaction",
            "https://core.us.stedi.com/2023-08-01/transaction//input",
            "named_only",
            date(2023, 8, 12),
        )
    ]


def test_a_transaction_that_brings_its_x12_is_read() -> None:
    event = of_kind("835")
    event["payload"] = make_835().decode()
    assert read_all(written(event)) == read_all(make_835())


def test_a_thin_event_names_its_transaction() -> None:
    thin = {
        "id": "evt_1",
        "type": "transaction.processed",
        "createdAt": "2026-11-01T08:00:00Z",
        "resource": {"id": "file-1", "type": "transaction"},
        "relatedResources": [
            {"id": "t-1", "type": "transaction.x12.835"},
            {"id": "t-2", "type": "transaction.x12.850"},
        ],
    }
    assert read_all(written(thin)) == [FetchTask("stedi_transaction", "t-1", "named_only", date(2026, 11, 1))]


def test_a_file_that_stedi_could_not_read_is_a_task_with_a_finding() -> None:
    assert read_all((FIXTURES / "webhook-stedi" / "bootstrap-archived__file-error.json").read_bytes()) == [
        FetchTask(
            "stedi_file",
            "stedi-default-core-artifacts-217851219840/1f1b129a-9b86-04ea-3815-2d0f2b271c19/1746-1746-1.edi",
            "file_failed",
            None,
            (Finding("file_failed", "$.detail", "the clearinghouse could not read it"),),
        )
    ]


@pytest.mark.parametrize(
    "path",
    [p for p in sorted((FIXTURES / "webhook-stedi").iterdir()) if "error" not in p.name],
    ids=lambda path: path.name,
)
def test_files_and_purchase_orders_are_nothing_of_ours(path: Path) -> None:
    assert (
        read_all(path.read_bytes()) == []
    )  # 850 and 855, and files whose transactions have events of their own


def test_what_we_sent_ourselves_is_nothing_new() -> None:
    event = of_kind("837")
    event["detail"] = {**PROCESSED["detail"], **event["detail"], "direction": "OUTBOUND"}  # type: ignore[dict-item]
    assert read_all(written(event)) == []


def test_an_event_that_we_do_not_know_says_so() -> None:
    error = refused(written({"detail-type": "guide.saved", "source": "stedi"}))
    assert (error.place, error.code) == ("$.detail-type", "unknown_format")


# CloudEvents


def enveloped(**members: object) -> bytes:
    return written({"specversion": "1.0", "id": "1", "source": "/payer", "type": "claim", **members})


@pytest.mark.parametrize("inner", [EVENT, CLAIM, of_kind("277")], ids=["canonical", "fhir", "stedi"])
def test_json_in_an_envelope_is_what_it_is_outside(inner: dict[str, object]) -> None:
    found, expected = read_all(enveloped(data=inner)), read_all(written(inner))
    assert [type(record) for record in found] == [type(record) for record in expected]
    assert [getattr(r, "charge_cents", 0) for r in found] == [getattr(r, "charge_cents", 0) for r in expected]


def test_x12_in_an_envelope_is_what_it_is_outside() -> None:
    body = make_835()
    assert read_all(enveloped(data=body.decode(), datacontenttype="application/edi-x12")) == read_all(body)
    assert read_all(enveloped(data_base64=base64.b64encode(body).decode())) == read_all(body)


def test_an_amount_in_an_envelope_keeps_its_digits() -> None:
    body = enveloped(data=CLAIM).replace(b'"value": 75.0', b'"value": 75.07')
    (claim,) = read_all(body)
    expected = read_all(written(CLAIM).replace(b'"value": 75.0', b'"value": 75.07'))
    assert getattr(claim, "charge_cents", None) == getattr(expected[0], "charge_cents", 1)


def test_an_error_inside_is_at_its_place_inside() -> None:
    assert refused(enveloped(data={**EVENT, "decided_on": "2026-02-30"})).place == "$.data.decided_on"
    assert refused(enveloped(data={**CLAIM, "created": "IGNORED"})).place == "$.data.created"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("sdk-java__v03-min.json", "$.specversion"),
        ("sdk-java__v1-fail_numeric_long.json", "$.long"),
        ("sdk-java__v1-json_data_with_ext_upper_case.json", "$"),
        ("sdk-java__v1-min.json", "$.data"),
        ("sdk-java__v1-base64_json_data.json", "$.type"),  # `{}`, which is no event of ours
    ],
)
def test_each_sample_says_why_not(name: str, place: str) -> None:
    assert refused((FIXTURES / "webhook-cloudevents" / name).read_bytes()).place == place


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"id": ""}, "$.id"),
        ({"source": 5}, "$.source"),
        ({"data": {}, "data_base64": "e30="}, "$.data"),
        ({"data_base64": "%"}, "$.data_base64"),
        ({"data_base64": 5}, "$.data_base64"),
        ({"data": [EVENT]}, "$.data"),
        ({"data": "hello"}, "byte 0"),
        ({"extra": {}}, "$.extra"),
    ],
)
def test_an_envelope_with_a_fault_is_refused_at_its_place(members: dict[str, object], place: str) -> None:
    assert refused(enveloped(**members)).place == place


def test_an_envelope_in_an_envelope_is_not_opened() -> None:
    inner = base64.b64encode(enveloped(data=EVENT)).decode()
    assert refused(enveloped(data_base64=inner)).code == "unknown_format"
