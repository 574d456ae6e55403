"""What payers' decisions mean for a claim and for its payer's sums: whose they are, and whether they are any."""

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from shared.adapters.postgres.cases import PostgresCaseFiles
from shared.rules.documents import from_yaml
from shared.rules.loader import PACKS
from tests.functional.test_any_order import advice, claim, submitted
from tests.functional.test_identity import play

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline


CLAIMS = """
SELECT claim_number, status, payer_key, charge_cents FROM claims WHERE customer_id = CAST(:c AS uuid) ORDER BY 1
"""


def ask(pipeline: "Pipeline", customer: str, statement: str) -> list[dict[str, Any]]:
    return [dict(row) for row in pipeline.rows(statement, c=customer)]


def test_the_sums_go_by_the_reason_that_refuses(pipeline: "Pipeline") -> None:
    denied = claim("A1", "2", 1000, 0, "CAS*OA*23*900~CAS*CO*29*100~")
    customer = play(pipeline, [advice("T1", "20261010", 0, [denied])])
    assert ask(
        pipeline,
        customer,
        "SELECT carc, denied FROM claim_daily_reasons WHERE customer_id = CAST(:c AS uuid)",
    ) == [{"carc": "29", "denied": 1}]


PENDED = "CAS*PI*101*100~"


def test_an_answer_that_decides_nothing_counts_for_nothing(pipeline: "Pipeline") -> None:
    customer = play(
        pipeline,
        [
            submitted("A1", "100.00", "2026-10-02"),
            advice(
                "T1", "20261010", 0, [claim("A1", "25", 100, 0, PENDED), claim("A2", "23", 100, 0, PENDED)]
            ),
        ],
    )
    assert ask(pipeline, customer, CLAIMS) == [
        {"claim_number": "A1", "status": "submitted", "payer_key": "oak-health", "charge_cents": 10_000},
        {"claim_number": "A2", "status": "submitted", "payer_key": "oak-health", "charge_cents": 10_000},
    ]
    assert not ask(
        pipeline, customer, "SELECT day FROM claim_daily_stats WHERE customer_id = CAST(:c AS uuid)"
    )
    assert not ask(
        pipeline, customer, "SELECT day FROM payment_service_lines WHERE customer_id = CAST(:c AS uuid)"
    )
    assert ask(
        pipeline, customer, "SELECT lag_days, claims FROM claim_lags WHERE customer_id = CAST(:c AS uuid)"
    ) == [{"lag_days": -1, "claims": 1}]
    assert ask(
        pipeline,
        customer,
        "SELECT event_type, count(*) AS n FROM outbox WHERE customer_id = CAST(:c AS uuid) GROUP BY 1 ORDER BY 1",
    ) == [{"event_type": "claim.status_changed", "n": 2}, {"event_type": "claim.submitted", "n": 1}]


def test_nobody_appeals_what_is_not_the_price(pipeline: "Pipeline") -> None:
    connection = pipeline.connection()
    rule: Any = from_yaml((PACKS / "underpayment-against-contract.yaml").read_text())[0]
    pipeline.rule(connection.customer_id, rule)
    pipeline.execute(
        "INSERT INTO fee_schedules VALUES (CAST(:c AS uuid), 'oak-health', '99213', '2026-01-01', 10000)",
        c=str(connection.customer_id),
    )
    claims = [
        claim("U1", "25", 100, 0, PENDED),
        claim("U2", "23", 100, 0, "CAS*OA*B11*100~"),
        claim("U3", "1", 100, 0, "CAS*CO*24*100~"),
        claim("U4", "1", 100, 0, "CAS*OA*257*100~"),
        claim("U5", "2", 100, 20, "CAS*OA*23*80~"),
        claim("U6", "1", 100, 60, "CAS*CO*45*40~"),
    ]
    assert pipeline.send(connection, advice("T1", "20261010", 80, claims)).status == 202
    assert pipeline.drained()
    customer = str(connection.customer_id)
    assert ask(
        pipeline,
        customer,
        "SELECT c.claim_number FROM executions e JOIN claims c ON e.subject = 'claims/' || c.id"
        " WHERE e.customer_id = CAST(:c AS uuid) AND e.decision = 'fired'",
    ) == [{"claim_number": "U6"}]
    assert ask(
        pipeline,
        customer,
        "SELECT lines, received_cents FROM payment_service_lines WHERE customer_id = CAST(:c AS uuid)",
    ) == [{"lines": 1, "received_cents": 6_000}]


COURSE = """
SELECT status, payer_key, submitted_on, decided_on, first_status, paid_cents, patient_cents, lag_days, stat_paid_cents
FROM claims WHERE customer_id = CAST(:c AS uuid)
"""
TO_OAK = submitted("A1", "100.00", "2026-10-02")
TO_ELM = submitted("A1", "100.00", "2026-10-15", payer="Elm Health", rank=2)


def oak(code: str, paid: int, adjustment: str, *, patient: str = "") -> bytes:
    body = claim("A1", code, 100, paid, adjustment).replace(f"*100*{paid}**12", f"*100*{paid}*{patient}*12")
    return advice(f"OAK-{code}-{paid}", "20261012", paid, [body])


