# Who may do what. `access` is the whole of it for the functions; docs/security.md has the same table, and a test compares
# that with the plan.

locals {
  access = {
    receive_webhook = {
      publishes = ["webhook-events"]
      secrets   = [local.decoy]
      prefixes  = ["connection-"]
      suffixes  = []
      firestore = true
      bucket    = { name = "payloads", role = "roles/storage.objectCreator" }
    }
    process_webhook = {
      publishes = ["domain-events", "dead-letters"]
      secrets   = []
      prefixes  = []
      suffixes  = []
      firestore = false
      bucket    = { name = "payloads", role = "roles/storage.objectViewer" }
    }
    apply_rules = {
      publishes = ["portal-actions", "notifications", "dead-letters"]
      secrets   = []
      prefixes  = []
      suffixes  = []
      firestore = false
      bucket    = null
    }
    execute_action = {
      publishes = ["domain-events", "portal-actions", "notifications", "dead-letters"]
      secrets   = []
      prefixes  = []
      suffixes  = ["-portal-credentials"]
      firestore = false
      bucket    = { name = "evidence", role = "roles/storage.objectCreator" }
    }
    notify = {
      publishes = ["dead-letters"]
      secrets   = ["smtp-password"]
      prefixes  = ["hook-"]
      suffixes  = []
      firestore = false
      bucket    = null
    }
    run_job_task = {
      publishes = ["job-tasks", "domain-events", "portal-actions", "dead-letters"]
      secrets   = []
      prefixes  = []
      suffixes  = []
      firestore = false
      bucket    = null
    }
    # There is nowhere else to put what cannot be kept: it is pushed again.
    record_dead_letter            = { publishes = [], secrets = [], prefixes = [], suffixes = [], firestore = false, bucket = null }
    check_expiring_authorizations = { publishes = ["job-tasks"], secrets = [], prefixes = [], suffixes = [], firestore = false, bucket = null }
    build_risk_baselines          = { publishes = ["job-tasks"], secrets = [], prefixes = [], suffixes = [], firestore = false, bucket = null }
    detect_behavioral_changes     = { publishes = ["job-tasks"], secrets = [], prefixes = [], suffixes = [], firestore = false, bucket = null }
    release_actions               = { publishes = ["job-tasks"], secrets = [], prefixes = [], suffixes = [], firestore = false, bucket = null }
    measure_backlog               = { publishes = [], secrets = [], prefixes = [], suffixes = [], firestore = false, bucket = null }
  }

  # Account ids have at most 30 characters. Emails are made from them, so that a plan shows who gets what.
  account_ids = merge(
    { for name in keys(local.deployed) : "function:${name}" => replace(name, "_", "-") },
    { for name in keys(local.subscription_of) : "push:${name}" => trimsuffix(substr("push-${replace(name, "_", "-")}", 0, 30), "-") },
    { for name in local.scheduled : "schedule:${name}" => trimsuffix(substr("cron-${replace(name, "_", "-")}", 0, 30), "-") },
    { migrator = "migrator", builder = "function-builder", canary = "canary", operator = "operator" },
    var.github_repository == null ? {} : { deployer = "deployer" },
  )
  emails = { for key, id in local.account_ids : key => "${id}@${var.project_id}.iam.gserviceaccount.com" }

  publishers = merge([
    for name, one in local.access : { for topic in one.publishes : "${name}:${topic}" => { name = name, topic = topic } }
  ]...)

  secret_readers = merge(
    merge([for name, one in local.access : { for secret in one.secrets : "${name}:${secret}" => { name = name, secret = secret } }]...),
    var.sentry ? { for name in keys(local.access) : "${name}:sentry-dsn" => { name = name, secret = "sentry-dsn" } } : {},
  )

  # Secrets that come and go with customers are granted by how they are named.
  secrets_path = "projects/${var.project_number}/secrets/"
  named_secret_readers = merge(
    merge([for name, one in local.access : {
      for prefix in one.prefixes : "${name}:${prefix}*" => {
        name       = name
        title      = "secrets named ${prefix}*"
        expression = "resource.name.startsWith(\"${local.secrets_path}${prefix}\")"
      }
    }]...),
    merge([for name, one in local.access : {
      for suffix in one.suffixes : "${name}:*${suffix}" => {
        name  = name
        title = "secrets named *${suffix}"
        expression = join(" || ", [
          "resource.name.endsWith(\"${suffix}\")",
          "resource.name.extract(\"/secrets/{name}/versions/\").endsWith(\"${suffix}\")",
        ])
      }
    }]...),
  )

  # On the whole project: these have no narrower place to be granted, or none that Google offers.
  secret_reader = "projects/${var.project_id}/roles/upstreamSecretReader"
  project_roles = merge(
    { for name in local.database_functions : "${name}:cloudsql.client" => { who = "function:${name}", role = "roles/cloudsql.client" } },
    { for name in local.database_functions : "${name}:cloudsql.instanceUser" => { who = "function:${name}", role = "roles/cloudsql.instanceUser" } },
    { for name in keys(local.deployed) : "${name}:telemetry.tracesWriter" => { who = "function:${name}", role = "roles/telemetry.tracesWriter" } },
    {
      "migrator:cloudsql.client"       = { who = "migrator", role = "roles/cloudsql.client" }
      "migrator:cloudsql.instanceUser" = { who = "migrator", role = "roles/cloudsql.instanceUser" }
      "canary:cloudsql.client"         = { who = "canary", role = "roles/cloudsql.client" }
      "canary:cloudsql.instanceUser"   = { who = "canary", role = "roles/cloudsql.instanceUser" }
      "operator:cloudsql.client"       = { who = "operator", role = "roles/cloudsql.client" }
      "operator:cloudsql.instanceUser" = { who = "operator", role = "roles/cloudsql.instanceUser" }
      "operator:datastore.user"        = { who = "operator", role = "roles/datastore.user" }
      "operator:jobs"                  = { who = "operator", role = "projects/${var.project_id}/roles/upstreamJobOperator" }
      "builder:logging.logWriter"      = { who = "builder", role = "roles/logging.logWriter" }
    },
  )
}

