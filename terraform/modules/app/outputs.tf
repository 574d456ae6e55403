output "placements" {
  description = "Each Cloud Run service with each region it is in: what a deployment shifts."
  value = concat(
    [for one in local.placements : "${replace(one.name, "_", "-")} ${one.region}"],
    [for region in local.regions : "execute-action ${region}"],
  )
}

output "regions" {
  description = "Of each region, what makes it the one that serves: terraform/deploy.sh failover."
  value = {
    for region in local.regions : region => {
      pushes = {
        for name, one in local.pushed : name => { endpoint = local.uris[region][one.function], identity = local.emails["push:${one.function}"] }
      }
      jobs = [for name in sort(local.scheduled) : replace(name, "_", "-")]
      warm = { for name, count in local.min_instances : replace(name, "_", "-") => count if count > 0 }
    }
  }
}

output "image" {
  value = local.image
}

output "webhook_url" {
  description = "What payers are given, before the connection's own path."
  value       = local.webhook_url
}

output "edge_address" {
  description = "What the domain's A record points to."
  value       = one(google_compute_global_address.edge[*].address)
}

output "database" {
  description = "UPSTREAM_DATABASE for the `upstream` command."
  value       = local.database_instances[var.region]
}

output "canary_secret" {
  description = "What the smoke test signs with. It needs a version: terraform/deploy.sh smoke adds the first."
  value       = local.canary_secret
}

output "connections" {
  description = "Of the database: what functions need at their maximum in two revisions at once, and what there are."
  value       = { needed = local.needed_connections, available = var.database.max_connections }
}

output "deployer" {
  description = "For the deploy workflow."
  value = local.delivery == 0 ? null : {
    service_account = local.emails["deployer"]
    provider        = "projects/${var.project_number}/locations/global/workloadIdentityPools/github/providers/actions"
  }
}

output "email_channels" {
  description = "For the budget (terraform/budget)."
  value       = [for channel in google_monitoring_notification_channel.email : channel.id]
}
