"""Any order and any repetition of the same deliveries ends in the same state."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4, uuid5

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.events import Event, Received
from shared.handlers.process_webhook import process_webhook
from shared.ports.clock import system_clock
from shared.runtime.errors import TransientError

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

ENVELOPE = "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PRACTICE       *261101*1200*^*00501*000000001*0*P*:~"


def advice(trace: str, on: str, paid: int, claims: Sequence[str], payer: str = "OAK HEALTH") -> bytes:
    body = "".join(claims)
    segments = body.count("~") + 8
    text = (
        f"{ENVELOPE}GS*HP*PAYER*PRACTICE*{on}*1200*1*X*005010X221A1~ST*835*0001~"
        f"BPR*I*{paid}*{'C' if paid >= 0 else 'D'}*ACH************{on}~TRN*1*{trace}*1512345678~DTM*405*{on}~"
        f"N1*PR*{payer}~N1*PE*PRACTICE*XX*9999999995~LX*1~{body}SE*{segments}*0001~GE*1*1~IEA*1*000000001~"
    )
    return text.encode()


def claim(number: str, code: str, charge: int, paid: int, adjustment: str, procedure: str = "99213") -> str:
    return (
        f"CLP*{number}*{code}*{charge}*{paid}**12*P{number}~NM1*QC*1*SAMPLE*PAT****MI*M1~"
        f"SVC*HC:{procedure}*{charge}*{paid}~DTM*472*20261001~{adjustment}"
    )


def submitted(number: str, charge: str, on: str, *, payer: str = "Oak Health", rank: int = 1) -> bytes:
    return (
        f'{{"resourceType":"Claim","status":"active","use":"claim","created":"{on}",'
        f'"identifier":[{{"value":"{number}"}}],"insurer":{{"display":"{payer}"}},'
        f'"insurance":[{{"sequence":{rank},"focal":true,"coverage":{{"display":"x"}}}}],'
        f'"patient":{{"display":"Pat Sample"}},"provider":{{"display":"Practice"}},'
        f'"total":{{"value":{charge},"currency":"USD"}},"item":[{{"sequence":1,"productOrService":'
        f'{{"coding":[{{"code":"99213"}}]}},"net":{{"value":{charge},"currency":"USD"}}}}]}}'
    ).encode()


def named(number: str, identifier: str, charge: str, on: str) -> bytes:
    """The claim that `submitted` writes, as its server holds it: with an id, by which others refer to it."""
    body = submitted(identifier, charge, on)
    return body.replace(b'"resourceType":"Claim",', f'"resourceType":"Claim","id":"{number}",'.encode())


def money(category: str, value: str) -> str:
    """One adjudication of an item."""
    return (
        f'{{"category":{{"coding":[{{"code":"{category}"}}]}},"amount":{{"value":{value},"currency":"USD"}}}}'
    )


def decided(
    number: str,
    version: int,
    paid: str,
    *,
    status: str = "active",
    on: str = "2026-10-12",
    outcome: str = "complete",
) -> bytes:
    """A ClaimResponse, as its payer's server holds it in this version: the same resource, updated in place."""
    return (
        f'{{"resourceType":"ClaimResponse","id":"r-{number}","status":"{status}","use":"claim","outcome":"{outcome}",'
        f'"meta":{{"versionId":"{version}","lastUpdated":"2026-10-{10 + version}T08:00:00Z"}},"created":"{on}",'
        f'"insurer":{{"display":"Oak Health"}},"patient":{{"display":"Pat Sample"}},'
        f'"request":{{"identifier":{{"value":"{number}"}}}},'
        f'"total":[{{"category":{{"coding":[{{"code":"submitted"}}]}},"amount":{{"value":100.00,"currency":"USD"}}}}],'
        f'"item":[{{"itemSequence":1,"adjudication":[{money("submitted", "100.00")},{money("benefit", paid)}]}}],'
        f'"payment":{{"type":{{"text":"x"}},"amount":{{"value":{paid},"currency":"USD"}}}}}}'
    ).encode()


def answering(number: str, response: bytes) -> bytes:
    """The same answer, to the claim that its server calls so."""
    identified = b'"request":{"identifier":{"value":"B6"}}'
    assert identified in response
    return response.replace(identified, f'"request":{{"reference":"Claim/{number}"}}'.encode())


