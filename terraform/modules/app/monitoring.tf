# What is watched, who is told, and where they read on. Each alert links to its entry in docs/runbook.md; a test follows
# the links.

locals {
  user_metric = { for name in keys(local.logged_metrics) : name => "metric.type=\"logging.googleapis.com/user/${name}\" AND resource.type=\"cloud_run_revision\"" }
  database    = "resource.type=\"cloudsql_database\" AND resource.labels.database_id=\"${var.project_id}:${var.database_instance}\""

  ingress_requests = local.edge == 1 ? (
    "metric.type=\"loadbalancing.googleapis.com/https/request_count\" resource.type=\"https_lb_rule\" resource.labels.url_map_name=\"upstream-edge\""
    ) : (
    "metric.type=\"run.googleapis.com/request_count\" resource.type=\"cloud_run_revision\" resource.labels.service_name=\"receive-webhook\""
  )
  ingress_failures = local.edge == 1 ? (
    "${local.ingress_requests} metric.labels.response_code_class=\"500\""
    ) : (
    "${local.ingress_requests} metric.labels.response_code_class=\"5xx\""
  )

  # One condition each. above: fires when higher for `for_s`; below: when lower, or when nothing comes any more.
  alerts = merge({
    backlog_is_old = {
      title    = "Messages wait longer than five minutes"
      runbook  = "5-the-backlog-grows"
      severity = "ERROR"
      filter   = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id!=\"${google_pubsub_subscription.secret_rotations.name}\"" # nobody pulls it
      aligner  = "ALIGN_MAX", reducer = "REDUCE_MAX", group_by = ["resource.labels.subscription_id"]
      period_s = 60, above = 300, below = null, for_s = 300, denominator = null
    }
    dead_letters = {
      title    = "Messages became dead letters"
      runbook  = "1-dead-letters-pile-up"
      severity = "WARNING"
      filter   = local.user_metric["upstream_dead_letters_total"]
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", group_by = ["metric.labels.function", "metric.labels.code"]
      period_s = 300, above = 0, below = null, for_s = 0, denominator = null
    }
    crashed_messages = {
      title    = "Pub/Sub gave up on messages after their attempts"
      runbook  = "1-dead-letters-pile-up"
      severity = "ERROR"
      filter   = "metric.type=\"pubsub.googleapis.com/subscription/dead_letter_message_count\" AND resource.type=\"pubsub_subscription\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", group_by = ["resource.labels.subscription_id"]
      period_s = 300, above = 0, below = null, for_s = 0, denominator = null
    }
    errors = {
      title    = "More than 5 % of a function's messages fail"
      runbook  = "10-a-bad-deploy"
      severity = "ERROR"
      filter   = "${local.user_metric["upstream_events_total"]} AND metric.labels.outcome=\"event.failed\""
      aligner  = "ALIGN_RATE", reducer = "REDUCE_SUM", group_by = ["metric.labels.function"]
      period_s = 60, above = 0.05, below = null, for_s = 300, denominator = local.user_metric["upstream_events_total"]
    }
    ingress_errors = {
      title    = "More than 5 % of deliveries are answered with 5xx"
      runbook  = "11-deliveries-get-503"
      severity = "CRITICAL"
      filter   = replace(local.ingress_failures, "\" ", "\" AND ")
      aligner  = "ALIGN_RATE", reducer = "REDUCE_SUM", group_by = []
      period_s = 60, above = 0.05, below = null, for_s = 300, denominator = replace(local.ingress_requests, "\" ", "\" AND ")
    }
    refused_signatures = {
      title    = "Many deliveries are refused with 401"
      runbook  = "2-signatures-fail-after-a-rotation"
      severity = "WARNING"
      filter   = "${local.user_metric["upstream_webhook_requests_total"]} AND metric.labels.status=\"401\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", group_by = []
      period_s = 600, above = 50, below = null, for_s = 600, denominator = null
    }
    pool_is_full = {
      title    = "Four fifths of the database's connections are open"
      runbook  = "4-the-database-is-away"
      severity = "ERROR"
      filter   = "metric.type=\"${var.metrics.metrics["upstream_database_connections"].cloud_metric}\" AND ${local.database}"
      aligner  = "ALIGN_MAX", reducer = "REDUCE_SUM", group_by = []
      period_s = 60, above = 0.8 * var.database.max_connections, below = null, for_s = 300, denominator = null
    }
    database_is_down = {
      title    = "The database does not answer"
      runbook  = "4-the-database-is-away"
      severity = "CRITICAL"
      filter   = "metric.type=\"cloudsql.googleapis.com/database/up\" AND ${local.database}"
      aligner  = "ALIGN_MIN", reducer = "REDUCE_MIN", group_by = []
      period_s = 60, above = null, below = 1, for_s = 120, denominator = null
    }
    database_is_busy = {
      title    = "The database's CPU is above 85 %"
      runbook  = "5-the-backlog-grows"
      severity = "WARNING"
      filter   = "metric.type=\"cloudsql.googleapis.com/database/cpu/utilization\" AND ${local.database}"
      aligner  = "ALIGN_MEAN", reducer = "REDUCE_MAX", group_by = []
      period_s = 60, above = 0.85, below = null, for_s = 900, denominator = null
    }
    outbox_is_stuck = {
      title    = "What was committed is not published"
      runbook  = "5-the-backlog-grows"
      severity = "ERROR"
      filter   = local.user_metric["upstream_outbox_oldest_seconds"]
      aligner  = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", group_by = []
      period_s = 300, above = 900, below = null, for_s = 0, denominator = null
    }
    action_is_unknown = {
      title    = "Nobody knows whether a portal took an action"
      runbook  = "12-portal-actions-fail"
      severity = "CRITICAL"
      filter   = "${local.user_metric["upstream_autonomous_actions_total"]} AND metric.labels.result=\"unknown\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", group_by = ["metric.labels.action_type"]
      period_s = 300, above = 0, below = null, for_s = 0, denominator = null
    }
    actions_fail = {
      title    = "More than a tenth of actions fail"
      runbook  = "12-portal-actions-fail"
      severity = "ERROR"
      filter   = "${local.user_metric["upstream_autonomous_actions_total"]} AND metric.labels.result=\"failed\""
      aligner  = "ALIGN_RATE", reducer = "REDUCE_SUM", group_by = ["metric.labels.action_type"]
      period_s = 600, above = 0.1, below = null, for_s = 600, denominator = local.user_metric["upstream_autonomous_actions_total"]
    }
    flows_fail = {
      title    = "A payer's portal refuses our flow"
      runbook  = "12-portal-actions-fail"
      severity = "WARNING"
      filter   = "${local.user_metric["upstream_flow_failures_total"]} AND metric.labels.code!=\"payer_refused\"" # an answer
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", group_by = ["metric.labels.provider", "metric.labels.code"]
      period_s = 3600, above = 3, below = null, for_s = 0, denominator = null
    }
    detection_is_late = {
      title    = "A payer's change was noticed later than five days after it began"
      runbook  = "13-a-job-did-not-finish"
      severity = "WARNING"
      filter   = local.user_metric["upstream_detection_delay_seconds"]
      aligner  = "ALIGN_PERCENTILE_95", reducer = "REDUCE_MAX", group_by = []
      period_s = 21600, above = 432000, below = null, for_s = 0, denominator = null
    }
    secret_is_due = {
      title    = "A secret is due for rotation"
      runbook  = "15-a-secret-is-due"
      severity = "WARNING"
      filter   = "metric.type=\"pubsub.googleapis.com/topic/send_message_operation_count\" AND resource.type=\"pubsub_topic\" AND resource.labels.topic_id=\"secret-rotations\""
      aligner  = "ALIGN_SUM", reducer = "REDUCE_SUM", group_by = []
      period_s = 300, above = 0, below = null, for_s = 0, denominator = null
    }
    }, var.standby_region == null ? {} : {
    standby_lags = {
      title    = "The standby is more than ten minutes behind"
      runbook  = "16-the-region-is-lost"
      severity = "ERROR"
      filter   = "metric.type=\"cloudsql.googleapis.com/database/replication/replica_lag\" AND resource.type=\"cloudsql_database\""
      aligner  = "ALIGN_MAX", reducer = "REDUCE_MAX", group_by = []
      period_s = 60, above = 600, below = null, for_s = 300, denominator = null
    }
  })

  # Each run that ended well counts one; a window without any is a job that did not finish in it. In PromQL, since a threshold
  # never fires on what never came.
  missed_runs = {
    for name in local.scheduled : name => join("", [
      "(sum(increase(logging_googleapis_com:user_upstream_job_runs_total{monitored_resource=\"cloud_run_revision\",",
      "job=\"${name}\",result=\"finished\"}",
      "[${var.schedules.schedules[name].every_s + var.schedules.schedules[name].finishes_within_s}s]))",
      " or vector(0)) < 0.5",
    ])
  }

  # A month's budget gone in two days, or in five: each on a long window, and on a short one that ends the alert soon.
  burn_rates = {
    fast = { rate = 14.4, long_s = 3600, short_s = 300, severity = "CRITICAL" }
    slow = { rate = 6, long_s = 21600, short_s = 1800, severity = "WARNING" }
  }
  slos = {
    availability = { name = google_monitoring_slo.availability.name, title = "Ingress availability 99.9 %", runbook = "11-deliveries-get-503" }
    latency      = { name = google_monitoring_slo.latency.name, title = "Ingress p95 under 50 ms", runbook = "14-ingress-is-slow" }
  }
  burns = merge([
    for slo, one in local.slos : { for speed, rate in local.burn_rates : "${slo}_${speed}" => merge(one, rate, { speed = speed }) }
  ]...)

  channels = concat([for channel in google_monitoring_notification_channel.email : channel.id], sort(var.paging_channels))
}

