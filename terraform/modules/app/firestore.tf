# Connections and delivery keys: all that taking a delivery needs to read and write.

resource "google_firestore_database" "this" {
  project                           = var.project_id
  name                              = "(default)"
  location_id                       = var.firestore_location
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.database.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = "ABANDON"

  depends_on = [google_project_service.this]
}

# Keys of deliveries end after 24 hours; the reader checks that itself, since Firestore deletes late.
resource "google_firestore_field" "key_expiry" {
  project    = var.project_id
  database   = google_firestore_database.this.name
  collection = "idempotency_keys"
  field      = "expires_at"

  ttl_config {}

  # Nothing is queried by it, and an index on a rising value makes a hot spot.
  index_config {}
}
