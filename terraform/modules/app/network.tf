# One network of our own. From its subnetworks the functions reach the database, and nothing else on a private address.

locals {
  subnetwork_ranges = { for index, region in local.regions : region => cidrsubnet("10.20.0.0/16", 8, index) }
  database_range    = "10.30.0.0"
  database_prefix   = 20
}

resource "google_compute_network" "this" {
  project                 = var.project_id
  name                    = "upstream"
  auto_create_subnetworks = false
  routing_mode            = "GLOBAL"

  depends_on = [google_project_service.this]
}

resource "google_compute_subnetwork" "functions" {
  for_each = local.subnetwork_ranges

  project                  = var.project_id
  network                  = google_compute_network.this.id
  region                   = each.key
  name                     = "upstream-functions"
  ip_cidr_range            = each.value
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

# Cloud SQL's side of the private connection.
resource "google_compute_global_address" "database" {
  project       = var.project_id
  network       = google_compute_network.this.id
  name          = "upstream-database"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = local.database_range
  prefix_length = local.database_prefix
}

resource "google_service_networking_connection" "database" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.database.name]
}

# 5432, and 3307, which Cloud SQL's connectors dial for TLS and IAM login.
resource "google_compute_firewall" "to_database" {
  project            = var.project_id
  network            = google_compute_network.this.id
  name               = "upstream-to-database"
  description        = "Database clients reach the database."
  direction          = "EGRESS"
  priority           = 1000
  target_tags        = ["upstream-database-client"]
  destination_ranges = ["${local.database_range}/${local.database_prefix}"]

  allow {
    protocol = "tcp"
    ports    = ["5432", "3307"]
  }
}

resource "google_compute_firewall" "from_functions" {
  project            = var.project_id
  network            = google_compute_network.this.id
  name               = "upstream-from-functions"
  description        = "PostgreSQL, from the functions' ranges only."
  direction          = "INGRESS"
  priority           = 1000
  source_ranges      = values(local.subnetwork_ranges)
  destination_ranges = ["${local.database_range}/${local.database_prefix}"]

  allow {
    protocol = "tcp"
    ports    = ["5432", "3307"]
  }
}

resource "google_compute_firewall" "nothing_out" {
  project            = var.project_id
  network            = google_compute_network.this.id
  name               = "upstream-nothing-out"
  description        = "Nothing else leaves through this network: an outbound webhook that resolves to a private address ends here."
  direction          = "EGRESS"
  priority           = 65000
  destination_ranges = ["0.0.0.0/0"]

  deny {
    protocol = "all"
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_firewall" "nothing_in" {
  project       = var.project_id
  network       = google_compute_network.this.id
  name          = "upstream-nothing-in"
  description   = "Nobody comes in through this network."
  direction     = "INGRESS"
  priority      = 65000
  source_ranges = ["0.0.0.0/0"]

  deny {
    protocol = "all"
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}