##### Who is told

resource "google_monitoring_notification_channel" "email" {
  for_each = var.notification_channels

  project      = var.project_id
  display_name = each.key
  type         = "email"
  labels       = { email_address = each.value }
  user_labels  = local.labels
}

##### Alerts

resource "google_monitoring_alert_policy" "threshold" {
  for_each = local.alerts

  project               = var.project_id
  display_name          = each.value.title
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = local.labels

  documentation {
    mime_type = "text/markdown"
    content   = "${each.value.title}. What to do: ${var.runbook_url}#${each.value.runbook}"
    links {
      display_name = "Runbook"
      url          = "${var.runbook_url}#${each.value.runbook}"
    }
  }

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter                  = each.value.filter
      denominator_filter      = each.value.denominator
      comparison              = each.value.below == null ? "COMPARISON_GT" : "COMPARISON_LT"
      threshold_value         = each.value.below == null ? each.value.above : each.value.below
      duration                = "${each.value.for_s}s"
      evaluation_missing_data = each.value.for_s == 0 ? null : each.value.below == null ? "EVALUATION_MISSING_DATA_INACTIVE" : "EVALUATION_MISSING_DATA_ACTIVE"

      aggregations {
        alignment_period     = "${each.value.period_s}s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
        group_by_fields      = each.value.group_by
      }

      dynamic "denominator_aggregations" {
        for_each = each.value.denominator == null ? [] : [1]
        content {
          alignment_period     = "${each.value.period_s}s"
          per_series_aligner   = each.value.aligner
          cross_series_reducer = each.value.reducer
          group_by_fields      = each.value.group_by
        }
      }

      trigger {
        count = 1
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  depends_on = [google_logging_metric.this]
}

resource "google_monitoring_alert_policy" "missed_run" {
  for_each = local.missed_runs

  project               = var.project_id
  display_name          = "${each.key} did not finish in its window"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels
  user_labels           = local.labels

  documentation {
    mime_type = "text/markdown"
    content   = "${each.key} did not finish in its window. What to do: ${var.runbook_url}#13-a-job-did-not-finish"
    links {
      display_name = "Runbook"
      url          = "${var.runbook_url}#13-a-job-did-not-finish"
    }
  }

  conditions {
    display_name = "${each.key} did not finish in its window"

    condition_prometheus_query_language {
      query               = each.value
      duration            = "0s"
      evaluation_interval = "300s"
      # Before its first run there is no series to validate against.
      disable_metric_validation = true
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  depends_on = [google_logging_metric.this]
}

resource "google_monitoring_alert_policy" "burn_rate" {
  for_each = local.burns

  project               = var.project_id
  display_name          = "${each.value.title}: the error budget burns ${each.value.rate} times too fast"
  combiner              = "AND"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = local.labels

  documentation {
    mime_type = "text/markdown"
    content   = "${each.value.title} is being missed. What to do: ${var.runbook_url}#${each.value.runbook}"
    links {
      display_name = "Runbook"
      url          = "${var.runbook_url}#${each.value.runbook}"
    }
  }

  dynamic "conditions" {
    for_each = { long = each.value.long_s, short = each.value.short_s }
    content {
      display_name = "over ${conditions.value} s"

      condition_threshold {
        filter          = "select_slo_burn_rate(\"${each.value.name}\", \"${conditions.value}s\")"
        comparison      = "COMPARISON_GT"
        threshold_value = each.value.rate
        duration        = "0s"

        aggregations {
          alignment_period   = "60s"
          per_series_aligner = "ALIGN_MAX"
        }
      }
    }
  }
}

resource "google_monitoring_alert_policy" "uptime" {
  count = local.edge

  project               = var.project_id
  display_name          = "Ingress cannot be reached from outside"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels
  user_labels           = local.labels

  documentation {
    mime_type = "text/markdown"
    content   = "Ingress cannot be reached from outside. What to do: ${var.runbook_url}#11-deliveries-get-503"
    links {
      display_name = "Runbook"
      url          = "${var.runbook_url}#11-deliveries-get-503"
    }
  }

  conditions {
    display_name = "two regions or more fail"

    condition_threshold {
      filter          = "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND resource.type=\"uptime_url\" AND resource.labels.host=\"${var.domain}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "120s"

      aggregations {
        alignment_period     = "120s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
        group_by_fields      = ["metric.labels.check_id"]
      }
    }
  }

  depends_on = [google_monitoring_uptime_check_config.ingress]
}

# Nobody should, but in an incident (docs/runbook.md).
resource "google_monitoring_alert_policy" "acts_as_deployer" {
  count = local.delivery == 1 && length(var.incident_leads) > 0 ? 1 : 0

  project               = var.project_id
  display_name          = "Somebody acts as the deployer"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local.channels
  user_labels           = local.labels

  documentation {
    mime_type = "text/markdown"
    content   = "Somebody acts as the deployer. What to do: ${var.runbook_url}#19-somebody-acts-as-the-deployer"
    links {
      display_name = "Runbook"
      url          = "${var.runbook_url}#19-somebody-acts-as-the-deployer"
    }
  }

  conditions {
    display_name = "a token of the deployer, for a person"

    condition_matched_log {
      filter = join(" AND ", [
        "protoPayload.serviceName=\"iamcredentials.googleapis.com\"",
        "resource.labels.email_id=\"${local.emails["deployer"]}\"",
        "protoPayload.authenticationInfo.principalEmail=(${join(" OR ", [for email in sort(var.incident_leads) : "\"${email}\""])})",
      ])
    }
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  depends_on = [google_project_iam_audit_config.data]
}

