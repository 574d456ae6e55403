"""`upstream smoke`: one event of a synthetic customer through every function that a delivery meets."""
