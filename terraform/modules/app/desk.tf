# `terraform/upstream.sh`: the `upstream` command for people outside the network, since the record has no other address. It runs
# as a job from the image; what people send along and what comes back passes through a bucket, and not through the log.

locals {
  operator_login = trimsuffix(local.emails["operator"], ".gserviceaccount.com")
}

# Patients' data on its way: gone after a day, whoever forgets it. So there are no versions and nothing is kept softly deleted.
resource "google_storage_bucket" "desk" {
  project                     = var.project_id
  name                        = "${var.project_id}-desk"
  location                    = var.evidence_location
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  encryption {
    default_kms_key_name = google_kms_crypto_key.evidence.id
  }

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 1
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

resource "google_sql_user" "desk" {
  project  = var.project_id
  instance = google_sql_database_instance.this.name
  name     = local.operator_login
  type     = "CLOUD_IAM_SERVICE_ACCOUNT"

  depends_on = [google_service_account.this]
}

resource "google_cloud_run_v2_job" "operate" {
  for_each = toset(local.regions)

  project             = var.project_id
  location            = each.value
  name                = "operate"
  labels              = local.labels
  deletion_protection = false

  template {
    task_count = 1

    template {
      service_account = local.emails["operator"]
      timeout         = "3600s"
      max_retries     = 0

      containers {
        image   = local.image
        command = ["upstream"]
        args    = ["--help"]

        dynamic "env" {
          for_each = merge(local.settings, {
            UPSTREAM_DATABASE        = local.database_instances[each.value]
            UPSTREAM_DATABASE_USER   = local.operator_login
            UPSTREAM_EVIDENCE_BUCKET = google_storage_bucket.payloads.name
            UPSTREAM_REGION          = each.value
          })
          content {
            name  = env.key
            value = env.value
          }
        }
      }

      vpc_access {
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = google_compute_network.this.id
          subnetwork = google_compute_subnetwork.functions[each.value].id
          tags       = ["upstream-database-client"]
        }
      }
    }
  }

  depends_on = [
    google_sql_user.desk,
    google_project_iam_member.project,
  ]
}

##### What the job may do: all that the command does

# A replay publishes to the topic that the letter came from.
resource "google_pubsub_topic_iam_member" "desk" {
  for_each = var.topics.topics

  project = var.project_id
  topic   = google_pubsub_topic.this[each.key].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${local.emails["operator"]}"

  depends_on = [google_service_account.this]
}

# A purge removes a customer's payloads, unread. Evidence has a retention that lets nobody delete.
resource "google_project_iam_custom_role" "payload_purger" {
  project     = var.project_id
  role_id     = "upstreamPayloadPurger"
  title       = "Upstream: removes payloads"
  description = "Lists and deletes what payers sent; reads none of it."
  permissions = ["storage.objects.delete", "storage.objects.list"]
}

# By bucket and role: `fetch run` adds payloads, `actions show --save` reads evidence.
resource "google_storage_bucket_iam_member" "desk" {
  for_each = {
    purge = { bucket = google_storage_bucket.payloads.name, role = "projects/${var.project_id}/roles/upstreamPayloadPurger" }
    fetch = { bucket = google_storage_bucket.payloads.name, role = "roles/storage.objectCreator" }
    save  = { bucket = google_storage_bucket.evidence.name, role = "roles/storage.objectViewer" }
    desk  = { bucket = google_storage_bucket.desk.name, role = "roles/storage.objectUser" }
  }

  bucket = each.value.bucket
  role   = each.value.role
  member = "serviceAccount:${local.emails["operator"]}"

  depends_on = [google_service_account.this, google_project_iam_custom_role.payload_purger]
}

resource "google_project_iam_member" "desk_fetches" {
  project = var.project_id
  role    = local.secret_reader
  member  = "serviceAccount:${local.emails["operator"]}"

  condition {
    title      = "secrets named fetch-*"
    expression = "resource.name.startsWith(\"${local.secrets_path}fetch-\")"
  }

  depends_on = [google_service_account.this, google_project_iam_custom_role.secret_reader]
}
