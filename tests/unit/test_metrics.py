"""What is counted follows from the table of metrics and our own lines alone."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.runtime.metrics import MOST_VALUES, OTHER, Metrics

ROOT = Path(__file__).parents[2]
DECLARED: dict[str, dict[str, Any]] = json.loads((ROOT / "schemas" / "metrics.json").read_text())["metrics"]
LOGGED = {name: one for name, one in DECLARED.items() if "log" in one}


def value(metrics: Metrics, sample: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(metrics.exposed().decode()):
        for one in family.samples:
            if one.name == sample and one.labels == labels:
                return one.value
    return None


def count(metrics: Metrics, *lines: dict[str, Any]) -> None:
    for line in lines:
        assert metrics(None, "info", line) is line


def test_a_line_counts_for_each_metric_that_reads_it_and_for_no_other() -> None:
    metrics = Metrics()
    count(
        metrics, {"event": "event.processed", "function": "notify", "duration_s": 0.03}, {"event": "x.done"}
    )
    assert value(metrics, "upstream_events_total", function="notify", outcome="event.processed") == 1
    labels = {"provider": "", "step": "notify"}
    assert value(metrics, "upstream_webhook_latency_seconds_count", **labels) == 1
    assert value(metrics, "upstream_webhook_latency_seconds_bucket", **labels, le="0.01") == 0
    assert value(metrics, "upstream_webhook_latency_seconds_bucket", **labels, le="0.05") == 1
    assert value(metrics, "upstream_webhook_latency_seconds_sum", **labels) == 0.03


def test_a_number_is_a_label_as_it_is_written_and_what_is_missing_is_empty() -> None:
    metrics = Metrics()
    count(metrics, {"event": "webhook.refused", "status": 401, "provider": None})
    assert value(metrics, "upstream_webhook_requests_total", provider="", customer="", status="401") == 1


def test_a_line_without_its_value_is_not_observed() -> None:
    metrics = Metrics()
    count(
        metrics,
        {"event": "rules.evaluated", "action_type": "notify"},
        {"event": "outbox.measured", "age_s": "long"},
    )
    assert value(metrics, "upstream_rule_execution_latency_seconds_count", action_type="notify") is None
    assert value(metrics, "upstream_outbox_oldest_seconds") == 0


def test_of_a_measure_the_last_counts() -> None:
    metrics = Metrics()
    count(metrics, *({"event": "dead_letters.counted", "count": n} for n in (7, 3)))
    assert value(metrics, "upstream_dead_letters_open") == 3


def test_a_label_has_only_so_many_values() -> None:
    metrics = Metrics()
    line = {"event": "webhook.accepted", "provider": "acme", "status": 202}
    for _ in range(2):
        count(metrics, *({**line, "customer_id": f"c-{n}"} for n in range(MOST_VALUES + 100)))
    family = next(
        f
        for f in text_string_to_metric_families(metrics.exposed().decode())
        if f.name == "upstream_webhook_requests"
    )
    totals = {s.labels["customer"]: s.value for s in family.samples if s.name.endswith("_total")}
    assert len(totals) == MOST_VALUES + 1
    assert totals["c-0"] == totals[f"c-{MOST_VALUES - 1}"] == 2
    assert totals[OTHER] == 200


def test_what_no_label_should_be_does_not_stop_a_line() -> None:
    metrics = Metrics()
    count(metrics, {"event": "job.ended", "job": ["a"], "result": {"b": 1}})
    assert value(metrics, "upstream_job_runs_total", job="['a']", result="{'b': 1}") == 1


def test_connections_are_those_open_now() -> None:
    metrics = Metrics()
    for change in (1, 1, -1):
        metrics.connections_changed(change)
    assert value(metrics, "upstream_database_connections") == 1


def test_only_what_the_table_declares_is_exposed() -> None:
    families = {f.name for f in text_string_to_metric_families(Metrics().exposed().decode())}
    assert families == {name.removesuffix("_total") for name in DECLARED}


def logged_by_the_code() -> Iterator[str]:
    """Yield each text that is handed to a call below shared/ and functions/: lines are named by literals."""
    for folder in ("shared", "functions"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    yield from (
                        a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
                    )


def test_each_line_that_a_metric_reads_is_written_somewhere() -> None:
    read = {event for one in LOGGED.values() for event in one["log"]["events"]}
    assert read - set(logged_by_the_code()) == set()


def documented() -> dict[str, tuple[str, list[str], list[str]]]:
    text = (ROOT / "docs" / "observability.md").read_text()
    rows = re.findall(r"^\| `(upstream_\w+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|", text, re.MULTILINE)
    return {name: (kind, quoted(labels), quoted(lines)) for name, kind, labels, lines in rows}


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([\w.]+)`", cell)


@pytest.mark.parametrize("name", DECLARED)
def test_the_page_names_the_metric_its_labels_and_its_lines(name: str) -> None:
    one = DECLARED[name]
    assert documented()[name] == (one["kind"], one["labels"], one.get("log", {"events": []})["events"])


def test_the_page_names_no_other_metric() -> None:
    assert documented().keys() == DECLARED.keys()
