# Secrets: containers only. Values are added by people, with `gcloud secrets versions add`, and stay out of state and code; the
# canary's is added by terraform/deploy.sh, which can write and not read it.

locals {
  # What an unknown connection's signature is checked against. Nothing is ever signed with it.
  decoy = "upstream-no-such-connection"

  service_secrets = toset(concat(
    ["smtp-password", local.canary_secret],
    var.sentry ? ["sentry-dsn"] : [],
  ))
  rotated_secrets = setunion(local.service_secrets, var.connection_secrets, var.fetch_secrets, var.channel_secrets, var.portal_credentials)
}

resource "google_secret_manager_secret" "this" {
  for_each = local.rotated_secrets

  project   = var.project_id
  secret_id = each.value
  labels    = local.labels
  # A version destroyed by mistake can be had back for a day.
  version_destroy_ttl = "86400s"

  replication {
    auto {
      customer_managed_encryption {
        kms_key_name = google_kms_crypto_key.global["secrets"].id
      }
    }
  }

  topics {
    name = google_pubsub_topic.this["secret-rotations"].id
  }

  rotation {
    rotation_period = "7776000s"
    # The first notice, 90 days after the secret was made.
    next_rotation_time = timeadd(plantimestamp(), "2160h")
  }

  lifecycle {
    # Secret Manager moves it on by itself from then on.
    ignore_changes = [rotation[0].next_rotation_time]
  }

  depends_on = [
    google_pubsub_topic_iam_member.secret_manager,
    google_kms_crypto_key_iam_member.agent,
  ]
}

resource "google_secret_manager_secret" "decoy" {
  project   = var.project_id
  secret_id = local.decoy
  labels    = local.labels

  replication {
    auto {
      customer_managed_encryption {
        kms_key_name = google_kms_crypto_key.global["secrets"].id
      }
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

# Known to everyone, and worthless: receive_webhook reads it, so that an unknown connection takes as long as a known one,
# and verifies nothing with it.
resource "google_secret_manager_secret_version" "decoy" {
  secret                 = google_secret_manager_secret.decoy.id
  secret_data_wo         = "whsec_${base64sha256("nothing is signed with this")}"
  secret_data_wo_version = 1
}
