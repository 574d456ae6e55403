# The deployed functions. Keys are the names in main.py.
#
# Database connections: an instance opens at most `pool`, and runs as many transactions at once. While traffic moves
# from one revision to the next both may be at their maximum, so twice the sum, and what operators, a migration and the
# server itself keep, must fit in max_connections (docs/adr/0012). The precondition in database.tf and a test compute it.
#
# process_webhook and apply_rules take more requests than they have connections: those of one customer that arrive
# together share a transaction (docs/adr/0011).

locals {
  functions = {
    receive_webhook = {
      memory = "1Gi", cpu = "1", timeout_s = 150, concurrency = 80, pool = 0, max_instances = 20
    }
    process_webhook = {
      memory = "1Gi", cpu = "1", timeout_s = 60, concurrency = 64, pool = 4, max_instances = 5
    }
    apply_rules = {
      memory = "512Mi", cpu = "1", timeout_s = 60, concurrency = 64, pool = 4, max_instances = 5
    }
    notify = {
      memory = "512Mi", cpu = "1", timeout_s = 120, concurrency = 8, pool = 4, max_instances = 3
    }
    record_dead_letter = {
      memory = "512Mi", cpu = "1", timeout_s = 60, concurrency = 4, pool = 2, max_instances = 2
    }
    run_job_task = {
      memory = "1Gi", cpu = "1", timeout_s = 540, concurrency = 4, pool = 2, max_instances = 6
    }
    check_expiring_authorizations = {
      memory = "512Mi", cpu = "1", timeout_s = 300, concurrency = 1, pool = 1, max_instances = 1
    }
    build_risk_baselines = {
      memory = "512Mi", cpu = "1", timeout_s = 300, concurrency = 1, pool = 1, max_instances = 1
    }
    detect_behavioral_changes = {
      memory = "512Mi", cpu = "1", timeout_s = 300, concurrency = 1, pool = 1, max_instances = 1
    }
    release_actions = {
      memory = "512Mi", cpu = "1", timeout_s = 300, concurrency = 1, pool = 1, max_instances = 1
    }
    measure_backlog = {
      memory = "512Mi", cpu = "1", timeout_s = 60, concurrency = 1, pool = 1, max_instances = 1
    }
  }

  # The one with a browser: a container, one action at a time (browser_worker.tf).
  worker = { memory = "2Gi", cpu = "2", timeout_s = 600, concurrency = 1, pool = 2, max_instances = 6 }

  deployed = merge(local.functions, { execute_action = local.worker })

  max_instances = { for name, one in local.deployed : name => lookup(var.max_instances, name, one.max_instances) }
  min_instances = { for name, one in local.deployed : name => lookup(var.min_instances, name, 0) }

  # Kept for: the superuser (3), Cloud SQL's own agents (about 5), two operators with two each, one migration, one drill, the
  # smoke test (2).
  reserved_connections = 16
  function_connections = sum([for name, one in local.deployed : local.max_instances[name] * one.pool])
  needed_connections   = 2 * local.function_connections + local.reserved_connections

  # Nothing is named or numbered by which of them serves: after a fail-over they change places (docs/disaster-recovery.md).
  regions = sort(compact([var.region, var.standby_region]))
  placements = merge([
    for region in local.regions : {
      for name, one in local.functions : "${name}@${region}" => { name = name, region = region }
    }
  ]...)

  # Who calls whom: pushed by a subscription, or fired by the scheduler.
  subscription_of = { for name, one in var.topics.subscriptions : one.function => name }
  scheduled       = toset(keys(var.schedules.schedules))
  schedules       = { for key, one in local.placements : key => one if contains(local.scheduled, one.name) }
  invokers = {
    for name in keys(local.deployed) : name => merge(
      contains(keys(local.subscription_of), name) ? { push = local.emails["push:${name}"] } : {},
      contains(local.scheduled, name) ? { schedule = local.emails["schedule:${name}"] } : {},
    )
  }

  # Cloud Run's addresses can be told in advance: a function can so be given its own, as the audience of its callers.
  uris = {
    for region in local.regions : region => {
      for name in keys(local.deployed) :
      name => "https://${replace(name, "_", "-")}-${var.project_number}.${region}.run.app"
    }
  }

  # What payers are given, before the connection's own path.
  webhook_url = var.domain == null ? local.uris[var.region].receive_webhook : "https://${var.domain}"

  settings = {
    UPSTREAM_RUNTIME       = "gcp"
    UPSTREAM_PROJECT       = var.project_id
    UPSTREAM_ENVIRONMENT   = var.environment
    UPSTREAM_RELEASE       = var.release
    UPSTREAM_DATABASE_NAME = local.database_name
    UPSTREAM_LOG_LEVEL     = "info"
    # Spans go to Cloud Trace, of one trace in ten (docs/adr/0024).
    UPSTREAM_TRACES         = "cloud"
    UPSTREAM_TRACE_SAMPLING = "0.1"
  }
  # Of a function that uses the database: it logs in as itself, a member of upstream_app.
  database_settings = {
    for name, one in local.deployed : name => one.pool == 0 ? {} : {
      UPSTREAM_DATABASE_USER = trimsuffix(local.emails["function:${name}"], ".gserviceaccount.com")
      UPSTREAM_POOL_SIZE     = tostring(one.pool)
    }
  }
  # A job checks for itself that the scheduler fires it.
  schedule_settings = {
    for key, one in local.schedules : key => {
      UPSTREAM_SCHEDULER_AUDIENCE = local.uris[one.region][one.name]
      UPSTREAM_SCHEDULER_EMAIL    = local.emails["schedule:${one.name}"]
    }
  }
  smtp_settings = var.smtp == null ? {} : {
    UPSTREAM_SMTP_HOST     = var.smtp.host
    UPSTREAM_SMTP_PORT     = tostring(var.smtp.port)
    UPSTREAM_SMTP_SENDER   = var.smtp.sender
    UPSTREAM_SMTP_USERNAME = var.smtp.username
    UPSTREAM_SMTP_SECRET   = "smtp-password"
  }
}

