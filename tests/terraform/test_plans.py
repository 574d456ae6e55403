"""What both environments would be, read from their plans."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.cost_model import PRODUCTION
from shared.runtime.settings import BODY_TIMEOUT_S

if TYPE_CHECKING:
    from tests.terraform.plans import Plan

ROOT = Path(__file__).parents[2]
TOPICS: dict[str, Any] = json.loads((ROOT / "schemas" / "topics.json").read_text())
SCHEDULES: dict[str, Any] = json.loads((ROOT / "schemas" / "schedules.json").read_text())
METRICS: dict[str, Any] = json.loads((ROOT / "schemas" / "metrics.json").read_text())["metrics"]
OURS = {"secret-rotations"}  # a topic of Secret Manager's, with a subscription for whoever reads it
BROAD = {"roles/owner", "roles/editor", "roles/viewer", "roles/iam.securityAdmin"}


def test_the_record_is_private_and_takes_no_connection_in_the_clear(plan: "Plan") -> None:
    for instance in plan.of("google_sql_database_instance"):
        (settings,) = instance.values["settings"]
        (address,) = settings["ip_configuration"]
        assert address["ipv4_enabled"] is False
        assert address["ssl_mode"] == "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
        assert not address["authorized_networks"]
        flags = {flag["name"]: flag["value"] for flag in settings["database_flags"]}
        assert flags["cloudsql.iam_authentication"] == "on"
        assert (flags["log_error_verbosity"], flags["log_min_error_statement"]) == ("terse", "panic")
        assert flags["log_min_duration_statement"] == "-1", "statements in the log hold patients' data"


def test_the_record_of_production_is_what_was_designed(prod: "Plan") -> None:
    primary = next(i for i in prod.of("google_sql_database_instance") if i.values["region"] == "us-central1")
    (settings,) = primary.values["settings"]
    (backups,) = settings["backup_configuration"]
    flags = {flag["name"]: flag["value"] for flag in settings["database_flags"]}
    assert primary.values["database_version"] == "POSTGRES_15"
    assert (settings["tier"], settings["availability_type"]) == ("db-custom-2-8192", "REGIONAL")
    assert (backups["enabled"], backups["start_time"]) == (True, "02:00")
    assert backups["backup_retention_settings"][0]["retained_backups"] == 30
    assert (backups["point_in_time_recovery_enabled"], backups["transaction_log_retention_days"]) == (True, 7)
    assert [(w["day"], w["hour"]) for w in settings["maintenance_window"]] == [(7, 3)]
    assert flags["max_connections"] == "200"
    assert int(flags["shared_buffers"]) * 8192 == 2 * 1024**3
    (database,) = prod.of("google_sql_database")
    assert [database.values[k] for k in ("name", "charset", "collation")] == [
        "upstream",
        "UTF8",
        "en_US.UTF8",
    ]
    assert primary.values["deletion_protection"] is True


def test_two_revisions_of_every_function_at_its_maximum_fit_in_the_database(plan: "Plan") -> None:
    functions = {
        f.values["name"]: f.values["service_config"][0]
        for f in plan.of("google_cloudfunctions2_function")
        if f.values["location"] == "us-central1"
    }
    needed = sum(
        int(config["environment_variables"].get("UPSTREAM_POOL_SIZE", 0)) * config["max_instance_count"]
        for config in functions.values()
    )
    worker = next(s for s in plan.of("google_cloud_run_v2_service") if s.values["location"] == "us-central1")
    (template,) = worker.values["template"]
    pool = {e["name"]: e["value"] for e in template["containers"][0]["env"]}["UPSTREAM_POOL_SIZE"]
    needed += int(pool) * template["scaling"][0]["max_instance_count"]
    (settings,) = plan.of("google_sql_database_instance")[0].values["settings"]
    available = int({f["name"]: f["value"] for f in settings["database_flags"]}["max_connections"])
    assert needed > 0
    assert 2 * needed + 16 <= available


def test_topics_and_subscriptions_are_those_that_schemas_declare(plan: "Plan") -> None:
    topics = {topic.values["name"] for topic in plan.of("google_pubsub_topic")}
    assert topics == set(TOPICS["topics"]) | OURS
    pushed = {s.values["name"]: s.values for s in plan.of("google_pubsub_subscription")}
    declared = {name for topic in TOPICS["topics"].values() for name in topic["subscriptions"]}
    assert pushed.keys() == declared | OURS
    for name in declared:
        subscription, wanted = pushed[name], TOPICS["subscriptions"][name]
        assert subscription["ack_deadline_seconds"] == wanted["ack_deadline_s"]
        assert subscription["message_retention_duration"] == f"{TOPICS['message_retention_s']}s" == "604800s"
        assert subscription["retry_policy"] == [{"minimum_backoff": "10s", "maximum_backoff": "600s"}]
        assert subscription["expiration_policy"] == [{"ttl": ""}]


def test_every_subscription_pushes_as_its_own_identity_and_has_a_dead_letter(plan: "Plan") -> None:
    for subscription in plan.of("google_pubsub_subscription"):
        name = subscription.values["name"]
        if name in OURS:
            continue
        wanted = TOPICS["subscriptions"][name]
        (push,) = subscription.values["push_config"]
        function = wanted["function"].replace("_", "-")
        assert (
            push["oidc_token"][0]["service_account_email"]
            == f"push-{function}@upstream-check.iam.gserviceaccount.com"
        )
        assert push["no_wrapper"] == [{"write_metadata": True}]
        if wanted["dead_letter_topic"] is None:
            assert name == "record-dead-letter", "only the last resort has none behind it"
            continue
        (policy,) = subscription.values["dead_letter_policy"]
        assert policy["max_delivery_attempts"] == TOPICS["retry"]["max_delivery_attempts"] == 5


def test_jobs_are_fired_as_schemas_declare_by_identities_of_their_own(plan: "Plan") -> None:
    jobs = {job.values["name"]: job.values for job in plan.of("google_cloud_scheduler_job")}
    assert jobs.keys() == {name.replace("_", "-") for name in SCHEDULES["schedules"]}
    for name, schedule in SCHEDULES["schedules"].items():
        job = jobs[name.replace("_", "-")]
        assert (job["schedule"], job["time_zone"]) == (schedule["cron"], "Etc/UTC")
        assert job["http_target"][0]["oidc_token"][0]["service_account_email"].startswith("cron-")
        assert job["retry_config"][0]["retry_count"] == 5


def test_a_job_knows_whom_to_expect(plan: "Plan") -> None:
    """What the scheduler's token will say, and what the function of its region asks it to say."""
    functions = {
        (f.values["location"], f.values["name"]): f.values["service_config"][0]["environment_variables"]
        for f in plan.of("google_cloudfunctions2_function")
    }
    for job in plan.of("google_cloud_scheduler_job"):
        (target,) = job.values["http_target"]
        (token,) = target["oidc_token"]
        environment = functions[job.values["region"], job.values["name"]]
        assert environment["UPSTREAM_SCHEDULER_EMAIL"] == token["service_account_email"]
        assert environment["UPSTREAM_SCHEDULER_AUDIENCE"] == token["audience"] == target["uri"]
        assert f".{job.values['region']}.run.app" in target["uri"]
        assert job.values["paused"] == (job.values["region"] != "us-central1")


