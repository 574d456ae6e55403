# execute_action: the functions runtime has no browser, so this one is a container from the Dockerfile.

locals {
  image = "${var.images_location}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.images.repository_id}/upstream:${var.release}"
}

resource "google_cloud_run_v2_service" "execute_action" {
  for_each = toset(local.regions)

  project              = var.project_id
  location             = each.value
  name                 = "execute-action"
  labels               = local.labels
  ingress              = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  deletion_protection  = var.database.deletion_protection
  invoker_iam_disabled = false

  template {
    service_account                  = local.emails["function:execute_action"]
    timeout                          = "${local.worker.timeout_s}s"
    max_instance_request_concurrency = local.worker.concurrency
    # The first generation's sandbox lacks system calls that Chromium's own sandbox needs.
    execution_environment = "EXECUTION_ENVIRONMENT_GEN2"

    scaling {
      min_instance_count = each.value == var.region ? local.min_instances["execute_action"] : 0
      max_instance_count = local.max_instances["execute_action"]
    }

    containers {
      image = local.image

      resources {
        limits            = { cpu = local.worker.cpu, memory = local.worker.memory }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      ports {
        container_port = 8080
      }

      startup_probe {
        period_seconds    = 5
        failure_threshold = 12
        http_get {
          path = "/_health/live"
        }
      }

      dynamic "env" {
        for_each = merge(local.settings, local.database_settings["execute_action"], {
          FUNCTION_TARGET          = "execute_action"
          FUNCTION_USE_ASGI        = "1"
          PYTHONOPTIMIZE           = "1"
          UPSTREAM_DATABASE        = local.database_instances[each.value]
          UPSTREAM_EVIDENCE_BUCKET = google_storage_bucket.evidence.name
          UPSTREAM_PORTAL_SESSIONS = tostring(local.worker.concurrency)
          UPSTREAM_METRICS         = "1"
          UPSTREAM_SINGLE_PRACTICE = var.single_practice
        })
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = var.sentry ? { SENTRY_DSN = "sentry-dsn" } : {}
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = env.value
              version = "latest"
            }
          }
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

  lifecycle {
    # Traffic is moved by the deployment, 10 % first (terraform/deploy.sh).
    ignore_changes = [traffic, client, client_version]
  }

  depends_on = [
    google_service_account.this,
    google_project_service.this,
    google_secret_manager_secret_iam_member.reader,
    google_sql_user.function,
  ]
}

resource "google_cloud_run_v2_service_iam_member" "execute_action" {
  for_each = toset(local.regions)

  project  = var.project_id
  location = each.value
  name     = google_cloud_run_v2_service.execute_action[each.value].name
  role     = "roles/run.invoker"
  member   = "serviceAccount:${local.invokers["execute_action"].push}"
}

# Migrations run before the code that needs them, from the same image, as the owner of the tables.
resource "google_cloud_run_v2_job" "migrate" {
  for_each = toset(local.regions)

  project             = var.project_id
  location            = each.value
  name                = "migrate"
  labels              = local.labels
  deletion_protection = false

  template {
    task_count = 1

    template {
      service_account = local.emails["migrator"]
      timeout         = "3600s"
      max_retries     = 0

      containers {
        image   = local.image
        command = ["upstream"]
        args = concat(
          ["migrate", "--owner-role", "cloudsqlsuperuser"],
          flatten([
            for name in local.database_functions : [
              contains(local.scheduled, name) ? "--scheduler-login" : "--app-login",
              local.database_settings[name].UPSTREAM_DATABASE_USER,
            ]
          ]),
          flatten([for login in concat([local.operator_login], sort(var.operators)) : ["--operator-login", login]]),
          ["--smoke-login", local.canary_login],
        )

        dynamic "env" {
          for_each = merge(local.settings, {
            UPSTREAM_DATABASE      = local.database_instances[each.value]
            UPSTREAM_DATABASE_USER = trimsuffix(local.emails["migrator"], ".gserviceaccount.com")
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

  # It makes log-ins members of roles, so they have to be there; in a first installation nothing else has made them yet.
  depends_on = [
    google_sql_database.this,
    google_sql_user.canary,
    google_sql_user.desk,
    google_sql_user.function,
    google_sql_user.migrator,
    google_sql_user.operator,
    google_project_iam_member.project,
  ]
}
