variable "name" {
  description = "The deployed name: the function's module, its symbol in main.py, and `consumer` in keys and logs."
  type        = string
}

variable "project_id" {
  type = string
}

variable "region" {
  type = string
}

variable "service_account" {
  description = "Email of the function's own identity."
  type        = string
}

variable "build_service_account" {
  description = "Full name of the identity that Cloud Build builds with."
  type        = string
}

variable "docker_repository" {
  description = "Full name of the repository, of the same region, that the build pushes to."
  type        = string
}

variable "source_bucket" {
  type = string
}

variable "source_object" {
  description = "The archive of this release. Another name is another revision."
  type        = string
}

variable "memory" {
  type = string
}

variable "cpu" {
  type = string
}

variable "timeout_s" {
  type = number
}

variable "concurrency" {
  description = "Requests that one instance takes at once."
  type        = number
}

variable "min_instances" {
  type = number
}

variable "max_instances" {
  description = "Of one revision. Two serve while traffic moves: the database's connections are counted for both."
  type        = number
}

variable "ingress" {
  description = "ALLOW_INTERNAL_ONLY for all but the function that payers call."
  type        = string
}

variable "environment" {
  description = "What shared/runtime/settings.py reads."
  type        = map(string)
}

variable "secret_environment" {
  description = "Variables that come from the newest version of a secret: variable to secret id."
  type        = map(string)
  default     = {}
}

variable "subnetwork" {
  description = "Where private addresses are reached from; null for a function that needs none."
  type        = object({ network = string, subnetwork = string })
  default     = null
}

variable "invokers" {
  description = "Emails of the identities that may call it."
  type        = map(string)
}

variable "public" {
  description = "Whether anybody may call it: payers have no Google identity, they sign."
  type        = bool
  default     = false
}

variable "labels" {
  type = map(string)
}
