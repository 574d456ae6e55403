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

  environment    = "dev"
  project_id     = var.project_id
  project_number = var.project_number
  release        = var.release
  source_archive = var.source_archive

  topics    = jsondecode(file("${local.schemas}/topics.json"))
  schedules = jsondecode(file("${local.schemas}/schedules.json"))
  metrics   = jsondecode(file("${local.schemas}/metrics.json"))
  canary    = jsondecode(file("${local.schemas}/canary.json"))

  # Scales to zero, one zone, one region, no load balancer: for trying things out.
  region             = var.region
  database_instance  = var.database_instance
  images_location    = "us"
  firestore_location = var.region
  evidence_location  = upper(var.region)

  database = {
    tier                = "db-custom-1-3840"
    highly_available    = false
    disk_gb             = 10
    max_connections     = 100
    shared_buffers_mb   = 1024
    retained_backups    = 7
    deletion_protection = false
  }
  max_instances = {
    receive_webhook = 3
    process_webhook = 2
    apply_rules     = 2
    notify          = 1
    run_job_task    = 2
    execute_action  = 1
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
