# Our own keys for what holds patients' data: the record, messages, secrets, evidence.
#
# A key lives where its data lives: global for Pub/Sub and automatically replicated secrets, the region's for a Cloud SQL
# instance, the multi-region's for the evidence bucket.

locals {
  global_keys   = toset(["pubsub", "secrets"])
  regional_keys = merge([for region in local.regions : { "sql@${region}" = region }]...)

  agents = {
    pubsub  = "service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    secrets = "service-${var.project_number}@gcp-sa-secretmanager.iam.gserviceaccount.com"
    sql     = "service-${var.project_number}@gcp-sa-cloud-sql.iam.gserviceaccount.com"
    storage = "service-${var.project_number}@gs-project-accounts.iam.gserviceaccount.com"
  }

  # Which service agent uses which key. Nobody else decrypts with any of them.
  key_users = merge(
    { for name in local.global_keys : name => { key = google_kms_crypto_key.global[name].id, agent = local.agents[name] } },
    { for name in keys(local.regional_keys) : name => { key = google_kms_crypto_key.regional[name].id, agent = local.agents.sql } },
    { evidence = { key = google_kms_crypto_key.evidence.id, agent = local.agents.storage } },
  )
}

resource "google_kms_key_ring" "global" {
  project  = var.project_id
  name     = "upstream"
  location = "global"

  depends_on = [google_project_service.this]
}

resource "google_kms_crypto_key" "global" {
  for_each = local.global_keys

  key_ring        = google_kms_key_ring.global.id
  name            = each.value
  rotation_period = "7776000s"
  labels          = local.labels

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_key_ring" "regional" {
  for_each = toset(local.regions)

  project  = var.project_id
  name     = "upstream"
  location = each.value

  depends_on = [google_project_service.this]
}

resource "google_kms_crypto_key" "regional" {
  for_each = local.regional_keys

  key_ring        = google_kms_key_ring.regional[each.value].id
  name            = "sql"
  rotation_period = "7776000s"
  labels          = local.labels

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_key_ring" "evidence" {
  project  = var.project_id
  name     = "upstream-evidence"
  location = lower(var.evidence_location)

  depends_on = [google_project_service.this]
}

resource "google_kms_crypto_key" "evidence" {
  key_ring        = google_kms_key_ring.evidence.id
  name            = "evidence"
  rotation_period = "7776000s"
  labels          = local.labels

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key_iam_member" "agent" {
  for_each = local.key_users

  crypto_key_id = each.value.key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${each.value.agent}"
}
