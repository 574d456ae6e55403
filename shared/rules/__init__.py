"""The rule language: text in, decision out. Pure: no I/O."""
