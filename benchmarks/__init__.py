"""Measurements: `python -m benchmarks.NAME [--quick] [--json FILE]`. Each prints a table and can write its figures."""
