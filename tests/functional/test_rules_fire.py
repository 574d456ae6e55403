"""The five starter rules, from a payer's bytes to the audit trail and what follows."""

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from shared.ports.connections import Connection
from shared.rules.documents import from_yaml
from shared.rules.loader import PACKS

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

ENVELOPE = "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PRACTICE       *261101*1200*^*00501*000000001*0*P*:~"


THERAPY_CLAIM = (
    b'{"resourceType":"Claim","status":"active","use":"claim","created":"2026-11-02",'
    b'"identifier":[{"value":"RISKY"}],"insurer":{"display":"Oak Health"},"patient":{"display":"Pat Sample"},'
    b'"provider":{"display":"P"},"total":{"value":120,"currency":"USD"},"item":[{"sequence":1,'
    b'"productOrService":{"coding":[{"code":"97110"}]},"net":{"value":120,"currency":"USD"}}]}'
)


def advice(trace: str, number: str, code: str, charge: int, paid: int, adjustment: str) -> bytes:
    return (
        f"{ENVELOPE}GS*HP*PAYER*PRACTICE*20261101*1200*1*X*005010X221A1~ST*835*0001~"
        f"BPR*I*{paid}*C*ACH************20261101~TRN*1*{trace}*1512345678~DTM*405*20261101~"
        f"N1*PR*OAK HEALTH~N1*PE*PRACTICE*XX*9999999995~LX*1~CLP*{number}*{code}*{charge}*{paid}**12*P1~"
        f"NM1*QC*1*SAMPLE*PAT****MI*M1~SVC*HC:99213*{charge}*{paid}~{adjustment}SE*13*0001~GE*1*1~IEA*1*000000001~"
    ).encode()


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A customer's own webhook endpoint."""
    got: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            got.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def practice(pipeline: "Pipeline", receiver: tuple[str, list[dict[str, str]]]) -> Connection:
    channel = {"id": "hook", "kind": "webhook", "target": receiver[0], "secret_name": "test-hook"}
    pipeline.app.secret_store.add_version("test-hook", "whsec_" + "H" * 43 + "=")  # type: ignore[attr-defined]
    customer = pipeline.customer("Practice", [channel])
    for path in sorted(PACKS.glob("*.yaml")):
        pipeline.rule(customer, from_yaml(path.read_text())[0])  # type: ignore[arg-type]
    return pipeline.connection(customer)


def of(pipeline: "Pipeline", statement: str, practice: Connection) -> list[Any]:
    return pipeline.rows(statement, c=str(practice.customer_id))


def fired(pipeline: "Pipeline", practice: Connection) -> dict[str, int]:
    rows = of(
        pipeline,
        "SELECT rule_id, count(*) AS n FROM executions WHERE customer_id = CAST(:c AS uuid)"
        " AND decision <> 'no_match' GROUP BY 1",
        practice,
    )
    return {row["rule_id"]: row["n"] for row in rows}


def test_a_large_denial_raises_a_task_and_tells_the_customer_once(
    pipeline: "Pipeline", practice: Connection, receiver: tuple[str, list[dict[str, str]]]
) -> None:
    body = advice("D1", "C1", "4", 900, 0, "CAS*CO*197*900~")
    event = pipeline.send(practice, body, delivery_id="one").body["event_id"]
    assert pipeline.drained()
    pipeline.send(practice, body, delivery_id="one")
    pipeline.send(practice, body, delivery_id="another")
    assert pipeline.drained()
    assert fired(pipeline, practice) == {"denial-over-amount": 1}
    tasks = of(
        pipeline,
        "SELECT type, state FROM actions WHERE customer_id = CAST(:c AS uuid) ORDER BY type",
        practice,
    )
    assert tasks == [{"type": "create_task", "state": "open"}, {"type": "notify", "state": "settled"}]
    assert len(receiver[1]) == 1
    told = of(
        pipeline, "SELECT id, outcome FROM notifications WHERE customer_id = CAST(:c AS uuid)", practice
    )
    assert [(str(row["id"]), row["outcome"]) for row in told] == [(receiver[1][0]["webhook-id"], "delivered")]
    audit = of(
        pipeline,
        "SELECT e.rule_version, e.result, e.explanation, e.execution_time_ms, i.event_id FROM executions e"
        " JOIN inbox i ON i.trace_id = e.trace_id AND i.consumer = 'process_webhook'"
        " WHERE e.customer_id = CAST(:c AS uuid)",
        practice,
    )
    assert len(audit) == 1
    assert (audit[0]["rule_version"], audit[0]["result"], str(audit[0]["event_id"])) == (1, "SUCCESS", event)
    assert audit[0]["execution_time_ms"] > 0
    assert {part["fact"] for part in audit[0]["explanation"]} >= {"denial.amount_cents"}


