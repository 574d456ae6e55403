variable "environment" {
  type = string
}

variable "project_id" {
  type = string
}

variable "project_number" {
  type = string
}

variable "billing_account" {
  type = string
}

variable "monthly_budget_usd" {
  type = number
}

variable "channels" {
  description = "Ids of the channels that alerts go to by mail."
  type        = list(string)
}
