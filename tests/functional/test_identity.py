"""One claim across its story: 837 → 999, 277CA, 277 → 835 → correction, each join by itself, whatever came first."""

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import pytest

from shared.domain.events import Event, Received
from shared.handlers.process_webhook import process_webhook
from shared.ports.clock import system_clock
from tests.functional.test_any_order import advice, claim

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

ISA = "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PRACTICE       *261101*1200*^*00501*000000001*0*P*:~"


def x12(kind: str, guide: str, body: str, *, group: str = "17") -> bytes:
    count = body.count("~") + 2
    head = f"{ISA}GS*HX*PAYER*PRACTICE*20261101*1200*{group}*X*{guide}~ST*{kind}*0001~"
    return f"{head}{body}SE*{count}*0001~GE*1*{group}~IEA*1*000000001~".encode()


def submission(number: str, *, frequency: str = "1", original: str = "") -> bytes:
    reference = f"REF*F8*{original}~" if original else ""
    return x12(
        "837",
        "005010X222A1",
        "BHT*0019*00*BATCH-1*20261001*1200*CH~HL*1**20*1~NM1*85*2*PRACTICE*****XX*1234567893~HL*2*1*22*0~SBR*P*18~"
        f"NM1*IL*1*SAMPLE*PAT****MI*M1~NM1*PR*2*OAK HEALTH~CLM*{number}*100***11:B:{frequency}~{reference}"
        "LX*1~SV1*HC:99213*100*UN*1~DTP*472*D8*20260920~",
    )


def status(guide: str, numbers: str, stc: str) -> bytes:
    return x12(
        "277",
        guide,
        "BHT*0010*08*1*20261005*1200*DG~HL*1**20*1~NM1*PR*2*OAK HEALTH~HL*2*1*21*1~NM1*41*2*PRACTICE~HL*3*2*19*1~"
        f"NM1*1P*2*PRACTICE~HL*4*3*22*0~NM1*IL*1*SAMPLE*PAT****MI*M1~{numbers}{stc}",
    )


ACCEPTED = status("005010X214", "TRN*2*OUR-1~", "STC*A2:20*20261002*WQ*100~REF*1K*ICN-1~")
BY_OUR_NUMBER = status("005010X212", "TRN*2*QUERY-1~", "STC*P1:20*20261005**100~REF*1K*ICN-1~REF*EJ*OUR-1~")
BY_PAYERS_NUMBER = status("005010X212", "TRN*2*QUERY-2~", "STC*F2:88*20261009**100*0~REF*1K*ICN-1~")
REJECTED_SET = x12(
    "999", "005010X231A1", "AK1*HC*17~AK2*837*0001~IK3*CLM*9**8~IK5*R*5~AK9*R*1*1*0~", group="99"
)
DENIED = advice(
    "T1", "20261010", 0, [claim("OUR-1", "4", 100, 0, "CAS*CO*197*100~").replace("POUR-1", "ICN-1")]
)
CORRECTION = submission("OUR-2", frequency="7", original="ICN-1")
CORRECTED = advice(
    "T2",
    "20261020",
    90,
    [
        claim("OUR-1", "22", -100, 0, "CAS*CO*197*-100~").replace("POUR-1", "ICN-1"),
        claim("OUR-2", "1", 100, 90, "CAS*CO*45*10~").replace("POUR-2", "ICN-2"),
    ],
)
STORY = [
    submission("OUR-1"),
    ACCEPTED,
    BY_OUR_NUMBER,
    BY_PAYERS_NUMBER,
    REJECTED_SET,
    DENIED,
    CORRECTION,
    CORRECTED,
]


