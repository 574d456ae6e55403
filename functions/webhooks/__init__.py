"""HTTP functions that payers call."""
