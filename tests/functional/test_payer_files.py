"""Every public payer file, sent as a payer would: good ones become rows and events, bad ones dead letters."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import oxedi
import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.functional.conftest import Pipeline

FIXTURES = Path(__file__).parents[1] / "fixtures" / "webhooks"
PLACE = re.compile(r"^(ISA|GS|ST|X12|\$|byte|segment)", re.IGNORECASE)

GOOD_835 = sorted((FIXTURES / "x12-835").iterdir())
GOOD_FHIR = sorted(
    path for kind in ("fhir-claim", "fhir-claimresponse", "fhir-eob") for path in (FIXTURES / kind).iterdir()
)
FAULTY = sorted(
    (FIXTURES / "x12-malformed").glob("x12-parser__x12_[lm]*")
)  # 837s that are read with findings
MALFORMED = [
    path
    for kind in ("x12-malformed", "fhir-malformed")
    for path in sorted((FIXTURES / kind).iterdir())
    if path not in FAULTY
]
# What each other kind is stored in, and the events that tell of it.
OTHERS = {
    "x12-837p": ("claims", {"claim.submitted"}),
    "x12-837i": ("claims", {"claim.submitted"}),
    "x12-277": ("claim_statuses", {"claim.status_changed", "claim.acknowledged", "submission.acknowledged"}),
    "x12-278": ("authorization_requests", {"authorization.requested", "authorization.decided"}),
    "x12-999": ("submission_acknowledgements", {"submission.acknowledged"}),
}
GOOD_OTHERS = [
    path for kind in OTHERS for path in sorted((FIXTURES / kind).iterdir()) if path.stat().st_size < 100_000
]


def content_type(path: Path) -> str:
    return "application/fhir+json" if path.suffix == ".json" else "application/edi-x12"


@pytest.fixture(scope="module")
def sent(pipeline: "Pipeline") -> "Mapping[Path, tuple[str, str]]":
    """Each file's event id and customer: one customer a file, so that files do not share claims."""
    found = {}
    for path in [*GOOD_835, *GOOD_FHIR, *GOOD_OTHERS, *FAULTY, *MALFORMED]:
        connection = pipeline.connection()
        reply = pipeline.send(connection, path.read_bytes(), content_type=content_type(path))
        assert reply.status == 202, path.name
        found[path] = (reply.body["event_id"], str(connection.customer_id))
    assert pipeline.drained()
    return found


def of_customer(pipeline: "Pipeline", statement: str, customer: str) -> list["Mapping[str, Any]"]:
    return pipeline.rows(f"{statement} WHERE customer_id = CAST(:customer AS uuid)", customer=customer)


@pytest.mark.parametrize("path", GOOD_835, ids=lambda path: path.name)
def test_an_835_is_stored_as_an_independent_reader_sees_it(
    pipeline: "Pipeline", sent: "Mapping[Path, tuple[str, str]]", path: Path
) -> None:
    _, customer = sent[path]
    claims, paid = _by_oxedi(path)
    stored = of_customer(
        pipeline, "SELECT count(*) AS n, coalesce(sum(paid_cents), 0) AS paid FROM claim_payments", customer
    )[0]
    events = of_customer(pipeline, "SELECT count(*) AS n FROM outbox", customer)[0]
    audited = of_customer(pipeline, "SELECT count(DISTINCT event_id) AS n FROM executions", customer)[0]
    assert (stored["n"], stored["paid"]) == (claims, paid)
    assert events["n"] == audited["n"] == claims
    assert not of_customer(pipeline, "SELECT reason FROM dead_letters", customer)


@pytest.mark.parametrize("path", GOOD_835, ids=lambda path: path.name)
def test_an_advice_balances_or_says_that_it_does_not(
    pipeline: "Pipeline", sent: "Mapping[Path, tuple[str, str]]", path: Path
) -> None:
    """BPR02 = ΣCLP04 - ΣPLB, by what was stored; the advice that breaks it carries a finding."""
    _, customer = sent[path]
    advices = pipeline.rows(
        """
        SELECT r.paid_cents, r.claims_paid_cents, r.findings,
            (SELECT coalesce(sum(amount_cents), 0) FROM adjustments a WHERE a.owner_id = r.id) AS plb_cents,
            (SELECT coalesce(sum(paid_cents), 0) FROM claim_payments p WHERE p.remittance_id = r.id) AS clp_cents
        FROM remittances r WHERE r.customer_id = CAST(:customer AS uuid)
        """,
        customer=customer,
    )
    assert advices
    for advice in advices:
        assert advice["clp_cents"] == advice["claims_paid_cents"]
        balanced = advice["paid_cents"] == advice["clp_cents"] - advice["plb_cents"]
        assert balanced or advice["findings"], path.name