STORY = [
    submitted("A1", "200.00", "2026-10-02"),
    submitted("A1", "210.00", "2026-10-20"),
    advice("T1", "20261010", 0, [claim("A1", "4", 200, 0, "CAS*CO*197*200~")]),
    advice(
        "T2",
        "20261015",
        90,
        [claim("A2", "1", 100, 90, "CAS*CO*45*10~"), claim("A3", "4", 50, 0, "CAS*CO*50*50~")],
    ),
    advice(
        "T3",
        "20261018",
        -20,
        [claim("A2", "22", -100, -90, "CAS*CO*45*-10~"), claim("A2", "1", 100, 70, "CAS*CO*45*30~")],
    ),
    advice("T4", "20261101", 180, [claim("A1", "1", 210, 180, "CAS*CO*45*30~")]),
    advice("T5", "20261103", -70, [claim("A2", "22", -100, -70, "CAS*CO*45*-30~")]),
    # A4 is paid 60, then in place 80 and 60 again; A5 is paid and withdrawn.
    decided("A4", 1, "60.00"),
    decided("A4", 2, "80.00"),
    decided("A4", 3, "60.00"),
    decided("A5", 1, "55.00"),
    decided("A5", 2, "55.00", status="cancelled"),
    # A6 is what its server calls Claim/6, and its answers say no more than that.
    named("6", "A6", "100.00", "2026-10-03"),
    answering("6", decided("B6", 1, "40.00", on="2026-10-13")),
    answering("6", decided("B6", 2, "45.00", on="2026-10-13")),
    advice("T6", "20261105", 5, [claim("A6", "1", 100, 5, "CAS*CO*45*95~")]),
    # N1 is priced, and never decided; N2 is paid, and taken up again.
    submitted("N1", "100.00", "2026-10-05"),
    advice("T7", "20261008", 0, [claim("N1", "25", 100, 0, "CAS*PI*101*100~")]),
    decided("N2", 1, "60.00"),
    decided("N2", 2, "60.00", outcome="queued"),
    # A8 is paid by its payer, and by the next one what that left; A9 is denied, then paid by the next one in part. The
    # next payer pays neither in the end: one payment it takes back, and of A8 it says that it knows no such patient.
    submitted("A8", "100.00", "2026-10-05"),
    submitted("A8", "100.00", "2026-10-15", payer="Elm Health", rank=2),
    advice(
        "T8",
        "20261010",
        80,
        [claim("A8", "1", 100, 80, "CAS*CO*45*20~"), claim("A9", "1", 100, 0, "CAS*CO*50*100~")],
    ),
    advice("T9", "20261020", 20, [claim("A8", "2", 100, 20, "CAS*OA*23*80~")], "ELM HEALTH"),
    advice("T10", "20261021", 30, [claim("A9", "2", 100, 30, "CAS*OA*23*70~")], "ELM HEALTH"),
    advice("T11", "20261022", -30, [claim("A9", "22", -100, -30, "CAS*OA*23*-70~")], "ELM HEALTH"),
    advice("T12", "20261023", 0, [claim("A8", "4", 100, 0, "CAS*CO*31*100~")], "ELM HEALTH"),
]

STATE = {
    "claims": """
        SELECT claim_number, payer_key, charge_cents, paid_cents, patient_cents, status, decided_on, submitted_on,
            procedures, first_status, first_paid_on, stat_day, stat_procedure, stat_denied, stat_charge_cents,
            stat_paid_cents, payer_claim_number
        FROM claims WHERE customer_id = CAST(:c AS uuid) ORDER BY claim_number
    """,
    "payments": """
        SELECT status, charge_cents, paid_cents, position, decided_on FROM claim_payments
        WHERE customer_id = CAST(:c AS uuid) ORDER BY decided_on, position, charge_cents, paid_cents, status
    """,
    "adjustments": """
        SELECT group_code, carc, line, sum(amount_cents) AS cents, count(*) AS n FROM adjustments
        WHERE customer_id = CAST(:c AS uuid) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """,
    "stats": """
        SELECT payer_key, procedure, day, decided, denied, charge_cents, paid_cents FROM claim_daily_stats
        WHERE customer_id = CAST(:c AS uuid)
            AND (decided <> 0 OR denied <> 0 OR charge_cents <> 0 OR paid_cents <> 0) ORDER BY 1, 2, 3
    """,
    "reasons": """
        SELECT payer_key, carc, procedure, day, denied, charge_cents FROM claim_daily_reasons
        WHERE customer_id = CAST(:c AS uuid) AND (denied <> 0 OR charge_cents <> 0) ORDER BY 1, 2, 3, 4
    """,
    "lags": """
        SELECT payer_key, submitted_on, lag_days, claims FROM claim_lags
        WHERE customer_id = CAST(:c AS uuid) AND claims <> 0 ORDER BY 1, 2, 3
    """,
    "lines": """
        SELECT payer_key, procedure, day, service_on, lines, units, received_cents FROM payment_service_lines
        WHERE customer_id = CAST(:c AS uuid) AND (lines <> 0 OR units <> 0 OR received_cents <> 0) ORDER BY 1, 2, 3, 4
    """,
    "events": """
        SELECT event_type, count(*) AS n FROM outbox WHERE customer_id = CAST(:c AS uuid) GROUP BY 1 ORDER BY 1
    """,
}

