"""`FetchList` in PostgreSQL: rows of `fetch_tasks`."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine, text

from shared.adapters.postgres.action_rows import stamp
from shared.adapters.postgres.engine import database_errors
from shared.ports.fetching import Fetch, FetchEntry

TAKE = text("""
UPDATE fetch_tasks SET attempts = attempts + 1, next_at = CAST(:until AS timestamptz),
    updated_at = CAST(:now AS timestamptz)
WHERE id IN (
    SELECT id FROM fetch_tasks
    WHERE state = 'waiting' AND kind = ANY(CAST(:kinds AS text[]))
        AND connection_id = ANY(CAST(:connections AS text[]))
        AND coalesce(next_at, '-infinity') <= CAST(:now AS timestamptz)
    ORDER BY created_at, id LIMIT CAST(:most AS integer) FOR UPDATE SKIP LOCKED)
RETURNING id, customer_id, CAST(connection_id AS uuid) AS connection_id, kind, reference, attempts, created_at
""")
FETCHED = text("""
UPDATE fetch_tasks SET state = 'fetched', fetched_event_id = CAST(:event_id AS uuid), code = '', next_at = NULL,
    updated_at = CAST(:at AS timestamptz)
WHERE id = CAST(:id AS uuid) AND state = 'waiting'
""")
# Of two attempts the later one says how it stands.
FAILED = text("""
UPDATE fetch_tasks SET state = CASE WHEN CAST(:next_at AS timestamptz) IS NULL THEN 'given_up' ELSE 'waiting' END,
    code = :code, next_at = CAST(:next_at AS timestamptz), updated_at = CAST(:at AS timestamptz)
WHERE id = CAST(:id AS uuid) AND state = 'waiting' AND attempts = CAST(:attempts AS integer)
""")
LIST = text("""
SELECT f.id, f.customer_id, coalesce(c.name, '') AS customer,
    CAST(nullif(f.connection_id, '') AS uuid) AS connection_id, f.kind,
    f.reason, f.state, f.attempts, f.code, f.next_at, f.fetched_event_id AS event_id, f.created_at
FROM fetch_tasks f LEFT JOIN customers c ON c.id = f.customer_id
WHERE (CAST(:customer_id AS uuid) IS NULL OR f.customer_id = CAST(:customer_id AS uuid))
    AND (:state = '' OR f.state = :state)
ORDER BY f.created_at DESC, f.id LIMIT CAST(:limit AS integer)
""")


class PostgresFetchList:
    """Each call is one transaction."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_operator`."""
        self._engine = engine

    def take(
        self, connections: Sequence[UUID], *, kinds: Sequence[str], now: datetime, lease_s: float, most: int
    ) -> Sequence[Fetch]:
        """Own what is due of these connections until the lease ends, the oldest first, and count the attempt."""
        asked = {
            "connections": [str(one) for one in connections],
            "kinds": list(kinds),
            "now": stamp(now),
            "until": stamp(now, lease_s),
            "most": most,
        }
        with database_errors(), self._engine.begin() as connection:
            rows = sorted(connection.execute(TAKE, asked), key=lambda row: (row.created_at, row.id))
        return [
            Fetch(row.id, row.customer_id, row.connection_id, row.kind, row.reference, row.attempts)
            for row in rows
        ]

    def fetched(self, fetch: Fetch, *, event_id: UUID, at: datetime) -> None:
        """Note that it is in the pipeline, as this event."""
        asked = {"id": str(fetch.id), "event_id": str(event_id), "at": stamp(at)}
        with database_errors(), self._engine.begin() as connection:
            connection.execute(FETCHED, asked)

    def failed(self, fetch: Fetch, *, code: str, next_at: datetime | None, at: datetime) -> None:
        """Note why it is not; None gives it up."""
        asked = {
            "id": str(fetch.id),
            "attempts": fetch.attempts,
            "code": code,
            "next_at": None if next_at is None else stamp(next_at),
            "at": stamp(at),
        }
        with database_errors(), self._engine.begin() as connection:
            connection.execute(FAILED, asked)

    def list(
        self, *, customer_id: UUID | None = None, state: str = "", limit: int = 50
    ) -> Sequence[FetchEntry]:
        """Return what was named, the newest first."""
        asked = {
            "customer_id": None if customer_id is None else str(customer_id),
            "state": state,
            "limit": limit,
        }
        with database_errors(), self._engine.begin() as connection:
            return [FetchEntry(**row) for row in connection.execute(LIST, asked).mappings()]
