"""`EventArchive` in PostgreSQL: the outbox keeps every domain event, the audit trail what its decisions saw.

A page comes as one JSON text: a row for each event costs the driver five times what it costs the server to join them.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Engine, text

from shared.adapters.postgres.engine import database_errors
from shared.ports.archive import ArchivedEvent

PAGE: Final = 5000
FIRST_ID: Final = str(UUID(int=0))

EVENT = text("""
SELECT o.customer_id, jsonb_build_array(o.id, o.event_type, o.created_at,
    CAST(convert_from(o.data, 'UTF8') AS jsonb),
    (SELECT jsonb_agg(e.explanation) FROM executions e WHERE e.event_id = o.id)) AS event
FROM outbox o WHERE o.id = CAST(:event_id AS uuid) AND o.topic = 'domain-events'
""")

COUNT = text("""
SELECT count(*) FROM outbox
WHERE customer_id = CAST(:customer_id AS uuid) AND topic = 'domain-events'
    AND created_at >= CAST(:since AS timestamptz) AND created_at < CAST(:until AS timestamptz)
""")

PAGES = text("""
WITH page AS (
    SELECT id, event_type, created_at, data FROM outbox
    WHERE customer_id = CAST(:customer_id AS uuid) AND topic = 'domain-events'
        AND (created_at, id) > (CAST(:after AS timestamptz), CAST(:after_id AS uuid))
        AND created_at < CAST(:until AS timestamptz)
    ORDER BY created_at, id LIMIT :page
)
SELECT '[' || string_agg(format('[%s,%s,%s,%s,%s]', to_json(id), to_json(event_type), to_json(created_at),
    convert_from(data, 'UTF8'), coalesce(seen.explanations, 'null')), ',' ORDER BY created_at, id) || ']' AS events
FROM page LEFT JOIN LATERAL (
    SELECT CAST(jsonb_agg(explanation) AS text) AS explanations FROM executions e
    WHERE e.event_id = page.id AND e.decision <> 'no_match'
) seen ON true
""")


class PostgresEventArchive:
    """Reads by keys, a page at a time, each page in a transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_operator`."""
        self._engine = engine

    def event(self, event_id: UUID) -> tuple[UUID, ArchivedEvent] | None:
        """Return the event and whose it is."""
        with database_errors(), self._engine.begin() as connection:
            row = connection.execute(EVENT, {"event_id": str(event_id)}).one_or_none()
        return None if row is None else (row.customer_id, _archived(row.event))

    def count(self, customer_id: UUID, *, since: date, until: date) -> int:
        """Return how many events `pages` would yield."""
        asked = {"customer_id": str(customer_id), "since": _begins(since), "until": _ends(until)}
        with database_errors(), self._engine.begin() as connection:
            return int(connection.execute(COUNT, asked).scalar_one())

    def pages(self, customer_id: UUID, *, since: date, until: date) -> Iterator[Sequence[ArchivedEvent]]:
        """Yield the customer's events, oldest first."""
        asked = {"customer_id": str(customer_id), "until": _ends(until), "page": PAGE}
        with ThreadPoolExecutor(1) as ahead:  # the server joins the next page while this one is decided
            following = ahead.submit(self._page, {**asked, "after": _begins(since), "after_id": FIRST_ID})
            while (found := following.result()) is not None:
                rows = orjson.loads(found)
                last_id, _, last_at, *_ = rows[-1]
                following = ahead.submit(self._page, {**asked, "after": last_at, "after_id": last_id})
                yield [_archived(row) for row in rows]

    def _page(self, asked: Mapping[str, object]) -> str | None:
        with database_errors(), self._engine.begin() as connection:
            found: str | None = connection.execute(PAGES, asked).scalar_one()
        return found


def _archived(row: Sequence[Any]) -> ArchivedEvent:
    event_id, event_type, at, data, explanations = row
    return ArchivedEvent(event_id, event_type, datetime.fromisoformat(at), data, _seen(explanations))


def _seen(explanations: Sequence[Sequence[Mapping[str, object]]] | None) -> Mapping[str, object]:
    """Return what decisions saw of each fact."""
    return {
        str(part["fact"]): part["actual"]
        for explanation in explanations or ()
        for part in explanation
        if "fact" in part
    }


def _begins(day: date) -> str:
    return datetime.combine(day, time(), UTC).isoformat()


def _ends(day: date) -> str:
    return _begins(day + timedelta(days=1))
