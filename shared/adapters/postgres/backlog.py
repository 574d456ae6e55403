"""`Backlog` in PostgreSQL, by a role that may read states and times of what waits, and no other column."""

from sqlalchemy import Engine, text

from shared.adapters.postgres.engine import database_errors
from shared.ports.backlog import Waiting

MEASURE = text("""
SELECT
    (SELECT count(*) FROM dead_letters WHERE state = 'open') AS dead_letters,
    CAST(COALESCE(
        (SELECT extract(epoch FROM clock_timestamp() - min(created_at)) FROM outbox WHERE published_at IS NULL), 0
    ) AS double precision) AS outbox_age_s
""")


class PostgresBacklog:
    """Measures all customers' rows together."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_scheduler`, or as an operator."""
        self._engine = engine

    def measure(self) -> Waiting:
        """Return what waits now."""
        with database_errors(), self._engine.begin() as connection:
            row = connection.execute(MEASURE).mappings().one()
        return Waiting(row["dead_letters"], row["outbox_age_s"])
