"""The embedded runtime's stand-ins for Google Cloud: keys, connections and a broker in PostgreSQL, secrets in files.

They live in a database of their own beside the record, and their tables are made here: production has none of them.
"""