def test_what_is_deployed_is_what_main_exports(plan: "Plan") -> None:
    exported = set(re.findall(r'^    "(\w+)",$', (ROOT / "main.py").read_text(), re.MULTILINE)) | {
        "execute_action"
    }
    functions = {
        f.values["build_config"][0]["entry_point"] for f in plan.of("google_cloudfunctions2_function")
    }
    workers = {s.values["name"].replace("-", "_") for s in plan.of("google_cloud_run_v2_service")}
    assert functions | workers == exported


def test_nobody_but_payers_gets_in_without_an_identity(plan: "Plan") -> None:
    public = [
        r for r in plan.resources if "allUsers" in json.dumps(r.values) or "allAuth" in json.dumps(r.values)
    ]
    assert {r.values.get("name") for r in public} == {"receive-webhook"}
    for function in plan.of("google_cloudfunctions2_function"):
        if function.values["name"] != "receive-webhook":
            assert function.values["service_config"][0]["ingress_settings"] == "ALLOW_INTERNAL_ONLY"
    for service in plan.of("google_cloud_run_v2_service"):
        assert service.values["ingress"] == "INGRESS_TRAFFIC_INTERNAL_ONLY"


def test_production_takes_deliveries_through_its_load_balancer_only(prod: "Plan") -> None:
    for function in prod.of("google_cloudfunctions2_function"):
        if function.values["name"] == "receive-webhook":
            assert function.values["service_config"][0]["ingress_settings"] == "ALLOW_INTERNAL_AND_GCLB"
    (policy,) = prod.of("google_compute_security_policy")
    bounds = [
        rule for rule in policy.values["rule"] if rule["action"] == "throttle" and rule["priority"] == 4000
    ]
    assert bounds[0]["rate_limit_options"][0]["enforce_on_key"] == "IP", "paths can be made up"
    assert bounds[0]["match"][0]["config"][0]["src_ip_ranges"] == ["*"]
    watched = [rule for rule in policy.values["rule"] if "v33-stable" in (rule["description"] or "")]
    assert len(watched) > 5
    assert all(rule["preview"] for rule in watched)


