output "service" {
  description = "The Cloud Run service behind the function."
  value       = local.service
  depends_on  = [google_cloudfunctions2_function.this]
}