##### Objectives

resource "google_monitoring_custom_service" "ingress" {
  project      = var.project_id
  service_id   = "upstream-ingress"
  display_name = "Ingress: payers' deliveries are taken"
  user_labels  = local.labels

  depends_on = [google_project_service.this]
}

resource "google_monitoring_slo" "availability" {
  project             = var.project_id
  service             = google_monitoring_custom_service.ingress.service_id
  slo_id              = "availability"
  display_name        = "99.9 % of deliveries are answered, in 30 days"
  goal                = 0.999
  rolling_period_days = 30

  request_based_sli {
    good_total_ratio {
      total_service_filter = local.ingress_requests
      bad_service_filter   = local.ingress_failures
    }
  }
}

resource "google_monitoring_slo" "latency" {
  project             = var.project_id
  service             = google_monitoring_custom_service.ingress.service_id
  slo_id              = "latency"
  display_name        = "95 % of deliveries take us less than 50 ms, in 30 days"
  goal                = 0.95
  rolling_period_days = 30

  request_based_sli {
    distribution_cut {
      distribution_filter = "metric.type=\"logging.googleapis.com/user/upstream_webhook_latency_seconds\" resource.type=\"cloud_run_revision\" metric.labels.step=\"receive_webhook\""
      range {
        max = 0.05
      }
    }
  }

  depends_on = [google_logging_metric.this]
}

##### Looking in from outside

resource "google_monitoring_uptime_check_config" "ingress" {
  for_each = local.edge == 1 ? toset(["live", "ready"]) : []

  project      = var.project_id
  display_name = "Ingress is ${each.value}"
  period       = "60s"
  timeout      = "10s"
  user_labels  = local.labels

  http_check {
    path         = "/_health/${each.value}"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  content_matchers {
    content = "\"status\":\"${each.value}\""
    matcher = "CONTAINS_STRING"
  }

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project_id, host = var.domain }
  }
}