def test_what_holds_patient_data_is_encrypted_with_our_keys(plan: "Plan") -> None:
    """A key's id is known only once the key is made: it shows as set, and unknown."""
    assert all(i.unknown["encryption_key_name"] is True for i in plan.of("google_sql_database_instance"))
    assert all(topic.unknown["kms_key_name"] is True for topic in plan.of("google_pubsub_topic"))
    for secret in plan.of("google_secret_manager_secret"):
        (encryption,) = secret.unknown["replication"][0]["auto"][0]["customer_managed_encryption"]
        assert encryption["kms_key_name"] is True
    for bucket in plan.of("google_storage_bucket"):
        if not bucket.values["name"].endswith("-source"):  # our code
            assert bucket.unknown["encryption"][0]["default_kms_key_name"] is True
    for key in plan.of("google_kms_crypto_key"):
        assert key.values["rotation_period"] == "7776000s"


def test_nothing_in_a_bucket_is_lost_by_overwriting_it(plan: "Plan") -> None:
    for bucket in plan.of("google_storage_bucket"):
        if bucket.values["name"].endswith("-desk"):  # on its way, and gone after a day
            assert bucket.values["lifecycle_rule"][0]["condition"][0]["age"] == 1
            continue
        kept = bool(bucket.values["retention_policy"]), bool(bucket.values["versioning"])
        assert kept == (bucket.values["name"].endswith("-evidence"), not kept[0])


def test_a_function_is_built_into_a_repository_of_its_region_that_the_build_may_write(plan: "Plan") -> None:
    places = {r.values["location"] for r in plan.of("google_artifact_registry_repository_iam_member")}
    for function in plan.of("google_cloudfunctions2_function"):
        assert function.unknown["build_config"][0]["docker_repository"] is True
        assert function.values["location"] in places


def test_no_role_is_broad_and_no_permission_a_wildcard(plan: "Plan") -> None:
    roles = {r.values["role"] for r in plan.resources if r.type.endswith("_iam_member")}
    assert len(roles) > 10
    assert not roles & BROAD
    for role in plan.of("google_project_iam_custom_role"):
        assert not any("*" in permission for permission in role.values["permissions"])


