"""Brings the schema up to the newest migration. Runs as the owner, before the code that needs it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

MIGRATIONS = Path(__file__).parents[3] / "schemas" / "migrations"


def migrate(engine: Engine) -> None:
    """Apply every migration not applied yet. One process at a time: the rest wait on an advisory lock."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7237001)")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
