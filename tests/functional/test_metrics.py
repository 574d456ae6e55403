"""`/metrics` of the running pipeline: the same figures that Cloud Logging would make of the same lines."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from local.scheduler import LocalScheduler
from shared.domain.jobs import NOBODY
from shared.rules.documents import from_yaml
from shared.rules.loader import PACKS
from tests.functional.test_no_patient_data import BODIES, SECRETS

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

ROOT = Path(__file__).parents[2]
DECLARED: dict[str, dict[str, Any]] = json.loads((ROOT / "schemas" / "metrics.json").read_text())["metrics"]
Series = Counter[tuple[str, tuple[tuple[str, str], ...]]]


def exposed(pipeline: "Pipeline") -> str:
    reply = pipeline.session.get(f"{pipeline.url}/metrics", timeout=30)
    assert (reply.status_code, reply.headers["Content-Type"].split(";")[0]) == (200, "text/plain")
    return reply.text


def counted(page: str) -> Series:
    """Return how often each series was counted: a counter's total, a histogram's count."""
    found: Series = Counter()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name.endswith(("_total", "_count")):
                name = sample.name.removesuffix("_count")
                found[name, tuple(sorted(sample.labels.items()))] += int(sample.value)
    return +found


def as_the_cloud_counts(log: str) -> Series:
    """Return the same of log-based metrics: a filter on lines, and labels extracted from their members."""
    found: Series = Counter()
    for line in map(json.loads, log.splitlines()):
        for name, metric in DECLARED.items():
            rule = metric.get("log", {"events": []})
            if (
                line["event"] in rule["events"]
                and metric["kind"] != "gauge"
                and rule.get("value", "event") in line
            ):
                labels = {label: str(line.get(member, "")) for label, member in rule["labels"].items()}
                found[name, tuple(sorted(labels.items()))] += 1
    return found


def value(page: str, name: str) -> float:
    return next(s.value for f in text_string_to_metric_families(page) for s in f.samples if s.name == name)


def send_everything(pipeline: "Pipeline") -> str:
    customer = pipeline.customer(
        "Measured", [{"id": "mail", "kind": "email", "target": "nobody@example.invalid"}]
    )
    rule: Any = from_yaml((PACKS / "denial-over-amount.yaml").read_text())[0]
    pipeline.rule(customer, rule)
    connection = pipeline.connection(customer)
    for body, content_type in BODIES:
        pipeline.send(connection, body.encode(), content_type=content_type)
    pipeline.post("/v1/webhooks/QQ998877ZZ/1", b"ZYXWVUTSON", {"Content-Type": "text/plain"})
    assert pipeline.drained()
    return str(customer)


def test_local_figures_are_those_that_log_based_metrics_would_have(pipeline: "Pipeline") -> None:
    send_everything(pipeline)
    log, page = pipeline.log_file.read_text(), exposed(pipeline)
    assert counted(page) == as_the_cloud_counts(log)
    names = {name for name, _ in counted(page)}
    assert names >= {
        "upstream_webhook_requests_total", "upstream_webhook_latency_seconds", "upstream_events_total",
        "upstream_rule_execution_latency_seconds", "upstream_dead_letters_total",
    }  # fmt: skip


def test_a_patients_data_is_in_no_series(pipeline: "Pipeline") -> None:
    customer = send_everything(pipeline)
    page = exposed(pipeline)
    assert customer in page
    for secret in SECRETS:
        assert secret not in page


def test_an_event_is_decided_in_one_line_with_its_own_ids(pipeline: "Pipeline") -> None:
    customer = send_everything(pipeline)
    lines = [json.loads(line) for line in pipeline.log_file.read_text().splitlines()]
    ours = [one for one in lines if one["event"] == "rules.evaluated" and one["customer_id"] == customer]
    decided = pipeline.rows(
        "SELECT event_id FROM executions WHERE customer_id = CAST(:c AS uuid)", c=customer
    )
    assert Counter(one["event_id"] for one in ours) == Counter({str(row["event_id"]) for row in decided})
    assert {one["action_type"] for one in ours} == {"create_task", ""}
    assert all(one["duration_s"] > 0 and len(one["trace_id"]) == 32 for one in ours)


def test_the_pools_connections_are_counted(pipeline: "Pipeline") -> None:
    send_everything(pipeline)
    assert (
        1 <= value(exposed(pipeline), "upstream_database_connections") <= 2 * pipeline.app.settings.pool_size
    )


def test_a_firing_measures_what_waits(pipeline: "Pipeline") -> None:
    send_everything(pipeline)
    age = timedelta(hours=3)
    waiting = str(uuid4())
    pipeline.execute(
        "INSERT INTO outbox (id, customer_id, consumer, parent_id, topic, event_type, trace_id, attributes, data,"
        " created_at) VALUES (CAST(:id AS uuid), CAST(:nobody AS uuid), 'x', CAST(:id AS uuid), 'notifications', 'x',"
        " '', '{}', '', clock_timestamp() - CAST(:age AS interval))",
        id=waiting,
        nobody=str(NOBODY),
        age=age,
    )
    LocalScheduler(pipeline.app.settings.home, pipeline.url).fire("measure_backlog", datetime.now(UTC))
    (open_letters,) = pipeline.rows("SELECT count(*) AS n FROM dead_letters WHERE state = 'open'")
    page = exposed(pipeline)
    pipeline.execute("DELETE FROM outbox WHERE id = CAST(:id AS uuid)", id=waiting)
    assert value(page, "upstream_dead_letters_open") == open_letters["n"] > 0
    assert age.total_seconds() <= value(page, "upstream_outbox_oldest_seconds") < age.total_seconds() + 60
    ended = 'upstream_job_runs_total{job="measure_backlog",result="finished"}'
    assert ended in page


@pytest.mark.parametrize(
    "columns", ["dead_letters.body", "dead_letters.customer_id", "outbox.data", "outbox.*"]
)
def test_who_measures_reads_nothing_of_what_waits(pipeline: "Pipeline", columns: str) -> None:
    assert pipeline.app.backlog.measure().dead_letters >= 0
    with pytest.raises(DBAPIError, match="42501"), pipeline.app.scheduler_engine.begin() as connection:
        connection.execute(text(f"SELECT {columns} FROM {columns.split('.', maxsplit=1)[0]}"))  # noqa: S608 - our own names


def test_metrics_are_only_read(pipeline: "Pipeline") -> None:
    reply = pipeline.session.post(f"{pipeline.url}/metrics", timeout=30)
    assert (reply.status_code, reply.json()["code"]) == (405, "method_not_allowed")


def test_the_browser_worker_answers_for_itself_and_ingress_does_not(pipeline: "Pipeline") -> None:
    worker = pipeline.session.get(f"{pipeline.url}/functions/execute_action/metrics", timeout=30)
    assert "\nupstream_database_connections " in worker.text
    ingress = pipeline.session.get(f"{pipeline.url}/functions/receive_webhook/metrics", timeout=30)
    assert (ingress.status_code, ingress.json()["code"]) == (404, "not_found")
