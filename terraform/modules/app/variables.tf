##### What and where

variable "environment" {
  description = "dev or prod: a label, and what errors are reported under."
  type        = string
}

variable "project_id" {
  type = string
}

variable "project_number" {
  description = "Service agents and secrets are named by it."
  type        = string
}

variable "region" {
  description = "Serves: messages are pushed and jobs run there."
  type        = string
}

variable "standby_region" {
  description = "Holds a replica of the database and the functions, scaled to zero. Null: no second region."
  type        = string
  default     = null
}

variable "database_instance" {
  description = "Name of the record's instance; another one after a recovery (docs/disaster-recovery.md). The standby's is `<name>-standby`."
  type        = string
}

variable "firestore_location" {
  description = "A multi-region outlives a region: ingress needs Firestore."
  type        = string
}

variable "evidence_location" {
  description = "Of the buckets with what portals showed, and with releases. A multi-region outlives a region."
  type        = string
}

variable "images_location" {
  description = "Of the browser worker's images. A multi-region outlives a region. terraform/deploy.sh pushes there."
  type        = string
}

variable "domain" {
  description = "Payers post to it, through the load balancer. Null: straight to the function, for trying things out."
  type        = string
  default     = null
}

##### The release

variable "release" {
  description = "Commit of this release: names the source archive and the image."
  type        = string
}

variable "source_archive" {
  description = "The archive on this machine (terraform/deploy.sh makes it)."
  type        = string
}

##### What the tables in ../../../schemas say

variable "topics" {
  description = "schemas/topics.json"
  type = object({
    topics = map(object({ subscriptions = list(string) }))
    subscriptions = map(object({
      function          = string
      ack_deadline_s    = number
      dead_letter_topic = optional(string)
      filter            = optional(string)
    }))
    retry = object({
      minimum_backoff_s     = number
      maximum_backoff_s     = number
      max_delivery_attempts = number
    })
    message_retention_s = number
  })
}

variable "schedules" {
  description = "schemas/schedules.json"
  type = object({
    time_zone          = string
    schedules          = map(object({ cron = string, every_s = number, finishes_within_s = number }))
    retry              = object({ attempts = number, minimum_backoff_s = number, maximum_backoff_s = number })
    attempt_deadline_s = number
  })
}

variable "metrics" {
  description = "schemas/metrics.json"
  type = object({
    metrics = map(object({
      kind         = string
      labels       = list(string)
      buckets      = optional(list(number), [])
      description  = string
      cloud_metric = optional(string)
      log = optional(object({
        events = list(string)
        value  = optional(string)
        labels = map(string)
      }))
    }))
  })
}

variable "canary" {
  description = "schemas/canary.json"
  type = object({
    customer = object({ id = string })
    connection = object({
      id           = string
      provider     = string
      scheme       = string
      secret_name  = string
      format       = string
      rate_per_min = number
      burst        = number
    })
  })
}

##### Sizes

variable "database" {
  type = object({
    tier                = string
    highly_available    = bool
    disk_gb             = number
    max_connections     = number
    shared_buffers_mb   = number
    retained_backups    = number
    deletion_protection = bool
  })
}

variable "min_instances" {
  description = "Kept warm, by function; the others scale to zero."
  type        = map(number)
  default     = {}
}

variable "max_instances" {
  description = "Instead of the number in functions.tf, by function."
  type        = map(number)
  default     = {}
}

variable "edge_requests_per_min" {
  description = "Upper bound for one address, which a clearinghouse sends from for many connections; each instance holds the connection's own rate."
  type        = number
  default     = 3000
}

##### Secrets: containers with key, rotation notices and grants. Values are added with `gcloud secrets versions add`.

variable "connection_secrets" {
  description = "Signing secrets of payers' connections: `connection-<connection id>`."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.connection_secrets : startswith(name, "connection-")])
    error_message = "receive_webhook may read secrets named connection-… only."
  }
}

variable "fetch_secrets" {
  description = "Tokens for what senders only name: `fetch-<connection id>`."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.fetch_secrets : startswith(name, "fetch-")])
    error_message = "What senders name is fetched with secrets named fetch-… only."
  }
}

variable "channel_secrets" {
  description = "Secrets of customers' notification channels: `hook-<name>`."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.channel_secrets : startswith(name, "hook-")])
    error_message = "notify may read secrets named hook-… only."
  }
}

variable "portal_credentials" {
  description = "Log-ins to payers' portals: `<customer>-<payer>-portal-credentials`, or of the single practice `<payer>-portal-credentials`."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.portal_credentials : endswith(name, "-portal-credentials")])
    error_message = "execute_action may read secrets named …-portal-credentials only."
  }
}

variable "single_practice" {
  description = "The id of the one customer whose log-ins are called `<payer>-portal-credentials`; empty with several customers."
  type        = string
  default     = ""
}

##### Outside services

variable "smtp" {
  description = "The mail relay; its password is in the secret `smtp-password`. Null: no mail."
  type        = object({ host = string, port = number, sender = string, username = string })
  default     = null
}

variable "sentry" {
  description = "Whether errors go to Sentry too, by the DSN in the secret `sentry-dsn`."
  type        = bool
  default     = false
}

variable "operators" {
  description = "E-mail addresses of the engineers who may use the `upstream` command on this environment."
  type        = set(string)
  default     = []
}

variable "incident_leads" {
  description = "Those of them who may act as the deployer in an incident (docs/runbook.md). Nobody has its rights otherwise; it takes github_repository."
  type        = set(string)
  default     = []
}

variable "notification_channels" {
  description = "Where alerts go: e-mail addresses, by a name."
  type        = map(string)
}

variable "paging_channels" {
  description = "Ids of channels that page (PagerDuty, Slack), made in the console: their keys stay out of state."
  type        = set(string)
  default     = []
}

variable "runbook_url" {
  description = "The page that alerts link to, without an anchor."
  type        = string
}

variable "github_repository" {
  description = "owner/name whose protected environment may deploy. Null: nobody deploys from outside."
  type        = string
  default     = null
}

##### Retention

variable "audit_retention_days" {
  description = "HIPAA keeps documentation of security for six years (45 CFR 164.316(b)(2)(i))."
  type        = number
  default     = 2192
}

variable "lock_retention" {
  description = "Makes the retention of audit logs and evidence irrevocable. On in prod once the system is accepted."
  type        = bool
  default     = false
}
