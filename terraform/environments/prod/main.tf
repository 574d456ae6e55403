terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.0"
    }
  }

  # terraform/deploy.sh names the bucket: -backend-config="bucket=<project>-terraform"
  backend "gcs" {
    prefix = "upstream"
  }
}

provider "google" {
  project               = var.project_id
  region                = var.region
  user_project_override = true
  billing_project       = var.project_id
}

locals {
  schemas = "${path.module}/../../../schemas"
}

module "app" {
  source = "../../modules/app"

  environment    = "prod"
  project_id     = var.project_id
  project_number = var.project_number
  release        = var.release
  source_archive = var.source_archive

  topics    = jsondecode(file("${local.schemas}/topics.json"))
  schedules = jsondecode(file("${local.schemas}/schedules.json"))
  metrics   = jsondecode(file("${local.schemas}/metrics.json"))
  canary    = jsondecode(file("${local.schemas}/canary.json"))

  region             = var.region
  database_instance  = var.database_instance
  standby_region     = var.standby_region
  images_location    = "us"
  firestore_location = "nam5"
  evidence_location  = "US"
  domain             = var.domain
  lock_retention     = var.lock_retention

  database = {
    tier                = "db-custom-2-8192"
    highly_available    = true
    disk_gb             = 100
    max_connections     = 200
    shared_buffers_mb   = 2048
    retained_backups    = 30
    deletion_protection = true
  }
  # What a payer waits for, and what its delivery goes through next, starts warm.
  min_instances = {
    receive_webhook = 2
    process_webhook = 1
    apply_rules     = 1
  }

  connection_secrets = var.connection_secrets
  fetch_secrets      = var.fetch_secrets
  channel_secrets    = var.channel_secrets
  portal_credentials = var.portal_credentials
  single_practice    = var.single_practice

  smtp                  = var.smtp
  sentry                = var.sentry
  paging_channels       = var.paging_channels
  operators             = var.operators
  incident_leads        = var.incident_leads
  notification_channels = var.notification_channels
  runbook_url           = var.runbook_url
  github_repository     = var.github_repository
}

output "app" {
  value = module.app
}
