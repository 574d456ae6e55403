"""The record in PostgreSQL: SQLAlchemy Core over pg8000, one tenant a transaction."""
