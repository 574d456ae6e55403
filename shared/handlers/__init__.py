"""Use cases, one per module. Handlers decide; ports touch the world."""
