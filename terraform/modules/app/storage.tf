# Evidence of portal actions, large payloads, the source of releases, images.

locals {
  buckets = {
    evidence = google_storage_bucket.evidence.name
    payloads = google_storage_bucket.payloads.name
  }
}

resource "google_storage_bucket" "evidence" {
  project                     = var.project_id
  name                        = "${var.project_id}-evidence"
  location                    = var.evidence_location
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  encryption {
    default_kms_key_name = google_kms_crypto_key.evidence.id
  }

  # As long as the audit trail that points to it. Nothing is overwritten or deleted before: so there are no versions, which
  # Cloud Storage long refused beside a retention.
  retention_policy {
    retention_period = tostring(var.audit_retention_days * 86400)
    is_locked        = var.lock_retention
  }

  lifecycle_rule {
    action {
      type          = "SetStorageClass"
      storage_class = "NEARLINE"
    }
    condition {
      age = 90
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = var.audit_retention_days + 30
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

# Payloads that are too large for a message: patients' data, kept no longer than a delivery may have to be replayed.
resource "google_storage_bucket" "payloads" {
  project                     = var.project_id
  name                        = "${var.project_id}-payloads"
  location                    = var.evidence_location
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  encryption {
    default_kms_key_name = google_kms_crypto_key.evidence.id
  }

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 90
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 7
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

# Our code, no data: Google's own encryption does.
resource "google_storage_bucket" "source" {
  project                     = var.project_id
  name                        = "${var.project_id}-source"
  location                    = var.evidence_location
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions = 20
      with_state         = "ARCHIVED"
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  name   = "upstream-${var.release}.zip"
  source = var.source_archive
}

resource "google_artifact_registry_repository" "images" {
  project       = var.project_id
  location      = var.images_location
  repository_id = "upstream"
  description   = "The browser worker's image, which migrations run from as well."
  format        = "DOCKER"
  labels        = local.labels

  docker_config {
    immutable_tags = true
  }

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 20
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "7776000s"
    }
  }

  depends_on = [google_project_service.this]
}

# What functions are built into, beside where they run. Each build moves the tags `latest` and `cache`.
resource "google_artifact_registry_repository" "functions" {
  for_each = toset(local.regions)

  project       = var.project_id
  location      = each.value
  repository_id = "upstream-functions"
  description   = "The functions' images, as Cloud Build makes them."
  format        = "DOCKER"
  labels        = local.labels

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 20
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "7776000s"
    }
  }

  depends_on = [google_project_service.this]
}