# From the claims and payments themselves, not from what was noted beside them.
RECOMPUTED = {
    "stats": """
        SELECT payer_key, coalesce(procedures[1], '') AS procedure, decided_on AS day, count(*) AS decided,
            count(*) FILTER (WHERE status = 'denied') AS denied, sum(charge_cents) AS charge_cents,
            sum(paid_cents - (SELECT coalesce(sum(p.paid_cents), 0) FROM claim_payments p
                WHERE p.claim_id = claims.id AND p.payer_key = 'elm-health')) AS paid_cents
        FROM claims
        WHERE customer_id = CAST(:c AS uuid) AND decided_on IS NOT NULL AND status <> 'reversed'
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """,
    "reasons": """
        SELECT c.payer_key, coalesce(r.carc, '') AS carc, coalesce(c.procedures[1], '') AS procedure,
            c.decided_on AS day, count(*) AS denied, sum(c.charge_cents) AS charge_cents
        FROM claims c CROSS JOIN LATERAL (
            SELECT id FROM claim_payments
            WHERE claim_id = c.id AND status <> 'not_decided' AND payer_key <> 'elm-health'
            ORDER BY decided_on DESC NULLS LAST, remittance_id DESC, position DESC, id DESC LIMIT 1
        ) AS l LEFT JOIN LATERAL (
            SELECT carc FROM adjustments
            WHERE owner_id = l.id AND carc NOT IN ('1', '2', '3', '23', '45', '131', '253')
            ORDER BY abs(amount_cents) DESC, carc LIMIT 1
        ) AS r ON true
        WHERE c.customer_id = CAST(:c AS uuid) AND c.decided_on IS NOT NULL AND c.status = 'denied'
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    """,
    "lags": """
        SELECT c.payer_key, c.submitted_on,
            CASE WHEN p.first_on IS NULL THEN -1 ELSE greatest(p.first_on - c.submitted_on, 0) END AS lag_days,
            count(*) AS claims
        FROM claims c LEFT JOIN (
            SELECT claim_id, min(decided_on) AS first_on FROM claim_payments
            WHERE status <> 'not_decided' AND payer_key <> 'elm-health' GROUP BY 1
        ) AS p ON p.claim_id = c.id
        WHERE c.customer_id = CAST(:c AS uuid) AND c.submitted_on IS NOT NULL
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """,
    "lines": """
        SELECT p.payer_key, l ->> 'procedure' AS procedure, p.decided_on AS day,
            coalesce(CAST(l ->> 'service_on' AS date), p.service_on, p.decided_on) AS service_on,
            sum(CASE WHEN p.status = 'reversed' THEN -1 ELSE 1 END) AS lines,
            sum(CASE WHEN p.status = 'reversed' THEN -1 ELSE 1 END) AS units,
            sum(CAST(l ->> 'paid_cents' AS bigint)) AS received_cents
        FROM claim_payments p CROSS JOIN LATERAL jsonb_array_elements(p.lines) AS l
        WHERE p.customer_id = CAST(:c AS uuid) AND CAST(l ->> 'paid_cents' AS bigint) <> 0
            AND p.status <> 'not_decided' AND p.payer_key <> 'elm-health'
            AND (p.resource_key = '' OR (p.status <> 'reversed' AND p.resource_version = (
                SELECT max(n.resource_version) FROM claim_payments n
                WHERE n.claim_id = p.claim_id AND n.resource_key = p.resource_key)))
        GROUP BY 1, 2, 3, 4 HAVING sum(CAST(l ->> 'paid_cents' AS bigint)) <> 0 ORDER BY 1, 2, 3, 4
    """,
}


def play(pipeline: "Pipeline", order: Sequence[int]) -> dict[str, Any]:
    """Process deliveries in an order, each time as a redelivery of one event, and return where that ends."""
    customer = pipeline.customer()
    for nth in order:
        deliver(pipeline, customer, nth)
    return where_it_ends(pipeline, customer)


