# Production's own sizes.

mock_provider "google" {}

variables {
  project_id                = "upstream-test"
  project_number            = "123456789012"
  release                   = "0000000"
  source_archive            = "source.zip"
  secret_rotation_starts_at = "2030-01-01T00:00:00Z"
  notification_channels     = { on-call = "on-call@example.org" }
  runbook_url               = "https://example.org/docs/runbook.md"
  monthly_budget_usd        = 1000
}

run "payers_get_the_name_they_were_promised" {
  command = plan

  assert {
    condition     = output.app.webhook_url == "https://api.upstream.app"
    error_message = "Payers were given api.upstream.app."
  }
}

run "two_revisions_at_their_maximum_fit_in_the_database" {
  command = plan

  assert {
    condition     = output.app.connections.needed <= output.app.connections.available && output.app.connections.available == 200
    error_message = "Functions could open more connections than the database takes."
  }
}