def elm(code: str, paid: int, adjustment: str) -> bytes:
    return advice(
        f"ELM-{code}-{paid}", "20261020", paid, [claim("A1", code, 100, paid, adjustment)], "ELM HEALTH"
    )


PAID_80 = oak("1", 80, "CAS*PR*2*20~", patient="20")


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        # The next payer pays what the first left to the patient.
        ([PAID_80, elm("2", 20, "CAS*OA*23*80~")], ("paid", 10_000, 0)),
        # It refuses: by its turn, by what an earlier payer paid, or by name alone. The patient owes what was left.
        ([PAID_80, elm("2", 0, "CAS*CO*22*100~")], ("paid", 8_000, 2_000)),
        ([PAID_80, elm("4", 0, "CAS*OA*23*80~CAS*CO*29*20~")], ("paid", 8_000, 2_000)),
        ([PAID_80, elm("4", 0, "CAS*CO*31*100~")], ("paid", 8_000, 2_000)),
        # The first payer denied, and that the next one paid does not undo it.
        ([oak("1", 0, "CAS*CO*50*100~"), elm("2", 60, "CAS*CO*45*40~")], ("denied", 6_000, 0)),
        ([oak("4", 0, "CAS*CO*50*100~"), elm("2", 60, "CAS*CO*45*40~")], ("denied", 6_000, 0)),
    ],
)
def test_a_claim_is_decided_by_the_payer_that_is_asked_first(
    pipeline: "Pipeline", bodies: list[bytes], expected: tuple[str, int, int]
) -> None:
    for order in itertools.permutations([TO_OAK, TO_ELM, *bodies]):
        [found] = ask(pipeline, play(pipeline, list(order)), COURSE)
        assert (found["status"], found["paid_cents"], found["patient_cents"]) == expected
        assert (found["payer_key"], found["first_status"], found["lag_days"]) == (
            "oak-health",
            expected[0],
            10,
        )
        assert (f"{found['submitted_on']}", f"{found['decided_on']}") == ("2026-10-02", "2026-10-12")
        assert found["stat_paid_cents"] == (8_000 if expected[0] == "paid" else 0)


def test_a_claim_that_only_the_next_payer_decided_is_decided_by_it(pipeline: "Pipeline") -> None:
    [found] = ask(pipeline, play(pipeline, [elm("2", 20, "CAS*OA*23*80~")]), COURSE)
    assert (found["status"], found["payer_key"], found["paid_cents"]) == ("paid", "elm-health", 2_000)


def test_the_risk_of_a_claim_is_that_of_its_first_payers_submission(pipeline: "Pipeline") -> None:
    scores = set()
    for order in itertools.permutations([TO_OAK, TO_ELM.replace(b"99213", b"97110")]):
        connection = pipeline.connection()
        for body in order:
            assert pipeline.send(connection, body, content_type="application/fhir+json").status == 202
            assert pipeline.drained()
        [found] = ask(
            pipeline,
            str(connection.customer_id),
            "SELECT risk_score FROM claims WHERE customer_id = CAST(:c AS uuid)",
        )
        scores.add(found["risk_score"])
    assert len(scores) == 1


def test_what_a_payer_did_is_found_under_the_name_that_its_claims_were_sent_to(pipeline: "Pipeline") -> None:
    connection = pipeline.connection()
    for path in ("three-denials-in-a-row", "underpayment-against-contract"):
        rule: Any = from_yaml((PACKS / f"{path}.yaml").read_text())[0]
        pipeline.rule(connection.customer_id, rule)
    pipeline.execute(
        "INSERT INTO fee_schedules VALUES (CAST(:c AS uuid), 'oak-health-plan', '99213', '2026-01-01', 10000)",
        c=str(connection.customer_id),
    )
    for nth in range(4):
        sent = submitted(f"S{nth}", "100.00", "2026-10-02", payer="Oak Health Plan")
        pipeline.send(connection, sent, content_type="application/fhir+json")
    assert pipeline.drained()
    for nth in range(4):
        code, paid, reason = ("1", 60, "CAS*CO*45*40~") if nth == 3 else ("1", 0, "CAS*CO*16*100~")
        pipeline.send(
            connection, advice(f"T{nth}", f"2026101{nth}", paid, [claim(f"S{nth}", code, 100, paid, reason)])
        )
        assert pipeline.drained()
    customer = str(connection.customer_id)
    assert ask(
        pipeline,
        customer,
        "SELECT c.claim_number, e.rule_id FROM executions e JOIN claims c ON e.subject = 'claims/' || c.id"
        " WHERE e.customer_id = CAST(:c AS uuid) AND e.decision = 'fired' ORDER BY 1",
    ) == [
        {"claim_number": "S2", "rule_id": "three-denials-in-a-row"},
        {"claim_number": "S3", "rule_id": "underpayment-against-contract"},
    ]
    [underpaid] = ask(
        pipeline,
        customer,
        "SELECT id FROM claims WHERE customer_id = CAST(:c AS uuid) AND claim_number = 'S3'",
    )
    case = PostgresCaseFiles(pipeline.app.engine).claim(connection.customer_id, underpaid["id"])
    assert case is not None
    assert (case.contracted_cents, case.disputed_cents) == (10_000, 4_000)