resource "google_service_account" "this" {
  for_each = local.account_ids

  project      = var.project_id
  account_id   = each.value
  display_name = each.key

  depends_on = [google_project_service.this]
}

##### Publishing

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publishers

  project = var.project_id
  topic   = google_pubsub_topic.this[each.value.topic].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${local.emails["function:${each.value.name}"]}"

  depends_on = [google_service_account.this]
}

# Pub/Sub moves what was delivered too often: it publishes to the dead-letter topic and acknowledges the original.
resource "google_pubsub_topic_iam_member" "pubsub_dead_letters" {
  for_each = toset([for one in values(local.dead_lettered) : one.dead_letter_topic])

  project = var.project_id
  topic   = google_pubsub_topic.this[each.value].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${local.agents.pubsub}"
}

resource "google_pubsub_subscription_iam_member" "pubsub_acknowledges" {
  for_each = local.dead_lettered

  project      = var.project_id
  subscription = google_pubsub_subscription.push[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:${local.agents.pubsub}"
}

resource "google_pubsub_topic_iam_member" "secret_manager" {
  project = var.project_id
  topic   = google_pubsub_topic.this["secret-rotations"].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${local.agents.secrets}"
}

# Pub/Sub signs its pushes as the subscription's own identity, which may call that one function.
resource "google_service_account_iam_member" "pubsub_mints_tokens" {
  for_each = local.subscription_of

  service_account_id = "projects/${var.project_id}/serviceAccounts/${local.emails["push:${each.key}"]}"
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = "serviceAccount:${local.agents.pubsub}"

  depends_on = [google_service_account.this]
}

##### Secrets

resource "google_project_iam_custom_role" "secret_reader" {
  project     = var.project_id
  role_id     = "upstreamSecretReader"
  title       = "Upstream: reads a secret's versions"
  description = "Lists and reads the versions of a secret: several are good while one is rotated."
  permissions = ["secretmanager.versions.access", "secretmanager.versions.list", "secretmanager.versions.get"]
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = local.secret_readers

  project   = var.project_id
  secret_id = each.value.secret == local.decoy ? google_secret_manager_secret.decoy.secret_id : google_secret_manager_secret.this[each.value.secret].secret_id
  role      = local.secret_reader
  member    = "serviceAccount:${local.emails["function:${each.value.name}"]}"

  depends_on = [google_service_account.this, google_project_iam_custom_role.secret_reader]
}

resource "google_project_iam_member" "named_secret_reader" {
  for_each = local.named_secret_readers

  project = var.project_id
  role    = local.secret_reader
  member  = "serviceAccount:${local.emails["function:${each.value.name}"]}"

  condition {
    title      = each.value.title
    expression = each.value.expression
  }

  depends_on = [google_service_account.this, google_project_iam_custom_role.secret_reader]
}

##### Firestore, evidence, the rest

resource "google_project_iam_member" "firestore" {
  for_each = toset([for name, one in local.access : name if one.firestore])

  project = var.project_id
  role    = "roles/datastore.user"
  member  = "serviceAccount:${local.emails["function:${each.value}"]}"

  condition {
    title      = "the (default) database"
    expression = "resource.name == \"projects/${var.project_id}/databases/(default)\""
  }

  depends_on = [google_service_account.this]
}

# execute_action adds evidence, receive_webhook payloads that are too large for a message: neither can read, change or delete
# what is there. process_webhook reads payloads.
resource "google_storage_bucket_iam_member" "function" {
  for_each = { for name, one in local.access : name => one.bucket if one.bucket != null }

  bucket = local.buckets[each.value.name]
  role   = each.value.role
  member = "serviceAccount:${local.emails["function:${each.key}"]}"

  depends_on = [google_service_account.this]
}

resource "google_project_iam_member" "project" {
  for_each = local.project_roles

  project = var.project_id
  role    = each.value.role
  member  = "serviceAccount:${local.emails[each.value.who]}"

  depends_on = [google_service_account.this, google_project_iam_custom_role.job_operator]
}

##### Building

resource "google_storage_bucket_iam_member" "builder" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${local.emails["builder"]}"

  depends_on = [google_service_account.this]
}