def test_functions_have_the_settings_that_a_deployment_owes_them(plan: "Plan") -> None:
    for function in plan.of("google_cloudfunctions2_function"):
        environment = function.values["service_config"][0]["environment_variables"]
        assert environment["PYTHONOPTIMIZE"] == "1"
        assert environment["FUNCTION_USE_ASGI"] == "1"
        assert environment["UPSTREAM_RUNTIME"] == "gcp"
        assert (environment["UPSTREAM_TRACES"], environment["UPSTREAM_TRACE_SAMPLING"]) == ("cloud", "0.1")
        assert function.values["build_config"][0]["runtime"] == "python312"
        if function.values["name"] == "receive-webhook":
            assert function.values["service_config"][0]["timeout_seconds"] > BODY_TIMEOUT_S
    (expiry,) = plan.of("google_firestore_field")
    assert (expiry.values["collection"], expiry.values["field"]) == ("idempotency_keys", "expires_at")
    assert expiry.values["ttl_config"]
    assert "upstream-no-such-connection" in {
        s.values["secret_id"] for s in plan.of("google_secret_manager_secret")
    }


def test_the_code_reads_each_setting_that_it_is_given(plan: "Plan") -> None:
    """A name spelt differently here and there would be a default in production."""
    read = set(
        re.findall(r'"(UPSTREAM_\w+|SENTRY_DSN)"', (ROOT / "shared" / "runtime" / "settings.py").read_text())
    )
    given = {
        name
        for function in plan.of("google_cloudfunctions2_function")
        for name in function.values["service_config"][0]["environment_variables"]
    }
    for service in plan.of("google_cloud_run_v2_service"):
        given |= {e["name"] for e in service.values["template"][0]["containers"][0]["env"]}
    for job in plan.of("google_cloud_run_v2_job"):
        given |= {e["name"] for e in job.values["template"][0]["template"][0]["containers"][0]["env"]}
    ours = {name for name in given if name.startswith("UPSTREAM_")}
    assert len(ours) > 8
    assert ours | {"SENTRY_DSN"} <= read


def test_each_metric_of_the_table_is_made_from_the_log_lines_it_names(plan: "Plan") -> None:
    made = {metric.values["name"]: metric.values for metric in plan.of("google_logging_metric")}
    assert made.keys() == {name for name, metric in METRICS.items() if "log" in metric}
    for name, values in made.items():
        metric = METRICS[name]
        (descriptor,) = values["metric_descriptor"]
        assert {label["key"] for label in descriptor["labels"]} == set(metric["labels"])
        read = {label: f"EXTRACT(jsonPayload.{member})" for label, member in metric["log"]["labels"].items()}
        assert values["label_extractors"] == read
        for event in metric["log"]["events"]:
            assert f'"{event}"' in values["filter"]
        if metric["kind"] == "histogram":
            assert values["bucket_options"][0]["explicit_buckets"][0]["bounds"] == metric["buckets"]


def test_each_alert_links_to_an_entry_of_the_runbook_that_exists(plan: "Plan") -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^## (.+)$", runbook, re.MULTILINE)
    }
    for alert in plan.of("google_monitoring_alert_policy"):
        (documentation,) = alert.values["documentation"]
        page, anchor = documentation["links"][0]["url"].split("#")
        assert page == "https://example.org/docs/runbook.md"
        assert anchor in anchors, alert.address
        assert alert.values["conditions"]


def test_what_was_asked_to_be_watched_is_watched(prod: "Plan") -> None:
    filters = json.dumps([a.values["conditions"] for a in prod.of("google_monitoring_alert_policy")])
    for metric in METRICS:
        if metric in {"upstream_webhook_latency_seconds", "upstream_rule_execution_latency_seconds"}:
            continue  # an objective and a chart
        if metric not in {"upstream_dead_letters_open", "upstream_database_connections"}:
            assert metric in filters, metric
    for metric in (
        "oldest_unacked_message_age",
        "num_backends",
        "dead_letter_message_count",
        "replica_lag",
        "check_passed",
    ):
        assert metric in filters
    (dashboard,) = prod.of("google_monitoring_dashboard")
    for metric, declared in METRICS.items():
        assert declared.get("cloud_metric", metric) in dashboard.values["dashboard_json"], metric


