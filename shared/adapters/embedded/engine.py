"""Connections to the embedded runtime's own database."""

from typing import Final

from sqlalchemy import Engine

from shared.adapters.postgres.engine import SESSION, build_engine
from shared.runtime.settings import Settings

OWNER: Final = "upstream_local"
HASTY: Final = SESSION | {"synchronous_commit": "off"}  # docs/adr/0004: what must be durable says so itself


def build_local_engine(settings: Settings) -> Engine:
    """Return an engine on which each statement is a transaction of its own, and no commit waits for the disk."""
    return build_engine(
        settings, user=OWNER, database=settings.local_database_name, autocommit=True, session=HASTY
    )
