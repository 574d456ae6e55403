"""Our own events: the schemas are true of themselves, and of what the reader takes."""

import copy
import json
from datetime import date
from pathlib import Path

import jsonschema
import pytest

from shared.domain.claims import (
    Adjustment,
    Authorization,
    ClaimPayment,
    Party,
    Patient,
    PaymentStatus,
    RemittanceSummary,
    SubmittedClaim,
)
from shared.formats.canonical import EVENTS
from shared.formats.canonical_parts import SCHEMAS
from tests.unit.formats.advices import FIXTURES, read_all, refused

OURS = sorted((FIXTURES / "acme").iterdir())
DENIED = json.loads((FIXTURES / "acme" / "claim_denied.json").read_text(encoding="utf-8"))


def schema(kind: str) -> dict[str, list[object]]:
    found: dict[str, list[object]] = json.loads((SCHEMAS / f"{kind}.schema.json").read_text(encoding="utf-8"))
    return found


def event(**members: object) -> bytes:
    """The denied claim with other members; None leaves one out."""
    merged = {**copy.deepcopy(DENIED), **members}
    return json.dumps({name: value for name, value in merged.items() if value is not None}).encode()


@pytest.mark.parametrize("kind", EVENTS)
def test_a_schema_is_one_and_its_examples_hold(kind: str) -> None:
    jsonschema.Draft7Validator.check_schema(schema(kind))
    for example in schema(kind)["examples"]:
        jsonschema.Draft7Validator(schema(kind)).validate(example)
        assert read_all(json.dumps(example).encode())


def test_every_schema_has_a_reader_and_every_reader_a_schema() -> None:
    assert {path.name for path in SCHEMAS.iterdir()} == {f"{kind}.schema.json" for kind in EVENTS}


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_fixtures_are_read(path: Path) -> None:
    assert read_all(path.read_bytes())


def test_a_submitted_claim() -> None:
    [claim] = read_all((FIXTURES / "acme" / "claim_submitted.json").read_bytes())
    assert isinstance(claim, SubmittedClaim)
    assert (claim.claim_number, claim.charge_cents, claim.frequency, claim.use) == (
        "PCN-1042",
        18_500,
        "1",
        "claim",
    )
    assert claim.payer == Party("Acme Health Plan", "60054")
    assert claim.patient == Patient("Test Patient", "W000000001", date(1980, 1, 31))
    assert (claim.lines[0].procedure, claim.lines[0].modifiers, claim.lines[0].units) == (
        "97110",
        ("GP",),
        "2",
    )
    assert (claim.submitted_on, claim.service_on) == (date(2026, 2, 3), date(2026, 1, 30))


def test_a_denial() -> None:
    payment, summary = read_all(event())
    assert isinstance(payment, ClaimPayment)
    assert isinstance(summary, RemittanceSummary)
    assert (payment.status, payment.status_code, payment.paid_cents) == (PaymentStatus.DENIED, "denied", 0)
    assert payment.lines[0].adjustments == (Adjustment("CO", "197", 18_500, line=1),)
    assert payment.remittance.key == "claim.decided|60054|PCN-1042|2026-02-17|denied||18500|0"
    assert (payment.decided_on, payment.remittance.decided_source) == (date(2026, 2, 17), "decided_on")
    assert (summary.remittance, summary.claim_count, payment.findings) == (payment.remittance, 1, ())


