"""PAS Bundles, notifications and searches: what each file says, and where what is missing would be."""

import json
from datetime import date
from typing import Any

import pytest

from shared.domain.claims import (
    Authorization,
    AuthorizationRequest,
    ClaimPayment,
    FetchTask,
    Finding,
    Party,
    Patient,
    Record,
    ServiceLine,
)
from tests.unit.formats.advices import FIXTURES, read_all, refused

MARYLAND = Party("MARYLAND CAPITAL INSURANCE COMPANY", "789312")
JOE = Patient("JOE SMITH", "12345678901")


def sample(kind: str, name: str) -> list[Record]:
    return read_all((FIXTURES / kind / name).read_bytes())


def pas(name: str) -> list[Record]:
    return sample("fhir-pas-bundle", f"davinci-pas-test-kit__{name}.json")


def test_a_request_bundle_says_all_of_this() -> None:
    assert pas("conformant_pas_bundle_v110") == [
        AuthorizationRequest(
            trace_number="111099",
            payer=MARYLAND,
            provider=Party("DR. JOE SMITH CORPORATION", "8189991234"),
            patient=JOE,
            kind="preauthorization",
            requested_on=date(2005, 5, 2),
            diagnoses=("G89.4",),
            lines=(ServiceLine("3", 0),),
        )
    ]


ANSWER = Authorization(
    number="AUTH0001",
    payer=MARYLAND,
    patient=JOE,
    procedure="3",
    status="active",
    effective_on=date(2005, 5, 2),
    expires_on=date(2005, 6, 2),
    units_authorized=1,
    stated_on=date(2005, 5, 2),
    trace_number="111099",
)


@pytest.mark.parametrize("name", ["valid_pa_response_bundle", "valid_pa_inquire_response_bundle"])
def test_a_response_bundle_says_all_of_this(name: str) -> None:
    assert pas(name) == [ANSWER]


def test_only_the_review_action_decides() -> None:
    """A denial is `complete` and carries a number, as an approval is and does."""
    (denied,) = pas("valid_pa_response_bundle_denial")
    assert isinstance(denied, Authorization)
    assert (denied.status, denied.number) == ("denied", "AUTH0001")


def test_an_answer_repeats_the_number_of_its_request() -> None:
    (request,), (answer,) = pas("conformant_pas_bundle_v110"), pas("valid_pa_response_bundle")
    assert isinstance(request, AuthorizationRequest)
    assert isinstance(answer, Authorization)
    assert request.trace_number == answer.trace_number


RESOURCE = "$.entry[0].resource"
PROVIDER = "item[0].extension[3].extension[0].valueReference"


@pytest.mark.parametrize(
    ("name", "findings"),
    [
        (
            "invalid_first_entry_response_bundle",
            [
                ("first_entry", f"{RESOURCE}.resourceType"),
                ("reference_missing", f"$.entry[1].resource.{PROVIDER}"),
            ],
        ),
        (
            "missing_referenced_resource_request_bundle",
            [("reference_missing", f"{RESOURCE}.careTeam[0].provider")],
        ),
        (
            "pa_response_bundle_missing_elements",
            [
                *(("reference_missing", f"{RESOURCE}.{at}") for at in ("patient", "insurer", "requestor")),
                ("reference_missing", f"{RESOURCE}.{PROVIDER}"),
            ],
        ),
    ],
)
def test_what_a_bundle_lacks_is_a_finding_at_its_place(name: str, findings: list[tuple[str, str]]) -> None:
    (record,) = pas(name)
    assert [(f.code, f.place) for f in record.findings] == findings


@pytest.mark.parametrize(
    "name", ["davinci-pas-test-kit__nonconformant_pas_bundle_v110.json", "prior-auth__bundle-minimal.json"]
)
def test_a_bundle_of_nothing_is_refused(name: str) -> None:
    error = refused((FIXTURES / "fhir-pas-bundle" / name).read_bytes())
    assert (error.place, error.code) == ("$.entry", "unknown_format")


def test_a_bundle_of_more_than_claims_and_context_is_not_read_in_part() -> None:
    bundle = json.loads(
        (FIXTURES / "fhir-pas-bundle" / "davinci-pas-test-kit__valid_pa_response_bundle.json").read_bytes()
    )
    bundle["entry"].append({"resource": {"resourceType": "PaymentNotice", "id": "p"}})
    error = refused(json.dumps(bundle).encode())
    assert (error.place, error.code) == ("$.entry[5].resource.resourceType", "unknown_format")


@pytest.mark.parametrize("kind", ["DocumentReference", "Task"])
def test_what_stands_beside_an_answer_and_decides_nothing_does_not_keep_it_out(kind: str) -> None:
    bundle = json.loads(
        (FIXTURES / "fhir-pas-bundle" / "davinci-pas-test-kit__valid_pa_response_bundle.json").read_bytes()
    )
    bundle["entry"].append({"resource": {"resourceType": kind, "id": "x"}})
    assert read_all(json.dumps(bundle).encode()) == [ANSWER]


