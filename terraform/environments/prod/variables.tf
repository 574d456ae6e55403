# None has a default: what terraform.tfvars does not say is asked for, never taken back.

variable "project_id" {
  type = string
}

variable "project_number" {
  type = string
}

variable "region" {
  description = "Serves. After a fail-over the two regions change places (docs/disaster-recovery.md)."
  type        = string
}

variable "database_instance" {
  description = "The record's; another one after a recovery (docs/disaster-recovery.md)."
  type        = string
}

variable "release" {
  description = "Commit of this release. terraform/deploy.sh sets it."
  type        = string
}

variable "source_archive" {
  description = "The archive of this release. terraform/deploy.sh makes it."
  type        = string
}

variable "domain" {
  type = string
}

variable "standby_region" {
  description = "Null: no replica, no second set of functions, and a region's loss is a restore from backup."
  type        = string
}

variable "lock_retention" {
  description = "Irrevocable: turn on once the system is accepted."
  type        = bool
}

variable "connection_secrets" {
  type = set(string)
}

variable "fetch_secrets" {
  type = set(string)
}

variable "channel_secrets" {
  type = set(string)
}

variable "portal_credentials" {
  type = set(string)
}

variable "single_practice" {
  type = string
}

variable "smtp" {
  type = object({ host = string, port = number, sender = string, username = string })
}

variable "sentry" {
  type = bool
}

variable "paging_channels" {
  type = set(string)
}

variable "operators" {
  type = set(string)
}

variable "incident_leads" {
  type = set(string)
}

variable "notification_channels" {
  type = map(string)
}

variable "runbook_url" {
  type = string
}

variable "github_repository" {
  type = string
}
