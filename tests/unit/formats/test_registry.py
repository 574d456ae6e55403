"""Which reader a delivery gets."""

import json

import pytest

from shared.domain.claims import Delivery
from shared.formats.registry import FORMATS, detect
from tests.unit.formats.advices import FIXTURES, make_835, read_all, refused

EVENT = (FIXTURES / "acme" / "claim_denied.json").read_bytes()
CLAIM = (FIXTURES / "fhir-claim" / "fhir__Claim-860150.json").read_bytes()
STEDI = (FIXTURES / "webhook-stedi" / "bootstrap-archived__file-error.json").read_bytes()
ENVELOPE = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":' + EVENT + b"}"
BODIES = {"x12": make_835(), "fhir": CLAIM, "canonical": EVENT, "stedi": STEDI, "cloudevents": ENVELOPE}


def test_the_formats_have_names() -> None:
    assert set(FORMATS) == set(BODIES)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "application/octet-stream",
        "text/plain; charset=utf-8",
        "application/edi-x12",
        "x",
    ],
)
def test_the_body_tells_the_format_whatever_it_is_labelled(name: str, content_type: str) -> None:
    body = BODIES[name]
    assert read_all(body, content_type=content_type) == read_all(body, format=name)


@pytest.mark.parametrize("name", FORMATS)
def test_blanks_and_a_byte_order_mark_before_the_body_change_nothing(name: str) -> None:
    assert read_all(b"\xef\xbb\xbf\r\n " + BODIES[name]) == read_all(BODIES[name])


@pytest.mark.parametrize(
    ("content_type", "place"),
    [
        ("application/EDI-X12", "character 0"),
        ("application/fhir+json; fhirVersion=4.0", "$"),
        ("application/json", "$"),
        ("text/html", "byte 0"),
        ("", "byte 0"),
    ],
)
def test_the_label_decides_where_the_body_looks_like_nothing(content_type: str, place: str) -> None:
    error = refused(b"<html>Bad gateway</html>", content_type=content_type)
    assert error.place == place


@pytest.mark.parametrize(
    "body", [b"", b" ", b"\n\n", b"ISA", b"null", b"3", b"hello", b"<xml/>", b"\xff\xfe{\0"]
)
def test_what_is_in_no_format_is_refused(body: bytes) -> None:
    assert refused(body).code == "unknown_format"


def test_a_connections_format_is_taken_at_its_word() -> None:
    assert refused(EVENT, format="x12").place == "character 0"
    assert refused(make_835(), format="fhir").place == "$"
    assert refused(CLAIM, format="canonical").place == "$.type"
    assert refused(EVENT, format="fhir").place == "$.resourceType"


def test_a_format_without_a_reader_is_refused() -> None:
    assert refused(EVENT, format="hl7v2").code == "unknown_format"


def test_a_resource_type_inside_an_event_of_ours_is_no_fhir() -> None:
    error = refused(
        json.dumps({"type": "claim.submitted", "resourceType": "Claim"}).encode(), format="canonical"
    )
    assert error.place == "$"


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("x12", "an ISA, GS or ST segment near its beginning"),
        ("fhir", "JSON with a resourceType, as FHIR has"),
        ("stedi", "JSON with a detail-type, as Stedi's events have"),
        ("cloudevents", "JSON with a specversion, as a CloudEvent has"),
        ("canonical", "it begins as JSON does"),
    ],
)
def test_auto_says_why(name: str, because: str) -> None:
    found = detect(Delivery(BODIES[name]))
    assert (found.format.name, found.because) == (name, because)
    assert detect(Delivery(BODIES[name], format=name)).because == "the connection names it"


def test_a_label_that_decides_is_the_reason() -> None:
    found = detect(Delivery(b"<html>", content_type="application/edi-x12"))
    assert (found.format.name, found.because) == (
        "x12",
        "its content type is application/edi-x12, and it looks like nothing else",
    )
