# Logs: ours for a quarter, audit logs for six years. Who read or changed what is logged for everything that holds
# patients' data or secrets.

locals {
  audited = toset([
    "cloudkms.googleapis.com",
    "cloudsql.googleapis.com",
    "datastore.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
    "sts.googleapis.com",
  ])
}

resource "google_logging_project_bucket_config" "application" {
  project        = var.project_id
  location       = "global"
  bucket_id      = "upstream-application"
  retention_days = 90
  description    = "What the functions log: ids and codes."
}

resource "google_logging_project_bucket_config" "audit" {
  project        = var.project_id
  location       = "global"
  bucket_id      = "upstream-audit"
  retention_days = var.audit_retention_days
  locked         = var.lock_retention
  description    = "Who did what to the project, its data and its secrets."
}

resource "google_logging_project_sink" "application" {
  project                = var.project_id
  name                   = "upstream-application"
  destination            = "logging.googleapis.com/${google_logging_project_bucket_config.application.id}"
  filter                 = "resource.type=\"cloud_run_revision\" OR resource.type=\"cloud_run_job\" OR resource.type=\"http_load_balancer\""
  unique_writer_identity = true
}

resource "google_logging_project_sink" "audit" {
  project                = var.project_id
  name                   = "upstream-audit"
  destination            = "logging.googleapis.com/${google_logging_project_bucket_config.audit.id}"
  filter                 = "logName:\"cloudaudit.googleapis.com\" OR (resource.type=\"cloudsql_database\" AND textPayload:\"AUDIT:\")"
  unique_writer_identity = true
}

resource "google_project_iam_audit_config" "all" {
  project = var.project_id
  service = "allServices"

  audit_log_config {
    log_type = "ADMIN_READ"
  }
}

resource "google_project_iam_audit_config" "data" {
  for_each = local.audited

  project = var.project_id
  service = each.value

  audit_log_config {
    log_type = "ADMIN_READ"
  }
  audit_log_config {
    log_type = "DATA_READ"
  }
  audit_log_config {
    log_type = "DATA_WRITE"
  }
}
