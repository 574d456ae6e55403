variable "project_id" {
  type = string
}

variable "project_number" {
  type = string
}

variable "region" {
  type    = string
  default = "us-central1"
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
  type    = string
  default = "api.upstream.app"
}

variable "standby_region" {
  description = "Null: no replica, no second set of functions, and a region's loss is a restore from backup."
  type        = string
  default     = "us-east4"
}

variable "serving_region" {
  description = "Set to the standby region to fail over, after the replica was promoted (docs/disaster-recovery.md)."
  type        = string
  default     = null
}

variable "lock_retention" {
  description = "Irrevocable: turn on once the system is accepted."
  type        = bool
  default     = false
}

variable "connection_secrets" {
  type    = set(string)
  default = []
}

variable "channel_secrets" {
  type    = set(string)
  default = []
}

variable "portal_credentials" {
  type    = set(string)
  default = []
}

variable "single_practice" {
  type    = string
  default = ""
}

variable "secret_rotation_starts_at" {
  type = string
}

variable "smtp" {
  type    = object({ host = string, port = number, sender = string, username = string })
  default = null
}

variable "sentry" {
  type    = bool
  default = false
}

variable "paging_channels" {
  type    = set(string)
  default = []
}

variable "operators" {
  type    = set(string)
  default = []
}

variable "notification_channels" {
  type = map(string)
}

variable "runbook_url" {
  type = string
}

variable "github_repository" {
  type    = string
  default = null
}

variable "billing_account" {
  type    = string
  default = null
}

variable "monthly_budget_usd" {
  type = number
}