# Cloud Functions copies a release's archive to a bucket of its own in each region, and Cloud Build reads it there.
resource "google_project_iam_member" "builder_sources" {
  project = var.project_id
  role    = "roles/storage.objectViewer"
  member  = "serviceAccount:${local.emails["builder"]}"

  condition {
    title      = "the buckets of function sources"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${var.project_number}-\")"
  }

  depends_on = [google_service_account.this]
}

# A repository of ours, so that the grant stands on it: Artifact Registry knows no conditions on a resource's name.
resource "google_artifact_registry_repository_iam_member" "builder" {
  for_each = google_artifact_registry_repository.functions

  project    = var.project_id
  location   = each.value.location
  repository = each.value.repository_id
  role       = "roles/artifactregistry.writer"
  member     = "serviceAccount:${local.emails["builder"]}"

  depends_on = [google_service_account.this]
}

##### Engineers

resource "google_project_iam_custom_role" "job_operator" {
  project     = var.project_id
  role_id     = "upstreamJobOperator"
  title       = "Upstream: runs, pauses and resumes jobs"
  description = "What `upstream jobs` does; changes neither a job's time nor what it calls."
  permissions = [
    "cloudscheduler.jobs.enable",
    "cloudscheduler.jobs.get",
    "cloudscheduler.jobs.list",
    "cloudscheduler.jobs.pause",
    "cloudscheduler.jobs.run",
  ]
}

# New values of secrets, and which are good. Reads none.
resource "google_project_iam_custom_role" "secret_operator" {
  project     = var.project_id
  role_id     = "upstreamSecretOperator"
  title       = "Upstream: rotates secrets"
  description = "Adds, disables and enables versions of secrets; reads none of them."
  permissions = [
    "secretmanager.versions.add",
    "secretmanager.versions.disable",
    "secretmanager.versions.enable",
    "secretmanager.versions.get",
    "secretmanager.versions.list",
  ]
}

# What the runbook looks at, and SQL in Cloud SQL Studio, as themselves. What is done to the record goes through the job.
resource "google_project_iam_member" "operator" {
  for_each = merge([for email in var.operators : {
    for role in [
      "roles/cloudsql.instanceUser",
      "roles/cloudsql.studioUser",
      "roles/cloudsql.viewer",
      "roles/datastore.user",
      "roles/logging.viewer",
      "roles/monitoring.viewer",
      "roles/pubsub.viewer",
      "roles/run.viewer",
      "projects/${var.project_id}/roles/upstreamJobOperator",
      "projects/${var.project_id}/roles/upstreamSecretOperator",
    ] : "${email}:${role}" => { email = email, role = role }
  }]...)

  project = var.project_id
  role    = each.value.role
  member  = "user:${each.value.email}"

  depends_on = [google_project_iam_custom_role.job_operator, google_project_iam_custom_role.secret_operator]
}

resource "google_project_iam_custom_role" "job_runner" {
  project     = var.project_id
  role_id     = "upstreamJobRunner"
  title       = "Upstream: runs a job with words of its own"
  description = "What terraform/upstream.sh does."
  permissions = ["run.jobs.get", "run.jobs.run", "run.jobs.runWithOverrides"]
}

resource "google_cloud_run_v2_job_iam_member" "operator" {
  for_each = merge([for email in var.operators : {
    for region in local.regions : "${email}@${region}" => { email = email, region = region }
  }]...)

  project  = var.project_id
  location = each.value.region
  name     = google_cloud_run_v2_job.operate[each.value.region].name
  role     = "projects/${var.project_id}/roles/upstreamJobRunner"
  member   = "user:${each.value.email}"

  depends_on = [google_project_iam_custom_role.job_runner]
}

resource "google_storage_bucket_iam_member" "operator" {
  for_each = var.operators

  bucket = google_storage_bucket.desk.name
  role   = "roles/storage.objectUser"
  member = "user:${each.value}"
}

# Which secret is due (runbook, 15).
resource "google_pubsub_subscription_iam_member" "operator" {
  for_each = var.operators

  project      = var.project_id
  subscription = google_pubsub_subscription.secret_rotations.name
  role         = "roles/pubsub.subscriber"
  member       = "user:${each.value}"
}
