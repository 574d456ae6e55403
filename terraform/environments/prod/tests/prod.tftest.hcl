# Production's own sizes.

mock_provider "google" {}

variables {
  project_id            = "upstream-test"
  project_number        = "123456789012"
  region                = "us-central1"
  database_instance     = "upstream"
  standby_region        = "us-east4"
  domain                = "api.upstream.app"
  lock_retention        = false
  release               = "0000000"
  source_archive        = "source.zip"
  notification_channels = { on-call = "on-call@example.org" }
  paging_channels       = []
  incident_leads        = []
  operators             = []
  github_repository     = null
  smtp                  = null
  sentry                = false
  connection_secrets    = []
  fetch_secrets         = []
  channel_secrets       = []
  single_practice       = ""
  portal_credentials    = []
  runbook_url           = "https://example.org/docs/runbook.md"
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