def test_a_job_that_never_ran_is_told_of(prod: "Plan") -> None:
    """A threshold on a series that does not exist never fires: the query has a value for every window."""
    queries = {}
    for alert in prod.of("google_monitoring_alert_policy"):
        (condition,) = alert.values["conditions"][:1]
        for promql in condition["condition_prometheus_query_language"]:
            (name,) = re.findall(r'job="(\w+)"', promql["query"])
            queries[name] = promql
    assert queries.keys() == SCHEDULES["schedules"].keys()
    for name, schedule in SCHEDULES["schedules"].items():
        window_s = schedule["every_s"] + schedule["finishes_within_s"]
        assert window_s <= 25 * 3600, "Monitoring looks back no further"
        assert f"[{window_s}s]" in queries[name]["query"]
        assert queries[name]["query"].endswith("or vector(0)) < 0.5")
        assert queries[name]["disable_metric_validation"] is True


def test_what_nobody_pulls_is_no_backlog(prod: "Plan") -> None:
    (alert,) = [a for a in prod.of("google_monitoring_alert_policy") if '"backlog_is_old"' in a.address]
    (threshold,) = alert.values["conditions"][0]["condition_threshold"]
    assert 'subscription_id!="secret-rotations"' in threshold["filter"]


def test_the_cost_estimate_is_of_what_is_deployed(prod: "Plan") -> None:
    primary = next(i for i in prod.of("google_sql_database_instance") if i.values["region"] == "us-central1")
    (settings,) = primary.values["settings"]
    assert settings["tier"] == f"db-custom-{PRODUCTION.sql_vcpu}-{PRODUCTION.sql_gib * 1024}"
    assert settings["disk_size"] == PRODUCTION.sql_disk_gib
    assert (settings["availability_type"] == "REGIONAL") == PRODUCTION.highly_available
    assert (len(prod.of("google_sql_database_instance")) == 2) == PRODUCTION.standby
    assert len(prod.of("google_kms_crypto_key")) == PRODUCTION.keys
    assert len(prod.of("google_secret_manager_secret")) == PRODUCTION.secrets_fixed
    (policy,) = prod.of("google_compute_security_policy")
    assert len(policy.values["rule"]) == PRODUCTION.armor_rules
    alerts = prod.of("google_monitoring_alert_policy")
    assert sum(len(alert.values["conditions"]) for alert in alerts) == PRODUCTION.alert_conditions
    configs = [
        (f.values["service_config"][0], 1 if f.values["location"] == "us-central1" else 0)
        for f in prod.of("google_cloudfunctions2_function")
    ]
    warm = [(config, config["min_instance_count"] * here) for config, here in configs]
    assert sum(int(config["available_cpu"]) * count for config, count in warm) == PRODUCTION.warm_vcpu
    assert sum(gib(config["available_memory"]) * count for config, count in warm) == PRODUCTION.warm_gib


def gib(memory: str) -> float:
    return float(memory[:-2]) / {"Gi": 1, "Mi": 1024}[memory[-2:]]


@pytest.mark.parametrize("name", ["availability", "latency"])
def test_objectives_are_those_that_were_promised(prod: "Plan", name: str) -> None:
    goals = {slo.values["slo_id"]: slo.values for slo in prod.of("google_monitoring_slo")}
    if name == "availability":
        assert goals[name]["goal"] == 0.999
    else:
        (cut,) = goals[name]["request_based_sli"][0]["distribution_cut"]
        assert (goals[name]["goal"], cut["range"][0]["max"]) == (0.95, 0.05)
