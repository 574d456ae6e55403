output "service" {
  description = "The Cloud Run service behind the function."
  value       = local.service
  depends_on  = [google_cloudfunctions2_function.this]
}

output "uri" {
  description = "Its run.app address: the one that counts as internal for Pub/Sub and Scheduler."
  value       = google_cloudfunctions2_function.this.service_config[0].uri
}