COVERED: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {
            "fullUrl": "urn:uuid:1",
            "resource": {
                "resourceType": "Claim",
                "id": "c",
                "use": "claim",
                "created": "2026-11-01",
                "patient": {"reference": "urn:uuid:2"},
                "insurance": [
                    {"focal": False, "coverage": {"reference": "urn:uuid:9"}},
                    {"focal": True, "coverage": {"reference": "Coverage/v"}},
                ],
                "total": {"value": 12.5},
            },
        },
        {
            "fullUrl": "urn:uuid:2",
            "resource": {
                "resourceType": "Patient",
                "id": "p",
                "identifier": [{"value": "MRN-1"}],
                "name": [{"text": "Jane Doe"}],
            },
        },
        {
            "fullUrl": "urn:uuid:3",
            "resource": {
                "resourceType": "Coverage",
                "id": "v",
                "subscriberId": "W-1",
                "payor": [{"reference": "Organization/o"}],
            },
        },
        {
            "fullUrl": "urn:uuid:4",
            "resource": {
                "resourceType": "Organization",
                "id": "o",
                "name": "Acme",
                "identifier": [{"value": "60054"}],
            },
        },
    ],
}


def test_the_focal_coverage_says_the_members_number_and_the_payer() -> None:
    (claim,) = read_all(json.dumps(COVERED).encode())
    assert getattr(claim, "patient", None) == Patient("Jane Doe", "W-1")
    assert getattr(claim, "payer", None) == Party("Acme", "60054")
    assert claim.findings == ()


def test_a_search_holds_its_claims_and_no_others() -> None:
    records = sample("fhir-search-bundle", "bluebutton-web-server__eob_search_v2.json")
    bundle = json.loads(
        (FIXTURES / "fhir-search-bundle" / "bluebutton-web-server__eob_search_v2.json").read_bytes()
    )
    assert len([r for r in records if isinstance(r, ClaimPayment)]) == len(bundle["entry"]) == 10


def notification(name: str) -> list[Record]:
    return sample("fhir-notification", f"{name}.json")


@pytest.mark.parametrize("kind", ["handshake", "heartbeat"])
def test_a_sign_of_life_says_nothing(kind: str) -> None:
    assert notification(f"subscriptions-test-kit__{kind}_bundle_example") == []


def test_an_empty_notification_is_a_task_to_ask_for_its_event() -> None:
    url = "https://fhirserver.org/fhir/Subscription/123/$events?eventsSinceNumber=1&eventsUntilNumber=1"
    assert notification("subscriptions-test-kit__empty_notification_bundle_example") == [
        FetchTask("fhir_resource", url, "empty_notification", date(2020, 5, 29))
    ]


def test_one_without_its_request_has_a_finding() -> None:
    (task,) = notification("subscriptions-test-kit__empty_notification_bundle_non_conformant_example")
    assert task.findings == (Finding("entry_incomplete", "$.entry[0]", "no request in it"),)


def test_a_full_notification_is_read_with_its_context() -> None:
    (answer,) = notification("davinci-pas-test-kit__PAS_notification_example_full_resource")
    assert answer == Authorization(
        number="1263291",
        payer=MARYLAND,
        patient=JOE,
        procedure="",
        status="pended",  # no item, so no review action
        effective_on=date(2024, 1, 30),
        expires_on=date(2024, 2, 29),
        stated_on=date(2024, 1, 30),
        trace_number="1263291",
    )


def test_a_notification_that_only_names_its_resource_is_a_task() -> None:
    path = (
        FIXTURES / "fhir-notification" / "davinci-pas-test-kit__PAS_notification_example_full_resource.json"
    )
    bundle = json.loads(path.read_bytes())
    del bundle["entry"][1:]
    (task,) = read_all(json.dumps(bundle).encode())
    assert task == FetchTask(
        "fhir_resource", "urn:uuid:482fd012-7825-423d-83de-69d09920198b", "id_only", date(2020, 5, 29)
    )


def test_the_later_form_of_a_status_is_read_too() -> None:
    status = {
        "resourceType": "SubscriptionStatus",
        "id": "s",
        "type": "event-notification",
        "notificationEvent": [
            {
                "eventNumber": "7",
                "focus": {"reference": "ClaimResponse/9"},
                "timestamp": "2026-11-01T08:00:00Z",
            }
        ],
    }
    bundle = {"resourceType": "Bundle", "type": "history", "entry": [{"request": {}, "resource": status}]}
    (task,) = read_all(json.dumps(bundle).encode())
    assert isinstance(task, FetchTask)
    assert (task.reference, task.reason, task.stated_on) == ("ClaimResponse/9", "id_only", date(2026, 11, 1))


@pytest.mark.parametrize(
    ("name", "place"),
    [
        (
            "subscriptions-test-kit__full_resource_notification_bundle_example",
            "$.entry[1].resource.resourceType",
        ),
        ("davinci-epdx__Bundle-subscription-notification-with-document", "$.entry[1].resource.resourceType"),
    ],
)
def test_a_notification_of_what_we_do_not_read_says_so(name: str, place: str) -> None:
    error = refused((FIXTURES / "fhir-notification" / f"{name}.json").read_bytes())
    assert (error.place, error.code) == (place, "unknown_format")


def test_a_history_that_is_no_notification_is_refused() -> None:
    bundle = {"resourceType": "Bundle", "type": "history", "entry": [{"resource": {"resourceType": "Claim"}}]}
    assert refused(json.dumps(bundle).encode()).place == "$.entry"