def test_three_denials_in_a_row_escalate(pipeline: "Pipeline", practice: Connection) -> None:
    for nth in range(4):
        pipeline.send(practice, advice(f"S{nth}", f"S{nth}", "4", 40, 0, "CAS*CO*16*40~"))
        assert pipeline.drained()
    assert fired(pipeline, practice) == {"three-denials-in-a-row": 2}  # the third and the fourth
    alerts = of(pipeline, "SELECT severity, state FROM alerts WHERE customer_id = CAST(:c AS uuid)", practice)
    assert {(alert["severity"], alert["state"]) for alert in alerts} == {("critical", "open")}


def test_an_underpayment_is_appealed_only_against_a_contract(
    pipeline: "Pipeline", practice: Connection
) -> None:
    pipeline.send(practice, advice("U0", "U0", "1", 300, 120, "CAS*CO*45*180~"))
    assert pipeline.drained()
    assert fired(pipeline, practice) == {}
    pipeline.execute(
        "INSERT INTO fee_schedules VALUES (CAST(:c AS uuid), 'oak-health', '99213', '2026-01-01', 25000)",
        c=str(practice.customer_id),
    )
    pipeline.send(practice, advice("U1", "U1", "1", 300, 120, "CAS*CO*45*180~"))
    assert pipeline.drained()
    assert fired(pipeline, practice) == {"underpayment-against-contract": 1}
    requested = of(
        pipeline, "SELECT topic, event_type FROM outbox WHERE customer_id = CAST(:c AS uuid)", practice
    )
    assert {"topic": "portal-actions", "event_type": "action.requested"} in requested


def test_a_risky_claim_is_held_with_its_factors(pipeline: "Pipeline", practice: Connection) -> None:
    for nth in range(3):
        pipeline.send(
            practice, advice(f"R{nth}", f"R{nth}", "4", 40, 0, "CAS*CO*16*40~").replace(b"99213", b"97110")
        )
    assert pipeline.drained()
    pipeline.send(practice, THERAPY_CLAIM, content_type="application/fhir+json")
    assert pipeline.drained()
    held = of(
        pipeline,
        "SELECT hold_reason, risk_score, risk_factors FROM claims"
        " WHERE customer_id = CAST(:c AS uuid) AND claim_number = 'RISKY'",
        practice,
    )[0]
    assert held["hold_reason"] == "denial_risk"
    assert held["risk_score"] >= 70
    assert sum(f["contribution"] for f in held["risk_factors"]) == pytest.approx(held["risk_score"], abs=0.5)


def test_an_older_submission_that_comes_late_does_not_overwrite_the_score(
    pipeline: "Pipeline", practice: Connection
) -> None:
    for nth in range(3):
        pipeline.send(
            practice, advice(f"O{nth}", f"O{nth}", "4", 40, 0, "CAS*CO*16*40~").replace(b"99213", b"97110")
        )
    assert pipeline.drained()
    corrected, older = (
        THERAPY_CLAIM.replace(b'"97110"}]}', b'"97110"}]},"modifier":[{"coding":[{"code":"GP"}]}]'),
        (THERAPY_CLAIM.replace(b"2026-11-02", b"2026-11-01")),
    )
    for body in (corrected, older):
        pipeline.send(practice, body, content_type="application/fhir+json")
        assert pipeline.drained()
    claim = of(
        pipeline,
        "SELECT risk_score, modifiers FROM claims"
        " WHERE customer_id = CAST(:c AS uuid) AND claim_number = 'RISKY'",
        practice,
    )[0]
    assert claim["modifiers"] == ["GP"]
    scored = of(
        pipeline,
        "SELECT e.decision FROM executions e WHERE e.customer_id = CAST(:c AS uuid)"
        " AND e.event_type = 'claim.submitted' ORDER BY e.created_at",
        practice,
    )
    assert len(scored) == 2
    assert claim["risk_score"] < 80  # the older one, without its modifier, scores 100


