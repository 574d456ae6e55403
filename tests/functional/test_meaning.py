"""What payers' decisions mean for a claim and for its payer's sums: whose they are, and whether they are any."""

from typing import TYPE_CHECKING, Any

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
