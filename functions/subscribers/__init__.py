"""Functions that Pub/Sub pushes to."""
