# The record. Private, encrypted with our key, TLS and IAM log-ins only.

locals {
  database_name      = "upstream"
  database_functions = sort([for name, one in local.deployed : name if one.pool > 0])

  instance_names = merge(
    { (var.region) = var.database_instance },
    var.standby_region == null ? {} : { (var.standby_region) = "${var.database_instance}-standby" },
  )
  database_instances = { for region, name in local.instance_names : region => "${var.project_id}:${region}:${name}" }

  database_flags = {
    "cloudsql.iam_authentication" = "on"
    max_connections               = tostring(var.database.max_connections)
    # In pages of 8 kB.
    shared_buffers = tostring(var.database.shared_buffers_mb * 1024 / 8)
    # Who came and what they changed of the schema. Never statements of the functions: their parameters are patients' data.
    # `upstream migrate` adds what operators read and write, on their log-ins.
    "cloudsql.enable_pgaudit"  = "on"
    "pgaudit.log"              = "ddl,role"
    log_connections            = "on"
    log_disconnections         = "on"
    log_checkpoints            = "on"
    log_lock_waits             = "on"
    log_temp_files             = "0"
    log_min_duration_statement = "-1"
    log_min_error_statement    = "panic"
    log_error_verbosity        = "terse" # the details of an error quote the row
    # A transaction that nobody ends holds locks and rows: end it after a minute.
    idle_in_transaction_session_timeout = "60000"
  }
}

resource "google_sql_database_instance" "this" {
  project             = var.project_id
  region              = var.region
  name                = var.database_instance
  database_version    = "POSTGRES_15"
  encryption_key_name = google_kms_crypto_key.regional["sql@${var.region}"].id
  deletion_protection = var.database.deletion_protection

  settings {
    edition                     = "ENTERPRISE"
    tier                        = var.database.tier
    availability_type           = var.database.highly_available ? "REGIONAL" : "ZONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = var.database.disk_gb
    disk_autoresize             = true
    connector_enforcement       = "REQUIRED"
    deletion_protection_enabled = var.database.deletion_protection
    retain_backups_on_delete    = true
    user_labels                 = local.labels

    backup_configuration {
      enabled                        = true
      start_time                     = "02:00"
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = 7

      backup_retention_settings {
        retained_backups = var.database.retained_backups
        retention_unit   = "COUNT"
      }
    }

    maintenance_window {
      day          = 7
      hour         = 3
      update_track = "stable"
    }

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.this.id
      # A client certificate too, which Google's connector and proxy get for whoever IAM lets in.
      ssl_mode = "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
    }

    insights_config {
      query_insights_enabled  = true
      query_string_length     = 1024
      record_application_tags = false
      record_client_address   = false
    }

    password_validation_policy {
      enable_password_policy      = true
      min_length                  = 32
      complexity                  = "COMPLEXITY_DEFAULT"
      disallow_username_substring = true
      reuse_interval              = 5
    }

    dynamic "database_flags" {
      for_each = local.database_flags
      content {
        name  = database_flags.key
        value = database_flags.value
      }
    }
  }

  lifecycle {
    prevent_destroy = true
    # Autoresize grows it; shrinking would replace the instance.
    ignore_changes = [settings[0].disk_size]

    precondition {
      condition     = local.needed_connections <= var.database.max_connections
      error_message = "Functions at their maximum would open more connections than the database takes: see functions.tf."
    }
  }

  depends_on = [
    google_service_networking_connection.database,
    google_kms_crypto_key_iam_member.agent,
  ]
}

# Where the service goes if the region is lost. Promoted by hand (docs/disaster-recovery.md).
resource "google_sql_database_instance" "standby" {
  count = var.standby_region == null ? 0 : 1

  project              = var.project_id
  region               = var.standby_region
  name                 = local.instance_names[var.standby_region]
  database_version     = "POSTGRES_15"
  master_instance_name = google_sql_database_instance.this.name
  encryption_key_name  = google_kms_crypto_key.regional["sql@${var.standby_region}"].id
  deletion_protection  = var.database.deletion_protection

  settings {
    edition                     = "ENTERPRISE"
    tier                        = var.database.tier
    availability_type           = "ZONAL"
    disk_type                   = "PD_SSD"
    disk_autoresize             = true
    connector_enforcement       = "REQUIRED"
    deletion_protection_enabled = var.database.deletion_protection
    user_labels                 = local.labels

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.this.id
      # A client certificate too, which Google's connector and proxy get for whoever IAM lets in.
      ssl_mode = "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
    }

    dynamic "database_flags" {
      for_each = local.database_flags
      content {
        name  = database_flags.key
        value = database_flags.value
      }
    }
  }

  lifecycle {
    # Promotion makes it a primary of its own; backups and zones are then set as docs/disaster-recovery.md says.
    ignore_changes = [
      master_instance_name,
      settings[0].availability_type,
      settings[0].backup_configuration,
      settings[0].disk_size,
    ]
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

resource "google_sql_database" "this" {
  project   = var.project_id
  instance  = google_sql_database_instance.this.name
  name      = local.database_name
  charset   = "UTF8"
  collation = "en_US.UTF8"

  lifecycle {
    prevent_destroy = true
  }
}

# Each function logs in as itself. The migration job makes it a member of upstream_app, which row-level security binds to
# one customer at a time, or a scheduled one of upstream_scheduler, which lists customers.
resource "google_sql_user" "function" {
  for_each = toset(local.database_functions)

  project  = var.project_id
  instance = google_sql_database_instance.this.name
  name     = trimsuffix(local.emails["function:${each.value}"], ".gserviceaccount.com")
  type     = "CLOUD_IAM_SERVICE_ACCOUNT"

  depends_on = [google_service_account.this]
}

resource "google_sql_user" "migrator" {
  project        = var.project_id
  instance       = google_sql_database_instance.this.name
  name           = trimsuffix(local.emails["migrator"], ".gserviceaccount.com")
  type           = "CLOUD_IAM_SERVICE_ACCOUNT"
  database_roles = ["cloudsqlsuperuser"]

  depends_on = [google_service_account.this]
}

resource "google_sql_user" "operator" {
  for_each = var.operators

  project  = var.project_id
  instance = google_sql_database_instance.this.name
  name     = each.value
  type     = "CLOUD_IAM_USER"
}