module "function" {
  source   = "../function"
  for_each = local.placements

  name                  = each.value.name
  project_id            = var.project_id
  region                = each.value.region
  service_account       = local.emails["function:${each.value.name}"]
  build_service_account = "projects/${var.project_id}/serviceAccounts/${local.emails["builder"]}"
  docker_repository     = google_artifact_registry_repository.functions[each.value.region].id
  source_bucket         = google_storage_bucket.source.name
  source_object         = google_storage_bucket_object.source.name

  memory        = local.functions[each.value.name].memory
  cpu           = local.functions[each.value.name].cpu
  timeout_s     = local.functions[each.value.name].timeout_s
  concurrency   = local.functions[each.value.name].concurrency
  min_instances = each.value.region == var.region ? local.min_instances[each.value.name] : 0
  max_instances = local.max_instances[each.value.name]

  ingress = (
    each.value.name != "receive_webhook" ? "ALLOW_INTERNAL_ONLY" :
    var.domain == null ? "ALLOW_ALL" : "ALLOW_INTERNAL_AND_GCLB"
  )
  public   = each.value.name == "receive_webhook"
  invokers = local.invokers[each.value.name]

  environment = merge(
    local.settings,
    local.database_settings[each.value.name],
    local.functions[each.value.name].pool == 0 ? {} : { UPSTREAM_DATABASE = local.database_instances[each.value.region] },
    each.value.name == "notify" ? local.smtp_settings : {},
    local.access[each.value.name].bucket == null ? {} : {
      UPSTREAM_EVIDENCE_BUCKET = local.buckets[local.access[each.value.name].bucket.name]
    },
    lookup(local.schedule_settings, each.key, {}),
  )
  secret_environment = var.sentry ? { SENTRY_DSN = "sentry-dsn" } : {}
  subnetwork = local.functions[each.value.name].pool == 0 ? null : {
    network    = google_compute_network.this.id
    subnetwork = google_compute_subnetwork.functions[each.value.region].id
  }
  labels = local.labels

  depends_on = [
    google_service_account.this,
    google_project_service.this,
    google_secret_manager_secret_iam_member.reader,
    google_sql_user.function,
    # Without these no function is built.
    google_artifact_registry_repository_iam_member.builder,
    google_project_iam_member.builder_sources,
    google_project_iam_member.project,
    google_storage_bucket_iam_member.builder,
  ]
}
