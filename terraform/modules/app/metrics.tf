# Log-based metrics, from the table that the code reads its own from: schemas/metrics.json.

locals {
  logged_metrics = { for name, one in var.metrics.metrics : name => one if one.log != null }
}

resource "google_logging_metric" "this" {
  for_each = local.logged_metrics

  project     = var.project_id
  name        = each.key
  description = each.value.description
  filter = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "jsonPayload.event=(${join(" OR ", [for event in each.value.log.events : "\"${event}\""])})",
  ])

  value_extractor  = each.value.log.value == null ? null : "EXTRACT(jsonPayload.${each.value.log.value})"
  label_extractors = { for label, member in each.value.log.labels : label => "EXTRACT(jsonPayload.${member})" }

  # A log-based metric counts or makes a distribution; what is a gauge elsewhere is read here as a distribution's highest.
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = each.value.kind == "counter" ? "INT64" : "DISTRIBUTION"
    unit        = endswith(each.key, "_seconds") ? "s" : "1"

    dynamic "labels" {
      for_each = each.value.log.labels
      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }

  dynamic "bucket_options" {
    for_each = each.value.kind == "histogram" ? [each.value.buckets] : []
    content {
      explicit_buckets {
        bounds = bucket_options.value
      }
    }
  }

  dynamic "bucket_options" {
    for_each = each.value.kind == "gauge" ? [1] : []
    content {
      exponential_buckets {
        growth_factor      = 2
        num_finite_buckets = 24
        scale              = 1
      }
    }
  }

  depends_on = [google_project_service.this]
}
