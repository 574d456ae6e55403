"""What payers' decisions mean for a claim and for its payer's sums: whose they are, and whether they are any."""

from typing import TYPE_CHECKING, Any

from tests.functional.test_any_order import advice, claim
from tests.functional.test_identity import play

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline


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