def delivered(customer: UUID, nth: int) -> Received:
    event = Event(
        id=uuid5(UUID(int=7), f"{customer}{nth}"),
        type="webhook.received",
        source="/test",
        subject="",
        time=datetime.now(UTC),
        customer_id=customer,
        data=STORY[nth],
        content_type="application/octet-stream",
        extensions={"connectionid": str(UUID(int=8))},
    )
    return Received(event, attempt=1, subscription="", attributes={})


def deliver(pipeline: "Pipeline", customer: UUID, *nths: int) -> None:
    """Process deliveries in one transaction as push would bring them: again, as long as the answer is "not now"."""
    received = [delivered(customer, nth) for nth in nths]
    for _ in range(20):
        try:
            process_webhook(
                received, record=pipeline.app.record, payloads=pipeline.app.payloads, clock=system_clock
            )
        except TransientError:
            continue
        return
    raise AssertionError("never processed")


def where_it_ends(pipeline: "Pipeline", customer: UUID) -> dict[str, Any]:
    state: dict[str, Any] = {name: pipeline.rows(query, c=str(customer)) for name, query in STATE.items()}
    for sums, query in RECOMPUTED.items():
        assert state[sums] == pipeline.rows(query, c=str(customer)), sums
    return state


def test_the_story_ends_as_it_should(pipeline: "Pipeline") -> None:
    state = play(pipeline, range(len(STORY)))
    found = [(c["claim_number"], c["status"], c["charge_cents"], c["paid_cents"]) for c in state["claims"]]
    assert found == [
        ("A1", "paid", 21000, 18000),
        ("A2", "reversed", 10000, 0),
        ("A3", "denied", 5000, 0),
        ("A4", "paid", 10000, 6000),
        ("A5", "reversed", 10000, 0),
        ("A6", "paid", 10000, 5000),
        ("A8", "paid", 10000, 10000),
        ("A9", "denied", 10000, 0),
        ("N1", "submitted", 10000, 0),
        ("N2", "submitted", 10000, 0),
    ]
    lines = [(s["procedure"], s["day"].isoformat(), s["lines"], s["received_cents"]) for s in state["lines"]]
    assert ("", "2026-10-12", 1, 6000) in lines  # A4 once, as it is now; A5 not at all
    assert [(s["day"].isoformat(), s["decided"], s["denied"]) for s in state["stats"]] == [
        ("2026-10-12", 1, 0),
        ("2026-10-10", 2, 1),
        ("2026-10-15", 1, 1),
        ("2026-11-01", 1, 0),
        ("2026-11-05", 1, 0),
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(len(STORY))),
    repeats=st.lists(st.tuples(st.integers(0, len(STORY) - 1), st.integers(0, 12)), max_size=6),
)
def test_any_order_and_repetition_ends_in_the_same_state(
    pipeline: "Pipeline", order: list[int], repeats: list[tuple[int, int]]
) -> None:
    shuffled = list(order)
    for nth, at in repeats:
        shuffled.insert(min(at, len(shuffled)), nth)
    assert play(pipeline, shuffled) == play(pipeline, range(len(STORY)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations([*range(len(STORY)), *range(len(STORY))]),
    cuts=st.sets(st.integers(1, 40), max_size=6),
)
def test_any_sharing_of_transactions_ends_in_the_same_state(
    pipeline: "Pipeline", order: list[int], cuts: set[int]
) -> None:
    """Deliveries that arrive together are processed in one transaction; a copy of one has to wait for the next."""
    customer = pipeline.customer()
    places = [0, *sorted(cuts), len(order)]
    for start, end in pairwise(places):
        shared = list(dict.fromkeys(order[start:end]))
        deliver(pipeline, customer, *shared)
    for nth in range(len(STORY)):
        deliver(pipeline, customer, nth)
    assert where_it_ends(pipeline, customer) == play(pipeline, range(len(STORY)))


def test_deliveries_at_the_same_moment_end_in_the_same_state(pipeline: "Pipeline") -> None:
    expected = play(pipeline, range(len(STORY)))
    with ThreadPoolExecutor(8) as threads:
        for _ in range(10):
            customer = pipeline.customer()
            list(threads.map(partial(deliver, pipeline, customer), [*range(len(STORY)), *range(len(STORY))]))
            assert where_it_ends(pipeline, customer) == expected


def test_the_same_advice_under_another_delivery_id_changes_nothing(pipeline: "Pipeline") -> None:
    connection = pipeline.connection()
    for _ in range(3):
        assert pipeline.send(connection, STORY[3], delivery_id=uuid4().hex).status == 202
    assert pipeline.drained()
    customer = str(connection.customer_id)
    assert len(pipeline.rows(STATE["payments"], c=customer)) == 2
    assert sum(row["n"] for row in pipeline.rows(STATE["events"], c=customer)) == 2
