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
