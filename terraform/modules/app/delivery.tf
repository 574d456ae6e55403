# Deploying from GitHub without keys: its tokens are good for one repository's protected environment only.

locals {
  delivery = var.github_repository == null ? 0 : 1

  # What `terraform apply` needs of this module's resources. The strongest identity there is here: docs/security.md.
  deployer_roles = toset(local.delivery == 0 ? [] : [
    "roles/artifactregistry.admin",
    "roles/cloudbuild.builds.viewer",
    "roles/cloudfunctions.admin",
    "roles/cloudkms.admin",
    "roles/cloudscheduler.admin",
    "roles/cloudsql.admin",
    "roles/compute.loadBalancerAdmin",
    "roles/compute.networkAdmin",
    "roles/compute.securityAdmin",
    "roles/datastore.owner",
    "roles/iam.roleAdmin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.workloadIdentityPoolAdmin",
    "roles/logging.configWriter",
    "roles/logging.viewer",
    "roles/monitoring.admin",
    "roles/pubsub.admin",
    "roles/resourcemanager.projectIamAdmin",
    "roles/run.admin",
    "roles/serviceusage.serviceUsageAdmin",
    "roles/storage.admin",
  ])
}

resource "google_iam_workload_identity_pool" "github" {
  count = local.delivery

  project                   = var.project_id
  workload_identity_pool_id = "github"
  display_name              = "GitHub Actions"

  depends_on = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  count = local.delivery

  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.github[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "actions"
  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository"
  }
  # The environment is the one whose reviewers GitHub asks first.
  attribute_condition = "assertion.repository == '${var.github_repository}' && assertion.sub == 'repo:${var.github_repository}:environment:${var.environment}'"

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "github" {
  count = local.delivery

  service_account_id = "projects/${var.project_id}/serviceAccounts/${local.emails["deployer"]}"
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://iam.googleapis.com/projects/${var.project_number}/locations/global/workloadIdentityPools/github/subject/repo:${var.github_repository}:environment:${var.environment}"

  depends_on = [google_service_account.this, google_iam_workload_identity_pool.github]
}

resource "google_project_iam_member" "deployer" {
  for_each = local.deployer_roles

  project = var.project_id
  role    = each.value
  member  = "serviceAccount:${local.emails["deployer"]}"

  depends_on = [google_service_account.this]
}

# Secrets' containers, not their values.
resource "google_project_iam_custom_role" "secret_keeper" {
  count = local.delivery

  project     = var.project_id
  role_id     = "upstreamSecretKeeper"
  title       = "Upstream: keeps secrets' containers"
  description = "Makes and configures secrets and who may read them; reads no version. Adds the decoy's."
  permissions = [
    "secretmanager.secrets.create",
    "secretmanager.secrets.delete",
    "secretmanager.secrets.get",
    "secretmanager.secrets.getIamPolicy",
    "secretmanager.secrets.list",
    "secretmanager.secrets.setIamPolicy",
    "secretmanager.secrets.update",
    "secretmanager.versions.add",
    "secretmanager.versions.get",
    "secretmanager.versions.list",
  ]
}

resource "google_project_iam_member" "secret_keeper" {
  count = local.delivery

  project = var.project_id
  role    = "projects/${var.project_id}/roles/upstreamSecretKeeper"
  member  = "serviceAccount:${local.emails["deployer"]}"

  depends_on = [google_service_account.this, google_project_iam_custom_role.secret_keeper]
}

# A deployed function runs as its own identity: deploying it takes the right to give it that.
resource "google_service_account_iam_member" "deployer_acts_as" {
  for_each = local.delivery == 0 ? {} : { for key, email in local.emails : key => email if key != "deployer" }

  service_account_id = "projects/${var.project_id}/serviceAccounts/${each.value}"
  role               = "roles/iam.serviceAccountUser"
  member             = "serviceAccount:${local.emails["deployer"]}"

  depends_on = [google_service_account.this]
}

# In an incident, people do what deployments may: by acting as the deployer, which the audit log and an alert tell of.
resource "google_service_account_iam_member" "incident_lead" {
  for_each = local.delivery == 0 ? [] : var.incident_leads

  service_account_id = "projects/${var.project_id}/serviceAccounts/${local.emails["deployer"]}"
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = "user:${each.value}"

  depends_on = [google_service_account.this]
}