def test_an_authorization() -> None:
    [record] = read_all((FIXTURES / "acme" / "authorization_stated.json").read_bytes())
    assert record == Authorization(
        number="AUTH-77",
        payer=Party("Acme Health Plan", "60054"),
        patient=Patient("Test Patient", "W000000001"),
        procedure="97110",
        status="active",
        effective_on=date(2026, 1, 10),
        expires_on=date(2026, 4, 10),
        units_authorized=24,
        units_used=6,
        stated_on=date(2026, 2, 1),
    )


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"decision": "paid"}, PaymentStatus.DENIED),
        ({"decision": "paid", "paid": "100", "lines": None}, PaymentStatus.PAID),
        ({"decision": "paid", "paid": "100"}, PaymentStatus.PARTIALLY_PAID),
        ({"decision": "paid", "lines": None, "patient_share": "185"}, PaymentStatus.PAID),
        ({"decision": "reversed", "charge": "-185", "paid": "-100", "lines": None}, PaymentStatus.REVERSED),
    ],
)
def test_amounts_and_reasons_decide_as_everywhere(members: dict[str, object], status: PaymentStatus) -> None:
    payment, _ = read_all(event(**members))
    assert isinstance(payment, ClaimPayment)
    assert payment.status is status


def test_reasons_that_do_not_add_up_are_found() -> None:
    payment, _ = read_all(event(adjustments=[{"group": "CO", "carc": "45", "amount": "1.00"}]))
    assert [(finding.code, finding.place) for finding in payment.findings] == [("claim_unbalanced", "$")]


def test_a_decision_with_an_id_is_that_decision_whatever_else_changes() -> None:
    first, _ = read_all(event(id="dec-1"))
    second, _ = read_all(event(id="dec-1", decided_on="2026-02-18"))
    assert isinstance(first, ClaimPayment)
    assert isinstance(second, ClaimPayment)
    assert first.remittance.key == second.remittance.key == "claim.decided|60054|dec-1"


def test_the_same_amount_written_otherwise_is_the_same_decision() -> None:
    first, _ = read_all(event(paid="0", charge="185"))
    second, _ = read_all(event())
    assert first == second


def test_many_events_in_one_delivery() -> None:
    events = [json.loads(path.read_text(encoding="utf-8")) for path in OURS]
    assert len(read_all(json.dumps({"events": events}).encode())) == 6


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"claim_number": None}, "$"),
        ({"claim_number": ""}, "$.claim_number"),
        ({"charge": 185}, "$.charge"),
        ({"charge": "185.001"}, "$.charge"),
        ({"charge": "1e3"}, "$.charge"),
        ({"charge": "185\n"}, "$.charge"),
        ({"payer": {}}, "$.payer"),
        ({"payer": {"name": "Acme", "SMITH": 1}}, "$.payer"),
        ({"decision": "settled"}, "$.decision"),
        ({"decided_on": "2026-02-30"}, "$.decided_on"),
        ({"decided_on": "2026-02-03T00:00:00Z"}, "$.decided_on"),
        ({"patient": {"born_on": "0000-01-01"}}, "$.patient.born_on"),
        ({"lines": [{"procedure": "97110"}]}, "$.lines[0]"),
        (
            {"lines": [{"procedure": "97110", "charge": "1"}, {"procedure": "", "charge": "1"}]},
            "$.lines[1].procedure",
        ),
        ({"adjustments": [{"group": "XX", "carc": "1", "amount": "1"}]}, "$.adjustments[0].group"),
        ({"decision": "reversed", "paid": "10.00"}, "$.paid"),
        ({"amount": "3"}, "$"),
    ],
)
def test_what_a_schema_does_not_allow_is_named(members: dict[str, object], place: str) -> None:
    assert refused(event(**members)).place == place
    wrapped = b'{"events": [' + event() + b", " + event(**members) + b"]}"
    assert refused(wrapped).place == place.replace("$", "$.events[1]")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"type": "claim.lost"}', "$.type"),
        (b'{"type": ["claim.decided"]}', "$.type"),
        (b"{}", "$.type"),
        (b"[]", "$"),
        (b'{"events": []}', "$.events"),
        (b'{"events": {}}', "$.events"),
        (b'{"events": [1]}', "$.events[0]"),
        (b'{"events": [{}], "type": "x"}', "$.events"),
        (b'{"events": [{}]}', "$.events[0].type"),
    ],
)
def test_what_is_no_event_is_refused(body: bytes, place: str) -> None:
    assert refused(body).place == place
