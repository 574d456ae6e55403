# Topics and subscriptions, as schemas/topics.json declares them. The subscriptions are ours: one that a trigger makes
# has no dead letter.

locals {
  topics = toset(concat(keys(var.topics.topics), ["secret-rotations"]))

  # subscription => its topic; of functions that are deployed
  subscriptions = merge([
    for topic, one in var.topics.topics : { for name in one.subscriptions : name => topic }
  ]...)

  pushed = {
    for name, topic in local.subscriptions : name => merge(var.topics.subscriptions[name], { topic = topic })
  }
  dead_lettered = { for name, one in local.pushed : name => one if one.dead_letter_topic != null }
}

resource "google_pubsub_topic" "this" {
  for_each = local.topics

  project                    = var.project_id
  name                       = each.value
  kms_key_name               = google_kms_crypto_key.global["pubsub"].id
  message_retention_duration = "${var.topics.message_retention_s}s"
  labels                     = local.labels

  message_storage_policy {
    allowed_persistence_regions = local.regions
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

resource "google_pubsub_subscription" "push" {
  for_each = local.pushed

  project                    = var.project_id
  name                       = each.key
  topic                      = google_pubsub_topic.this[each.value.topic].id
  ack_deadline_seconds       = each.value.ack_deadline_s
  message_retention_duration = "${var.topics.message_retention_s}s"
  filter                     = each.value.filter
  labels                     = local.labels

  # Never deleted for want of traffic.
  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = local.uris[var.region][each.value.function]

    oidc_token {
      service_account_email = local.emails["push:${each.value.function}"]
      audience              = local.uris[var.region][each.value.function]
    }

    # Attributes become headers and the data the body: a binary-mode CloudEvent.
    no_wrapper {
      write_metadata = true
    }
  }

  retry_policy {
    minimum_backoff = "${var.topics.retry.minimum_backoff_s}s"
    maximum_backoff = "${var.topics.retry.maximum_backoff_s}s"
  }

  dynamic "dead_letter_policy" {
    for_each = each.value.dead_letter_topic == null ? [] : [each.value.dead_letter_topic]
    content {
      dead_letter_topic     = google_pubsub_topic.this[dead_letter_policy.value].id
      max_delivery_attempts = var.topics.retry.max_delivery_attempts
    }
  }

  depends_on = [
    google_service_account_iam_member.pubsub_mints_tokens,
    module.function,
    google_cloud_run_v2_service.execute_action,
  ]
}

# A rotation that is due is a message here, and an alert (monitoring.tf). Kept for whoever wants to automate it.
resource "google_pubsub_subscription" "secret_rotations" {
  project                    = var.project_id
  name                       = "secret-rotations"
  topic                      = google_pubsub_topic.this["secret-rotations"].id
  message_retention_duration = "${var.topics.message_retention_s}s"
  labels                     = local.labels

  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "${var.topics.retry.minimum_backoff_s}s"
    maximum_backoff = "${var.topics.retry.maximum_backoff_s}s"
  }
}

# In each region, and paused in all but the one that serves.
resource "google_cloud_scheduler_job" "this" {
  for_each = local.schedules

  project          = var.project_id
  region           = each.value.region
  name             = replace(each.value.name, "_", "-")
  description      = "Fires ${each.value.name}."
  paused           = each.value.region != var.region
  schedule         = var.schedules.schedules[each.value.name].cron
  time_zone        = var.schedules.time_zone
  attempt_deadline = "${var.schedules.attempt_deadline_s}s"

  retry_config {
    retry_count          = var.schedules.retry.attempts
    min_backoff_duration = "${var.schedules.retry.minimum_backoff_s}s"
    max_backoff_duration = "${var.schedules.retry.maximum_backoff_s}s"
    max_doublings        = 5
  }

  http_target {
    http_method = "POST"
    uri         = local.uris[each.value.region][each.value.name]

    oidc_token {
      service_account_email = local.emails["schedule:${each.value.name}"]
      audience              = local.uris[each.value.region][each.value.name]
    }
  }

  depends_on = [module.function]
}