@pytest.mark.parametrize("path", GOOD_FHIR, ids=lambda path: path.name)
def test_a_fhir_resource_is_stored_with_its_amounts(
    pipeline: "Pipeline", sent: "Mapping[Path, tuple[str, str]]", path: Path
) -> None:
    _, customer = sent[path]
    resource = json.loads(path.read_text(), parse_float=Decimal)
    assert not of_customer(pipeline, "SELECT reason FROM dead_letters", customer)
    events = of_customer(pipeline, "SELECT event_type FROM outbox", customer)
    audited = of_customer(pipeline, "SELECT count(DISTINCT event_id) AS n FROM executions", customer)[0]
    assert audited["n"] == len(events) >= 1
    if resource.get("use") == "preauthorization" and resource["resourceType"] == "Claim":
        requests = of_customer(pipeline, "SELECT trace_number, status FROM authorization_requests", customer)
        assert [request["status"] for request in requests] == ["requested"]
        assert [event["event_type"] for event in events] == ["authorization.requested"]
    elif resource["resourceType"] == "Claim":
        claim = of_customer(pipeline, "SELECT charge_cents FROM claims", customer)[0]
        assert claim["charge_cents"] == _charged(resource)
        assert [event["event_type"] for event in events] == ["claim.submitted"]
    elif resource.get("use", "claim") == "claim" and "payment" in resource:
        stored = of_customer(pipeline, "SELECT sum(paid_cents) AS paid FROM claim_payments", customer)[0]
        assert stored["paid"] == _cents(resource["payment"].get("amount"))


@pytest.mark.parametrize("path", GOOD_OTHERS, ids=lambda path: path.name)
def test_what_is_said_before_a_payment_is_stored_and_put_before_the_rules(
    pipeline: "Pipeline", sent: "Mapping[Path, tuple[str, str]]", path: Path
) -> None:
    _, customer = sent[path]
    table, told = OTHERS[path.parent.name]
    assert not of_customer(pipeline, "SELECT reason FROM dead_letters", customer)
    assert of_customer(pipeline, f"SELECT id FROM {table}", customer)  # noqa: S608 - a name from above
    events = of_customer(pipeline, "SELECT id, event_type FROM outbox", customer)
    assert {event["event_type"] for event in events} <= told
    audited = of_customer(pipeline, "SELECT DISTINCT event_id FROM executions", customer)
    assert {row["event_id"] for row in audited} == {event["id"] for event in events} != set()


@pytest.mark.parametrize("path", FAULTY, ids=lambda path: path.name)
def test_the_event_of_a_claim_with_faults_says_where_they_are(
    pipeline: "Pipeline", sent: "Mapping[Path, tuple[str, str]]", path: Path
) -> None:
    _, customer = sent[path]
    events = of_customer(pipeline, "SELECT data FROM outbox", customer)
    found = [finding for event in events for finding in json.loads(bytes(event["data"]))["findings"]]
    assert found
    for finding in found:
        assert finding.keys() == {"code", "severity", "place", "detail"}
        assert PLACE.match(finding["place"])
        assert finding["severity"] in {"error", "warning", "info"}


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.name)
def test_a_malformed_file_is_a_dead_letter_that_names_the_place(
    pipeline: "Pipeline", sent: "Mapping[Path, tuple[str, str]]", path: Path
) -> None:
    event_id, customer = sent[path]
    letters = of_customer(
        pipeline,
        "SELECT CAST(event_id AS text) AS event_id, consumer, code, reason, attempts, body FROM dead_letters",
        customer,
    )
    assert len(letters) == 1
    letter = letters[0]
    assert (letter["event_id"], letter["consumer"], letter["attempts"]) == (event_id, "process_webhook", 1)
    assert letter["code"] in {"unreadable_payload", "unknown_format"}
    assert PLACE.match(letter["reason"]), letter["reason"]
    assert bytes(letter["body"]) == path.read_bytes()
    assert not of_customer(pipeline, "SELECT id FROM claims", customer)


def _by_oxedi(path: Path) -> tuple[int, int]:
    """Return the count of claims and the cents paid, as `oxedi` reads them; it prints a null as ∅."""
    _, header, *lines = oxedi.parse(path.read_bytes()).tables["claims"].render().strip().splitlines()
    column = [name.partition(":")[0] for name in header.split(" | ")].index("payment_amount")
    amounts = [line.split(" | ")[column] for line in lines]
    return len(lines), sum(int(Decimal(amount) * 100) for amount in amounts if amount != "∅")


def _charged(claim: "Mapping[str, Any]") -> int:
    """Return the claim's total, or where it states none the sum of its items."""
    if "total" in claim:
        return _cents(claim["total"])
    return sum(_cents(item.get("net") or item.get("unitPrice")) for item in claim.get("item", ()))


def _cents(money: "Mapping[str, Any] | None") -> int:
    return int((Decimal(money["value"]) * 100).to_integral_value()) if money and "value" in money else 0
