"""Functions that Cloud Scheduler calls."""
