"""What the pipeline looks up for each event uses an index: the planner says so, on tables large enough to choose."""

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import TextClause, text

from shared.adapters.postgres import claims, decisions, payer_windows, record, spending
from shared.adapters.postgres.jobs import baselines
from shared.adapters.postgres.record import tenant

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

ID = str(uuid4())
FILL = """
INSERT INTO claims (id, customer_id, claim_number, payer_key, payer_name, charge_cents, status, decided_on)
    SELECT gen_random_uuid(), CAST(:customer AS uuid), n::text, 'payer-' || mod(n, 40), 'Payer', 100, 'paid',
        date '2026-01-01' + mod(n, 300) FROM generate_series(1, 20000) n;
INSERT INTO claim_payments (id, customer_id, claim_id, remittance_id, position, payer_key, payer_name, payer_id,
    payer_claim_number, provider_id, patient, procedures, modifiers, diagnoses, status, status_code, charge_cents,
    paid_cents, patient_cents)
    SELECT gen_random_uuid(), CAST(:customer AS uuid), gen_random_uuid(), gen_random_uuid(), 0, '', '', '', '', '',
        '{}',
        '{}', '{}', '{}', 'paid', '1', 1, 1, 0 FROM generate_series(1, 20000);
INSERT INTO claim_daily_stats SELECT CAST(:customer AS uuid), 'payer-' || mod(n, 40), (mod(n, 300))::text,
    date '2026-01-01' + n / 12000, 1, 0, 1, 1 FROM generate_series(1, 12000) n ON CONFLICT DO NOTHING;
INSERT INTO risk_baselines (customer_id, payer_key, procedure, since, decided, denied, superseded)
    SELECT CAST(:customer AS uuid), 'payer-' || mod(n, 40), n::text, '2026-01-01', 10, 1, mod(n, 2) = 0
    FROM generate_series(1, 20000) n;
INSERT INTO payer_baselines (customer_id, payer_key, since, decided, denied, procedures, squares, spread, alpha, beta,
    superseded)
    SELECT CAST(:customer AS uuid), 'payer-' || mod(n, 40), date '2026-01-01' + n, 10, 1, 1, 1, 1, 1, 9, n < 460
    FROM generate_series(1, 500) n;
INSERT INTO adjustments SELECT gen_random_uuid(), 0, CAST(:customer AS uuid), 0, 'CO', '50', 1, ''
    FROM generate_series(1, 20000);
INSERT INTO inbox SELECT 'process_webhook', gen_random_uuid(), CAST(:customer AS uuid), '', '', now(), 1
    FROM generate_series(1, 20000);
INSERT INTO outbox (id, customer_id, consumer, parent_id, topic, event_type, trace_id, attributes, data)
    SELECT gen_random_uuid(), CAST(:customer AS uuid), 'process_webhook', gen_random_uuid(), 't', 't', '', '{}', ''
    FROM generate_series(1, 20000);
INSERT INTO fee_schedules SELECT CAST(:customer AS uuid), 'payer-' || mod(n, 40), n::text, '2026-01-01', 1
    FROM generate_series(1, 20000) n;
INSERT INTO automation_rules (customer_id, rule_id, version, document, active, applied_by)
    SELECT gen_random_uuid(), n::text, 1, '{}', true, '' FROM generate_series(1, 20000) n;
INSERT INTO notifications SELECT gen_random_uuid(), 'mail', CAST(:customer AS uuid), 'delivered', ''
    FROM generate_series(1, 20000);
INSERT INTO dead_letters (id, customer_id, consumer, code, reason, attempts, attributes, body)
    SELECT gen_random_uuid(), CAST(:customer AS uuid), '', '', '', 1, '{}', '' FROM generate_series(1, 20000);
INSERT INTO rule_spending SELECT CAST(:customer AS uuid), 'rule:' || mod(n, 50), date '2026-01-01' + n / 50, 1, 1
    FROM generate_series(1, 15000) n;
INSERT INTO customers (id, name) SELECT gen_random_uuid(), 'C' FROM generate_series(1, 5000);
ANALYZE
"""


