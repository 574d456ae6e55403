"""Ports on real technology. SDK imports live here, inside functions or modules that bootstrap loads lazily."""