def test_a_rule_in_shadow_leaves_its_decision_and_nothing_else(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    rule: Any = from_yaml((PACKS / "denial-over-amount.yaml").read_text())[0]
    pipeline.rule(customer, {**rule, "mode": "shadow"})
    practice = pipeline.connection(customer)
    pipeline.send(practice, advice("H1", "H1", "4", 900, 0, "CAS*CO*197*900~"))
    assert pipeline.drained()
    rows = of(
        pipeline, "SELECT decision, result FROM executions WHERE customer_id = CAST(:c AS uuid)", practice
    )
    assert rows == [{"decision": "shadow", "result": "SHADOW"}]
    assert not of(pipeline, "SELECT id FROM actions WHERE customer_id = CAST(:c AS uuid)", practice)


def test_a_stored_rule_that_no_longer_loads_alerts_and_does_not_stop_the_others(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    rule: Any = from_yaml((PACKS / "denial-over-amount.yaml").read_text())[0]
    pipeline.rule(customer, rule)
    broken = {**rule, "id": "broken", "when": {"fact": "no.such_fact", "op": "eq", "value": "1"}}
    pipeline.rule(customer, broken)
    practice = pipeline.connection(customer)
    pipeline.send(practice, advice("B1", "B1", "4", 900, 0, "CAS*CO*197*900~"), delivery_id=uuid4().hex)
    assert pipeline.drained()
    rows = of(
        pipeline,
        "SELECT rule_id, result FROM executions WHERE customer_id = CAST(:c AS uuid) ORDER BY rule_id",
        practice,
    )
    assert rows == [
        {"rule_id": "broken", "result": "FAILED"},
        {"rule_id": "denial-over-amount", "result": "SUCCESS"},
    ]
    alerts = of(pipeline, "SELECT rule_id FROM alerts WHERE customer_id = CAST(:c AS uuid)", practice)
    assert {"rule_id": "broken"} in alerts


def course_rule(name: str, fact: str, op: str, value: int | str, other: int | str) -> dict[str, object]:
    """Return a rule that leaves a task where a claim's course is so. other: a value of which it does not fire."""
    return {
        "id": name,
        "version": 1,
        "name": name,
        "trigger": "claim.paid",
        "when": {"fact": fact, "op": op, "value": value},
        "then": [{"action": "create_task", "params": {"kind": "look", "title": "Look"}}],
        "mode": "live",
        "examples": [
            {"given": {fact: value}, "expect": "fires"},
            {"given": {fact: other}, "expect": "does_not_fire"},
        ],
    }


def test_rules_may_ask_how_long_a_claim_took_and_what_was_decided_first(pipeline: "Pipeline") -> None:
    connection = pipeline.connection()
    for rule in (
        course_rule("slow", "claim.days_to_pay", "gte", 30, 29),
        course_rule("very-slow", "claim.days_to_pay", "gte", 31, 30),
        course_rule("denied-first", "claim.first_decision", "eq", "denied", "paid"),
        course_rule("paid-first", "claim.first_decision", "eq", "paid", "denied"),
    ):
        pipeline.rule(connection.customer_id, rule)
    sent = THERAPY_CLAIM.replace(b'"RISKY"', b'"W1"')
    assert sent != THERAPY_CLAIM
    pipeline.send(connection, sent, content_type="application/fhir+json")
    assert pipeline.drained()
    [claim] = of(pipeline, "SELECT submitted_on FROM claims WHERE customer_id = CAST(:c AS uuid)", connection)
    denied_on, paid_on = (claim["submitted_on"] + timedelta(days=days) for days in (10, 30))
    for trace, on, code, paid, adjustment in (
        ("T1", denied_on, "4", 0, "CAS*CO*197*40~"),
        ("T2", paid_on, "1", 40, ""),
    ):
        body = advice(trace, "W1", code, 40, paid, adjustment)
        pipeline.send(connection, re.sub(rb"DTM\*405\*\d{8}", b"DTM*405*" + f"{on:%Y%m%d}".encode(), body))
        assert pipeline.drained()
    assert fired(pipeline, connection) == {"slow": 1, "denied-first": 1}
