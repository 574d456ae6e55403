"""What Terraform, the local runtime and the code read in common holds together."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.log import MEMBERS

SCHEMAS = Path(__file__).parents[2] / "schemas"
UNBOUNDED = {"event_id", "trace_id", "action_id", "connection_id", "parent_id", "rule_id"}


def table(name: str) -> dict[str, Any]:
    declared: dict[str, Any] = json.loads((SCHEMAS / name).read_text())
    return declared


EVERY_S = {
    "0 6 * * *": 86400,
    "0 2 * * *": 86400,
    "0 */6 * * *": 21600,
    "*/10 * * * *": 600,
    "*/5 * * * *": 300,
}
METRICS: dict[str, dict[str, Any]] = table("metrics.json")["metrics"]


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_named_after_its_kind_and_unit(name: str) -> None:
    kind = METRICS[name]["kind"]
    assert name.startswith("upstream_")
    assert name.endswith("_total") == (kind == "counter")
    assert name.endswith("_seconds") or kind != "histogram"


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_reads_members_that_our_log_lines_may_have(name: str) -> None:
    metric = METRICS[name]
    assert ("log" in metric) != ("cloud_metric" in metric)
    log = metric.get("log", {"labels": {}})
    read = {*log["labels"].values(), *([log["value"]] if "value" in log else [])}
    assert read <= MEMBERS
    assert list(log["labels"]) == metric["labels"]
    assert ("value" in log) == (metric["kind"] != "counter" and "log" in metric)


@pytest.mark.parametrize("name", METRICS)
def test_no_label_takes_a_value_of_its_own_for_every_event(name: str) -> None:
    assert not set(METRICS[name].get("log", {}).get("labels", {}).values()) & UNBOUNDED


def test_histograms_have_rising_buckets_and_nothing_else_has_any() -> None:
    for metric in METRICS.values():
        buckets = metric.get("buckets", [])
        assert buckets == sorted(set(buckets))
        assert bool(buckets) == (metric["kind"] == "histogram")


def test_the_metrics_that_operators_were_promised_keep_names_labels_and_buckets() -> None:
    latency = METRICS["upstream_webhook_latency_seconds"]
    assert METRICS["upstream_webhook_requests_total"]["labels"] == ["provider", "customer", "status"]
    assert latency["labels"] == ["provider", "step"]
    assert latency["buckets"] == [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5]
    assert METRICS["upstream_autonomous_actions_total"]["labels"] == ["action_type", "result"]
    execution = METRICS["upstream_rule_execution_latency_seconds"]
    assert execution["labels"] == ["action_type"]
    assert {0.1, 0.5, 1, 2, 5, 10} <= set(execution["buckets"])
    assert execution["buckets"][0] < 0.001
    assert "upstream_database_connections" in METRICS


def test_schedules_are_cron_expressions_that_retry_inside_their_window() -> None:
    declared = table("schedules.json")
    retry = declared["retry"]
    assert retry["minimum_backoff_s"] <= retry["maximum_backoff_s"]
    for schedule in declared["schedules"].values():
        assert len(schedule["cron"].split()) == 5
        assert declared["attempt_deadline_s"] < schedule["finishes_within_s"]
        assert schedule["every_s"] == EVERY_S[schedule["cron"]]
        # Cloud Monitoring looks back 25 hours at most: the alert on a job that did not finish counts its runs in these.
        assert schedule["every_s"] + schedule["finishes_within_s"] <= 25 * 3600
