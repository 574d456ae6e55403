# `upstream smoke`: one event of a synthetic customer through every function (terraform/deploy.sh smoke). It runs in here, as
# a job from the image, since the record has no other address. Its identity may read one secret, and in the database it sees
# that customer's rows and nobody else's (schemas/migrations/versions/0010_smoke.py).

locals {
  canary_connection = var.canary.connection
  canary_secret     = local.canary_connection.secret_name
  canary_login      = trimsuffix(local.emails["canary"], ".gserviceaccount.com")
}

# What receive_webhook reads of it. Here and not in the command: nobody but operators and this may write a connection.
resource "google_firestore_document" "canary" {
  project     = var.project_id
  database    = google_firestore_database.this.name
  collection  = "connections"
  document_id = local.canary_connection.id
  fields = jsonencode({
    id           = { stringValue = local.canary_connection.id }
    customer_id  = { stringValue = var.canary.customer.id }
    provider     = { stringValue = local.canary_connection.provider }
    scheme       = { stringValue = local.canary_connection.scheme }
    secret_name  = { stringValue = local.canary_secret }
    format       = { stringValue = local.canary_connection.format }
    rate_per_min = { integerValue = tostring(local.canary_connection.rate_per_min) }
    burst        = { integerValue = tostring(local.canary_connection.burst) }
    enabled      = { booleanValue = true }
  })
}

resource "google_secret_manager_secret_iam_member" "canary" {
  project   = var.project_id
  secret_id = google_secret_manager_secret.this[local.canary_secret].secret_id
  role      = local.secret_reader
  member    = "serviceAccount:${local.emails["canary"]}"

  depends_on = [google_service_account.this, google_project_iam_custom_role.secret_reader]
}

resource "google_sql_user" "canary" {
  project  = var.project_id
  instance = google_sql_database_instance.this.name
  name     = local.canary_login
  type     = "CLOUD_IAM_SERVICE_ACCOUNT"

  depends_on = [google_service_account.this]
}

resource "google_cloud_run_v2_job" "smoke" {
  for_each = toset(local.regions)

  project             = var.project_id
  location            = each.value
  name                = "smoke"
  labels              = local.labels
  deletion_protection = false

  template {
    task_count = 1

    template {
      service_account = local.emails["canary"]
      timeout         = "600s"
      max_retries     = 0

      containers {
        image   = local.image
        command = ["upstream"]
        # While a release is tried out, one in ten meets a function's new revision: that none of twenty does has odds of one in eight.
        args = ["smoke", local.webhook_url, "--json", "--timeout", "60", "--times", "20"]

        dynamic "env" {
          for_each = merge(local.settings, {
            UPSTREAM_DATABASE      = local.database_instances[each.value]
            UPSTREAM_DATABASE_USER = local.canary_login
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
    google_sql_user.canary,
    google_secret_manager_secret_iam_member.canary,
    google_project_iam_member.project,
  ]
}
