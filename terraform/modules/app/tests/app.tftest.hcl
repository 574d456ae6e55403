# What the module promises whatever its sizes. tests/terraform/ reads the environments' plans for the rest.

mock_provider "google" {}

variables {
  environment           = "prod"
  project_id            = "upstream-test"
  project_number        = "123456789012"
  region                = "us-central1"
  database_instance     = "upstream"
  standby_region        = "us-east4"
  images_location       = "us"
  firestore_location    = "nam5"
  evidence_location     = "US"
  domain                = "api.example.org"
  release               = "0000000"
  source_archive        = "source.zip"
  topics                = jsondecode(file("../../../schemas/topics.json"))
  schedules             = jsondecode(file("../../../schemas/schedules.json"))
  metrics               = jsondecode(file("../../../schemas/metrics.json"))
  canary                = jsondecode(file("../../../schemas/canary.json"))
  notification_channels = { on-call = "on-call@example.org" }
  runbook_url           = "https://example.org/docs/runbook.md"
  database = {
    tier                = "db-custom-2-8192"
    highly_available    = true
    disk_gb             = 100
    max_connections     = 200
    shared_buffers_mb   = 2048
    retained_backups    = 30
    deletion_protection = true
  }
}

run "the_record_is_private_encrypted_and_recoverable" {
  command = plan

  assert {
    condition     = !google_sql_database_instance.this.settings[0].ip_configuration[0].ipv4_enabled
    error_message = "The database has a public address."
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].ip_configuration[0].ssl_mode == "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
    error_message = "The database takes connections in the clear, or without a certificate."
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].backup_configuration[0].point_in_time_recovery_enabled
    error_message = "No point-in-time recovery."
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].backup_configuration[0].backup_retention_settings[0].retained_backups == 30
    error_message = "Not thirty backups."
  }
  assert {
    condition     = google_firestore_database.this.delete_protection_state == "DELETE_PROTECTION_ENABLED"
    error_message = "Firestore can be deleted by mistake."
  }
}

run "shared_buffers_are_counted_in_pages" {
  command = plan

  assert {
    condition     = local.database_flags.shared_buffers == "262144"
    error_message = "2 GB are 262,144 pages of 8 kB."
  }
}

run "more_connections_than_the_database_takes_are_refused" {
  command = plan

  variables {
    max_instances = { process_webhook = 50 }
  }

  expect_failures = [google_sql_database_instance.this]
}

run "after_a_failover_everything_points_to_the_standby" {
  command = plan

  variables {
    region            = "us-east4"
    standby_region    = "us-central1"
    database_instance = "upstream-standby"
  }

  assert {
    condition     = alltrue([for job in google_cloud_scheduler_job.this : job.paused == (job.region != "us-east4")])
    error_message = "A job runs in the lost region, or none in the other."
  }
  assert {
    condition     = alltrue([for push in google_pubsub_subscription.push : strcontains(push.push_config[0].push_endpoint, ".us-east4.run.app")])
    error_message = "Messages are pushed to the lost region."
  }
  assert {
    condition     = output.database == "upstream-test:us-east4:upstream-standby"
    error_message = "Migrations and operators still go to the lost database."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.threshold["database_is_down"].conditions[0].condition_threshold[0].filter, "upstream-test:upstream-standby\"")
    error_message = "The lost database is watched."
  }
  assert {
    condition     = google_compute_subnetwork.functions["us-east4"].ip_cidr_range == "10.20.1.0/24"
    error_message = "A subnetwork in use would be made anew."
  }
}

run "a_failover_needs_nothing_of_the_lost_region" {
  command = plan

  assert {
    condition     = output.regions["us-east4"].pushes["apply-rules"].endpoint == "https://apply-rules-123456789012.us-east4.run.app"
    error_message = "The state does not say where pushes go."
  }
  assert {
    condition     = contains(keys(google_cloud_run_v2_job.operate), "us-east4") && contains(keys(google_cloud_run_v2_job.smoke), "us-east4")
    error_message = "Nobody reaches the record from the second region."
  }
  assert {
    condition     = google_artifact_registry_repository.images.location == "us" && google_storage_bucket.source.location == "US"
    error_message = "Images or releases would be lost with the region."
  }
}

run "the_smoke_test_is_sent_where_payers_send" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_job.smoke["us-central1"].template[0].template[0].containers[0].args[1] == output.webhook_url
    error_message = "The smoke test posts elsewhere."
  }
  assert {
    condition     = jsondecode(google_firestore_document.canary.fields).secret_name.stringValue == google_secret_manager_secret_iam_member.canary.secret_id
    error_message = "The canary reads another secret than its deliveries are checked with."
  }
}

run "a_secret_with_a_name_that_nobody_may_read_is_refused" {
  command = plan

  variables {
    portal_credentials = ["aetna-login"]
  }

  expect_failures = [var.portal_credentials]
}

run "a_deployment_shifts_traffic_wherever_deliveries_arrive" {
  command = plan

  assert {
    condition = alltrue([
      for group in google_compute_region_network_endpoint_group.receive_webhook : contains(output.placements, "receive-webhook ${group.region}")
    ])
    error_message = "Deliveries reach a region whose traffic no deployment shifts or takes back."
  }
  assert {
    condition     = length(output.placements) == 2 * (length(local.functions) + 1)
    error_message = "A service in one of the regions is left out."
  }
}

run "after_a_recovery_nothing_goes_to_the_instance_before" {
  command = plan

  variables {
    database_instance = "upstream-restored"
  }

  assert {
    condition     = output.database == "upstream-test:us-central1:upstream-restored"
    error_message = "Migrations and operators still go to the damaged database."
  }
  assert {
    condition = alltrue([
      for region, service in google_cloud_run_v2_service.execute_action :
      contains([for env in service.template[0].containers[0].env : env.value], local.database_instances[region])
    ])
    error_message = "The worker still goes to the damaged database."
  }
  assert {
    condition     = google_sql_database_instance.this.name == "upstream-restored" && google_sql_database_instance.standby[0].name == "upstream-restored-standby"
    error_message = "Terraform would keep the damaged instance, or its replica."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.threshold["database_is_down"].conditions[0].condition_threshold[0].filter, "upstream-test:upstream-restored\"")
    error_message = "The damaged instance is watched."
  }
}
