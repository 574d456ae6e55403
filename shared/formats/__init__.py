"""Readers of what payers send: bytes in, records and findings out. Pure: no I/O."""