@pytest.fixture(scope="module")
def filled(pipeline: "Pipeline") -> UUID:
    customer = pipeline.customer()
    for statement in FILL.split(";"):
        owner = pipeline.owner if statement.strip() == "ANALYZE" else pipeline.operator
        with owner.begin() as connection:
            connection.execute(
                text(statement), {"customer": str(customer)} if ":customer" in statement else {}
            )
    return customer


LOOKUPS: list[tuple[str, TextClause, dict[str, Any]]] = [
    ("is the customer known", record.KNOWN_CUSTOMER, {}),
    (
        "what is unpublished",
        record.UNPUBLISHED,
        {"parent_id": ID, "consumer": "process_webhook", "limit": "500"},
    ),
    ("mark published", record.MARK_PUBLISHED, {"ids": [ID]}),
    ("which rules", decisions.RULES, {}),
    (
        "denials up to a claim",
        decisions.DENIED_UP_TO,
        {"payer_key": "payer-1", "claim_id": ID, "longest": 50},
    ),
    ("how a claim has gone", decisions.COURSE, {"claim_id": ID}),
    ("what rules spent", spending.SPENT, {"scope": "rule:1", "since": "2026-01-01"}),
    ("a payer's days", payer_windows.DAYS, {"payer_key": "payer-1", "since": "2026-06-01"}),
    ("a payer's last payment", payer_windows.LAST_PAYMENT, {"payer_key": "payer-1"}),
    ("a payer's denials", payer_windows.DENIED_CENTS, {"payer_key": "payer-1", "since": "2026-06-01"}),
    ("newest decisions", decisions.NEWEST, {"payer_key": "payer-1", "longest": 50}),
    (
        "contracted fees",
        decisions.CONTRACTED,
        {"payer_key": "payer-1", "procedures": ["1"], "on": "2026-06-01"},
    ),
    (
        "denial rate",
        decisions.DENIAL_RATE,
        {"payer_key": "payer-1", "procedure": "1", "since": "2026-01-01"},
    ),
    ("fold claims", claims.FOLD_CLAIMS, {"ids": [ID], "no_denials": ["45"]}),
]


@pytest.mark.parametrize(("name", "statement", "parameters"), LOOKUPS, ids=[name for name, _, _ in LOOKUPS])
def test_no_lookup_of_an_event_reads_a_whole_table(
    pipeline: "Pipeline", filled: UUID, name: str, statement: TextClause, parameters: dict[str, Any]
) -> None:
    given = {"customer_id": str(filled), **parameters}
    wanted = {key: value for key, value in given.items() if f":{key}" in statement.text}
    with tenant(pipeline.app.engine, filled) as connection:
        # The planner is to choose, not to be told.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = on")
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = auto")
        plan = connection.execute(text(f"EXPLAIN {statement.text}"), wanted).scalars().all()
    scanned = [line for line in plan if "Seq Scan" in line]
    assert not scanned, (name, "\n".join(plan))


def test_a_rebuild_looks_each_pair_up_in_the_baselines_of_before(pipeline: "Pipeline", filled: UUID) -> None:
    asked = {
        "customer_id": str(filled),
        "on": "2026-06-01",
        "since": "2025-12-03",
        "until": "9999-12-31",
    }
    with tenant(pipeline.app.engine, filled) as connection:
        explain = text(f"EXPLAIN {baselines.BUILD_EVERYTHING.text}")
        plan = connection.execute(explain, asked).scalars().all()
    by_pair = [line for line in plan if "Index Cond" in line and "(payer_key = f.payer_key)" in line]
    assert len(by_pair) == 2, "\n".join(
        plan
    )  # what was believed then, and whether something is believed later
