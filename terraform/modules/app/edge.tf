# What payers reach: one name, TLS, a bound on each connection, and the function behind it in every region.

locals {
  edge = var.domain == null ? 0 : 1

  # Preconfigured rules, to watch first: payers' X12 looks like an attack to some of them.
  owasp = {
    2000 = "sqli-v33-stable"
    2001 = "xss-v33-stable"
    2002 = "lfi-v33-stable"
    2003 = "rfi-v33-stable"
    2004 = "rce-v33-stable"
    2005 = "scannerdetection-v33-stable"
    2006 = "protocolattack-v33-stable"
    2007 = "sessionfixation-v33-stable"
    2008 = "java-v33-stable"
  }
}

resource "google_compute_global_address" "edge" {
  count = local.edge

  project = var.project_id
  name    = "upstream-edge"

  depends_on = [google_project_service.this]
}

resource "google_compute_managed_ssl_certificate" "edge" {
  count = local.edge

  project = var.project_id
  name    = "upstream-${replace(var.domain, ".", "-")}"

  managed {
    domains = [var.domain]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_ssl_policy" "edge" {
  count = local.edge

  project         = var.project_id
  name            = "upstream-edge"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_region_network_endpoint_group" "receive_webhook" {
  for_each = local.edge == 1 ? toset(local.regions) : []

  project               = var.project_id
  region                = each.value
  name                  = "receive-webhook"
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = module.function["receive_webhook@${each.value}"].service
  }
}

resource "google_compute_backend_service" "receive_webhook" {
  count = local.edge

  project               = var.project_id
  name                  = "receive-webhook"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = google_compute_security_policy.edge[0].id

  dynamic "backend" {
    # Taking a delivery needs no database: both regions always do, and one alone can.
    for_each = google_compute_region_network_endpoint_group.receive_webhook
    content {
      group = backend.value.id
    }
  }

  # A region that answers with errors is left out for a while.
  outlier_detection {
    consecutive_errors           = 10
    enforcing_consecutive_errors = 100
    max_ejection_percent         = 50
    interval {
      seconds = 10
    }
    base_ejection_time {
      seconds = 30
    }
  }

  custom_response_headers = ["Strict-Transport-Security: max-age=63072000"]

  # The path names a connection, never a patient; bodies are not logged.
  log_config {
    enable      = true
    sample_rate = 1
  }
}

resource "google_compute_url_map" "edge" {
  count = local.edge

  project         = var.project_id
  name            = "upstream-edge"
  default_service = google_compute_backend_service.receive_webhook[0].id
}

resource "google_compute_target_https_proxy" "edge" {
  count = local.edge

  project          = var.project_id
  name             = "upstream-edge"
  url_map          = google_compute_url_map.edge[0].id
  ssl_certificates = [google_compute_managed_ssl_certificate.edge[0].id]
  ssl_policy       = google_compute_ssl_policy.edge[0].id
}

# No port 80: a delivery that came in the clear has been read by others already.
resource "google_compute_global_forwarding_rule" "edge" {
  count = local.edge

  project               = var.project_id
  name                  = "upstream-edge"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.edge[0].id
  port_range            = "443"
  target                = google_compute_target_https_proxy.edge[0].id
  labels                = local.labels
}

resource "google_compute_security_policy" "edge" {
  count = local.edge

  project     = var.project_id
  name        = "upstream-edge"
  description = "What reaches receive_webhook."
  type        = "CLOUD_ARMOR"

  # NORMAL: the verbose level writes the part of a body that matched into the log.
  advanced_options_config {
    log_level    = "NORMAL"
    json_parsing = "STANDARD"
  }

  adaptive_protection_config {
    layer_7_ddos_defense_config {
      enable          = true
      rule_visibility = "STANDARD"
    }
  }

  rule {
    priority    = 1000
    action      = "deny(404)"
    description = "Nothing but deliveries and health."
    match {
      expr {
        expression = "!request.path.startsWith('/v1/webhooks/') && !request.path.startsWith('/_health/')"
      }
    }
  }

  rule {
    priority    = 1010
    action      = "deny(403)"
    description = "A known remote-code-execution probe."
    match {
      expr {
        expression = "evaluatePreconfiguredWaf('cve-canary', {'sensitivity': 1})"
      }
    }
  }

  dynamic "rule" {
    for_each = local.owasp
    content {
      priority    = rule.key
      action      = "deny(403)"
      preview     = true
      description = "Watched, not enforced: ${rule.value}"
      match {
        expr {
          expression = "evaluatePreconfiguredWaf('${rule.value}', {'sensitivity': 1})"
        }
      }
    }
  }

  rule {
    priority    = 3000
    action      = "throttle"
    description = "Health is asked for by our own checks, from a handful of addresses."
    match {
      expr {
        expression = "request.path.startsWith('/_health/')"
      }
    }
    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"
      rate_limit_threshold {
        count        = 120
        interval_sec = 60
      }
    }
  }

  # By address, not by path: whoever makes paths up would have the bound of each, and whoever knows a payer's path would use up
  # the payer's. One of the two, since the first rule that matches decides. A connection's own rate is each instance's.
  rule {
    priority    = 4000
    action      = "throttle"
    description = "The upper bound of one address."
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"
      rate_limit_threshold {
        count        = var.edge_requests_per_min
        interval_sec = 60
      }
    }
  }

  rule {
    priority    = 2147483647
    action      = "deny(403)"
    description = "The default, which nothing reaches."
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}