def play(pipeline: "Pipeline", bodies: list[bytes]) -> str:
    customer = pipeline.customer()
    for body in bodies:
        event = Event(
            id=uuid5(UUID(int=9), f"{customer}{body!r}"),
            type="webhook.received",
            source="/test",
            subject="",
            time=datetime.now(UTC),
            customer_id=customer,
            data=body,
        )
        received = [Received(event, attempt=1, subscription="", attributes={})]
        process_webhook(
            received, record=pipeline.app.record, payloads=pipeline.app.payloads, clock=system_clock
        )
    return str(customer)


def ask(pipeline: "Pipeline", customer: str, statement: str) -> list[dict[str, Any]]:
    return [dict(row) for row in pipeline.rows(statement, c=customer)]


STANDINGS = """
SELECT c.claim_number, s.standing FROM claim_standings s JOIN claims c ON c.id = s.claim_id
WHERE s.customer_id = CAST(:c AS uuid) ORDER BY s.stated_on
"""
CORRECTIONS = """
SELECT c.claim_number, x.frequency, o.claim_number AS original FROM claim_corrections x
JOIN claims c ON c.id = x.claim_id JOIN claims o ON o.id = x.original_id WHERE x.customer_id = CAST(:c AS uuid)
"""
SETS = """
SELECT c.claim_number, a.outcome FROM submission_acknowledgements a
JOIN claims c ON c.customer_id = a.customer_id AND c.set_number = a.group_number || '/' || a.set_number
WHERE a.customer_id = CAST(:c AS uuid) ORDER BY 1
"""
CLAIMS = """
SELECT claim_number, status, paid_cents, first_status, first_paid_on, submitted_on, first_paid_on - submitted_on AS days
FROM claims WHERE customer_id = CAST(:c AS uuid) ORDER BY 1
"""


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_a_submission_and_its_acknowledgement_join_by_our_number(
    pipeline: "Pipeline", order: tuple[int, ...]
) -> None:
    pieces = [submission("OUR-1"), ACCEPTED]
    customer = play(pipeline, [pieces[nth] for nth in order])
    assert ask(pipeline, customer, STANDINGS) == [{"claim_number": "OUR-1", "standing": "accepted"}]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_status_without_our_number_joins_by_the_payers(
    pipeline: "Pipeline", order: tuple[int, ...]
) -> None:
    pieces = [submission("OUR-1"), BY_PAYERS_NUMBER, DENIED]
    customer = play(pipeline, [pieces[nth] for nth in order])
    assert ask(pipeline, customer, STANDINGS) == [{"claim_number": "OUR-1", "standing": "denied"}]


def test_a_refused_set_joins_its_claims_by_its_control_numbers(pipeline: "Pipeline") -> None:
    customer = play(pipeline, [REJECTED_SET, submission("OUR-1")])
    assert ask(pipeline, customer, SETS) == [{"claim_number": "OUR-1", "outcome": "rejected"}]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_correction_joins_its_original_by_the_payers_number(
    pipeline: "Pipeline", order: tuple[int, ...]
) -> None:
    pieces = [submission("OUR-1"), DENIED, CORRECTION]
    customer = play(pipeline, [pieces[nth] for nth in order])
    assert ask(pipeline, customer, CORRECTIONS) == [
        {"claim_number": "OUR-2", "frequency": "7", "original": "OUR-1"}
    ]


def test_the_pieces_of_one_story_end_in_the_same_rows_in_any_order(pipeline: "Pipeline") -> None:
    def state(bodies: list[bytes]) -> list[list[dict[str, Any]]]:
        customer = play(pipeline, bodies)
        return [ask(pipeline, customer, query) for query in (CLAIMS, STANDINGS, CORRECTIONS, SETS)]

    expected = state(STORY)
    original, correction = expected[0]
    assert (original["status"], original["first_status"], original["paid_cents"]) == ("reversed", "denied", 0)
    assert (correction["status"], correction["paid_cents"], correction["days"]) == ("paid", 9000, 19)
    for shift in range(1, len(STORY)):
        assert state([*STORY[shift:], *STORY[:shift]]) == expected
    assert state([*reversed(STORY), *STORY]) == expected
