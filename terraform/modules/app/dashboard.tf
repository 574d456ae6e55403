# One page: is it well, and if not, where.

locals {
  charts = [
    {
      title  = "Ingress latency, p50 / p95 / p99 (s)"
      series = [for p in ["50", "95", "99"] : { name = "p${p}", filter = "${local.user_metric["upstream_webhook_latency_seconds"]} AND metric.labels.step=\"receive_webhook\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_${p}", group_by = [] }]
    },
    {
      title  = "Deliveries by status (1/s)"
      series = [{ name = "", filter = local.user_metric["upstream_webhook_requests_total"], aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group_by = ["metric.labels.status"] }]
    },
    {
      title  = "Time per step, p95 (s)"
      series = [{ name = "", filter = local.user_metric["upstream_webhook_latency_seconds"], aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", group_by = ["metric.labels.step"] }]
    },
    {
      title  = "Messages by function and outcome (1/s)"
      series = [{ name = "", filter = local.user_metric["upstream_events_total"], aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group_by = ["metric.labels.function", "metric.labels.outcome"] }]
    },
    {
      title  = "Oldest message waiting, by subscription (s)"
      series = [{ name = "", filter = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type=\"pubsub_subscription\"", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", group_by = ["resource.labels.subscription_id"] }]
    },
    {
      title  = "Messages waiting, by subscription"
      series = [{ name = "", filter = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\"", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", group_by = ["resource.labels.subscription_id"] }]
    },
    {
      title  = "Actions by type and result (an hour)"
      series = [{ name = "", filter = local.user_metric["upstream_autonomous_actions_total"], aligner = "ALIGN_SUM", reducer = "REDUCE_SUM", group_by = ["metric.labels.action_type", "metric.labels.result"] }]
    },
    {
      title  = "Portal flows that fail, by payer and code (an hour)"
      series = [{ name = "", filter = local.user_metric["upstream_flow_failures_total"], aligner = "ALIGN_SUM", reducer = "REDUCE_SUM", group_by = ["metric.labels.provider", "metric.labels.code"] }]
    },
    {
      title  = "Time to decide, p95 (s)"
      series = [{ name = "", filter = local.user_metric["upstream_rule_execution_latency_seconds"], aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", group_by = ["metric.labels.action_type"] }]
    },
    {
      title = "Dead letters: sent, and open"
      series = [
        { name = "sent", filter = local.user_metric["upstream_dead_letters_total"], aligner = "ALIGN_SUM", reducer = "REDUCE_SUM", group_by = ["metric.labels.function", "metric.labels.code"] },
        { name = "open", filter = local.user_metric["upstream_dead_letters_open"], aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", group_by = [] },
      ]
    },
    {
      title  = "Database connections, of ${var.database.max_connections}"
      series = [{ name = "", filter = "metric.type=\"${var.metrics.metrics["upstream_database_connections"].cloud_metric}\" AND ${local.database}", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", group_by = [] }]
    },
    {
      title  = "Database CPU"
      series = [{ name = "", filter = "metric.type=\"cloudsql.googleapis.com/database/cpu/utilization\" AND ${local.database}", aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", group_by = [] }]
    },
    {
      title  = "Runs of jobs (a day)"
      series = [{ name = "", filter = local.user_metric["upstream_job_runs_total"], aligner = "ALIGN_SUM", reducer = "REDUCE_SUM", group_by = ["metric.labels.job", "metric.labels.result"] }]
    },
    {
      title  = "From a payer's change to its alert, p95 (s)"
      series = [{ name = "", filter = local.user_metric["upstream_detection_delay_seconds"], aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", group_by = ["metric.labels.kind"] }]
    },
    {
      title  = "Oldest unpublished message (s)"
      series = [{ name = "", filter = local.user_metric["upstream_outbox_oldest_seconds"], aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", group_by = [] }]
    },
    {
      title  = "Instances, by function"
      series = [{ name = "", filter = "metric.type=\"run.googleapis.com/container/instance_count\" AND resource.type=\"cloud_run_revision\"", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", group_by = ["resource.labels.service_name"] }]
    },
  ]
  chart_period_s = { ALIGN_SUM = 3600, ALIGN_RATE = 60, ALIGN_MAX = 60, ALIGN_MEAN = 60, ALIGN_DELTA = 60 }
}

resource "google_monitoring_dashboard" "this" {
  project = var.project_id

  dashboard_json = jsonencode({
    displayName = "Upstream ${var.environment}"
    mosaicLayout = {
      columns = 48
      tiles = [
        for index, chart in local.charts : {
          xPos   = 24 * (index % 2)
          yPos   = 12 * floor(index / 2)
          width  = 24
          height = 12
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [
                for one in chart.series : {
                  plotType       = "LINE"
                  legendTemplate = one.name == "" ? null : one.name
                  timeSeriesQuery = {
                    timeSeriesFilter = {
                      filter = one.filter
                      aggregation = {
                        alignmentPeriod    = "${local.chart_period_s[one.aligner]}s"
                        perSeriesAligner   = one.aligner
                        crossSeriesReducer = one.reducer
                        groupByFields      = one.group_by
                      }
                    }
                  }
                }
              ]
            }
          }
        }
      ]
    }
  })

  depends_on = [google_logging_metric.this]
}
