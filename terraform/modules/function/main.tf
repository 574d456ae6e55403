# One function. Who it is and what it may do stands in modules/app/iam.tf.

locals {
  # Function and service names take no underscore.
  service = replace(var.name, "_", "-")
}

resource "google_cloudfunctions2_function" "this" {
  project  = var.project_id
  location = var.region
  name     = local.service
  labels   = var.labels

  build_config {
    runtime           = "python312"
    entry_point       = var.name
    service_account   = var.build_service_account
    docker_repository = var.docker_repository

    source {
      storage_source {
        bucket = var.source_bucket
        object = var.source_object
      }
    }
  }

  service_config {
    service_account_email            = var.service_account
    available_memory                 = var.memory
    available_cpu                    = var.cpu
    timeout_seconds                  = var.timeout_s
    max_instance_request_concurrency = var.concurrency
    min_instance_count               = var.min_instances
    max_instance_count               = var.max_instances
    ingress_settings                 = var.ingress
    # Traffic is moved by the deployment, 10 % first (terraform/deploy.sh).
    all_traffic_on_latest_revision = false

    environment_variables = merge(var.environment, {
      # The functions are asyncio ones; the framework serves them as such only when told to.
      FUNCTION_USE_ASGI = "1"
      # Asserts and the test suite's crash points are compiled away.
      PYTHONOPTIMIZE = "1"
      # The build writes no logs of ours; what the functions print is JSON already.
      PYTHONUNBUFFERED = "1"
    })

    dynamic "secret_environment_variables" {
      for_each = var.secret_environment
      content {
        key        = secret_environment_variables.key
        project_id = var.project_id
        secret     = secret_environment_variables.value
        version    = "latest"
      }
    }

    # Only private addresses go through our network: the database. Google's APIs and customers' endpoints do not.
    direct_vpc_egress = var.subnetwork == null ? null : "VPC_EGRESS_PRIVATE_RANGES_ONLY"

    dynamic "direct_vpc_network_interface" {
      for_each = var.subnetwork == null ? [] : [var.subnetwork]
      content {
        network    = direct_vpc_network_interface.value.network
        subnetwork = direct_vpc_network_interface.value.subnetwork
        tags       = ["upstream-database-client"]
      }
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = var.invokers

  project  = var.project_id
  location = var.region
  name     = local.service
  role     = "roles/run.invoker"
  member   = "serviceAccount:${each.value}"

  depends_on = [google_cloudfunctions2_function.this]
}

resource "google_cloud_run_v2_service_iam_member" "anybody" {
  count = var.public ? 1 : 0

  project  = var.project_id
  location = var.region
  name     = local.service
  role     = "roles/run.invoker"
  member   = "allUsers"

  depends_on = [google_cloudfunctions2_function.this]
}
