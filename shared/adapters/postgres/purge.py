"""`PurgeDesk` in PostgreSQL.

A table is gone through page by page of its storage, a bounded piece a transaction: few tables have an index that begins
with the customer, and one statement over the largest of them would outlast its time limit. A row that is written
meanwhile may be missed; the next run finds it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import Engine, TextClause, text

from shared.adapters.postgres.engine import database_errors
from shared.domain.data_map import EMPTIED, REMOVED
from shared.ports.purge import Purged, PurgeRun

PAGES: Final = 4096  # 32 MiB of a table
SIZE = text("SELECT pg_relation_size(CAST(:name AS regclass)) / current_setting('block_size')::bigint")
HERE: Final = "ctid >= CAST(:low AS tid) AND ctid < CAST(:high AS tid)"
WHOSE: Final[Mapping[str, str]] = {
    **dict.fromkeys(REMOVED, "customer_id = CAST(:customer_id AS uuid)"),
    "dead_letter_replays": "customer_id = CAST(:customer_id AS uuid) AND edited_body IS NOT NULL",
    "dead_letters": """(customer_id = CAST(:customer_id AS uuid) OR connection_id = ANY(CAST(:connections AS uuid[])))
    AND purged_at IS NULL""",
}
EMPTY: Final[Mapping[str, str]] = {
    "dead_letter_replays": "UPDATE dead_letter_replays SET edited_body = NULL WHERE",
    "dead_letters": """UPDATE dead_letters SET body = '', purged_at = now(), purged_by = :by, purged_why = :why,
    state = CASE state WHEN 'open' THEN 'discarded' ELSE state END,
    discarded_at = CASE state WHEN 'open' THEN now() ELSE discarded_at END,
    discarded_by = CASE state WHEN 'open' THEN :by ELSE discarded_by END,
    discarded_why = CASE state WHEN 'open' THEN :why ELSE discarded_why END
WHERE""",
}

BEGIN = text("""
INSERT INTO customer_purges (id, customer_id, purged_by, why)
VALUES (CAST(:id AS uuid), CAST(:customer_id AS uuid), :by, :why)
""")
END = text("""
UPDATE customer_purges SET rows = CAST(:rows AS jsonb), ended_at = clock_timestamp() WHERE id = CAST(:id AS uuid)
""")
RUNS = text("""
SELECT id, purged_by, why, rows, began_at, ended_at FROM customer_purges
WHERE customer_id = CAST(:customer_id AS uuid) ORDER BY began_at DESC
""")


class PostgresPurgeDesk:
    """Each piece is a transaction, so that nothing is done twice and an interruption loses nothing."""

    def __init__(self, engine: Engine, *, pages: int = PAGES) -> None:
        """engine: connects as `upstream_operator`. pages: of a table's storage in one transaction."""
        self._engine = engine
        self._pages = pages

    def count(self, table: str, customer_id: UUID, connection_ids: Sequence[UUID]) -> int:
        """Return how many rows of a table a purge would remove or empty."""
        statement = text(f"SELECT count(*) FROM {table} WHERE {WHOSE[table]} AND {HERE}")  # noqa: S608 - our own names
        counted = 0
        for piece in self._pieces(table):
            with database_errors(), self._engine.begin() as connection:
                asked = {**_whose(table, customer_id, connection_ids), **piece}
                counted += connection.execute(statement, asked).scalar_one()
        return counted

    def purge(self, table: str, customer_id: UUID, connection_ids: Sequence[UUID], *, run: PurgeRun) -> int:
        """Remove or empty a table's rows of the customer; return how many."""
        given = _whose(table, customer_id, connection_ids)
        if table == "dead_letters":
            given |= {"by": run.by, "why": run.why}
        done = 0
        for piece in self._pieces(table):
            with database_errors(), self._engine.begin() as connection:
                done += connection.execute(_statement(table), {**given, **piece}).rowcount
        return done

    def begin(self, run: PurgeRun) -> None:
        """Write the audit row, before anything is done."""
        row = {"id": str(run.id), "customer_id": str(run.customer_id), "by": run.by, "why": run.why}
        with database_errors(), self._engine.begin() as connection:
            connection.execute(BEGIN, row)

    def end(self, run: PurgeRun, rows: Mapping[str, int]) -> None:
        """Complete the audit row."""
        with database_errors(), self._engine.begin() as connection:
            connection.execute(END, {"id": str(run.id), "rows": orjson.dumps(rows).decode()})

    def runs(self, customer_id: UUID) -> Sequence[Purged]:
        """Return the customer's purges, the newest first."""
        with database_errors(), self._engine.begin() as connection:
            found = connection.execute(RUNS, {"customer_id": str(customer_id)}).mappings()
            return [Purged(**row) for row in found]

    def _pieces(self, table: str) -> Iterator[Mapping[str, str]]:
        with database_errors(), self._engine.begin() as connection:
            pages = connection.execute(SIZE, {"name": table}).scalar_one()
        for first in range(0, pages, self._pages):
            yield {"low": f"({first},0)", "high": f"({first + self._pages},0)"}


def _statement(table: str) -> TextClause:
    begins = EMPTY[table] if table in EMPTIED else f"DELETE FROM {table} WHERE"  # noqa: S608 - our own names
    return text(f"{begins} {WHOSE[table]} AND {HERE}")


def _whose(table: str, customer_id: UUID, connection_ids: Sequence[UUID]) -> dict[str, object]:
    whose: dict[str, object] = {"customer_id": str(customer_id)}
    if table == "dead_letters":
        whose["connections"] = [str(one) for one in connection_ids]
    return whose
