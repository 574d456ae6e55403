"""`DeadLetterDesk` in PostgreSQL.

Whatever changes a letter or its replays locks the letter first, in the order of ids, and reads on in a statement of its
own: two runs cannot deadlock, and the second sees what the first did.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, Engine, RowMapping, TextClause, text

from shared.adapters.postgres.engine import database_errors
from shared.domain.ids import derive
from shared.ports.dead_letters import (
    IN_FLIGHT_S,
    LEASE_S,
    Asked,
    Cause,
    Claimed,
    Facts,
    Letter,
    Place,
    Replay,
    Run,
    Tally,
    Wanted,
)
from shared.runtime.errors import PoisonError

CONDITIONS: Final[Mapping[str, str]] = {
    "ids": "d.id = ANY(CAST(:ids AS uuid[]))",
    "consumer": "d.consumer = :consumer",
    "code": "d.code = :code",
    "connection_id": "d.connection_id = CAST(:connection_id AS uuid)",
    "customer_id": "d.customer_id = CAST(:customer_id AS uuid)",
    "since": "d.last_at >= CAST(:since AS timestamptz)",
    "until": "d.last_at <= CAST(:until AS timestamptz)",
    "text": "strpos(lower(d.reason), lower(CAST(:text AS text))) > 0",
    "state": "d.state = :state",
}
OLDER: Final = "(d.first_at, d.id) < (CAST(:after_at AS timestamptz), CAST(:after_id AS uuid))"
YOUNGER: Final = "(d.first_at, d.id) > (CAST(:after_at AS timestamptz), CAST(:after_id AS uuid))"

CAUSES: Final = """
SELECT d.consumer, d.code, regexp_replace(d.reason,
        '[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}|[0-9]+', '#', 'g') AS reason,
    count(*) AS count, count(DISTINCT d.customer_id) AS customers, min(d.first_at) AS first_at,
    max(d.last_at) AS last_at, (array_agg(d.id ORDER BY d.last_at DESC))[1] AS newest_id
FROM dead_letters d WHERE {where}
GROUP BY 1, 2, 3 ORDER BY count DESC, last_at DESC LIMIT 100
"""

LETTERS: Final = """
SELECT d.id, d.customer_id, coalesce(c.name, '') AS customer, d.event_id, d.connection_id, d.consumer, d.subscription,
    d.event_type, d.code, d.reason, d.attempts, d.trace_id, d.state, d.first_at, d.last_at, d.last_replay,
    d.discarded_by, d.discarded_why, d.discarded_at, octet_length(d.body) AS body_bytes, d.attributes
FROM dead_letters d LEFT JOIN customers c ON c.id = d.customer_id
WHERE {where} ORDER BY d.first_at {order}, d.id {order} LIMIT CAST(:limit AS integer)
"""

BEGINNING_WITH = text("""
SELECT id FROM dead_letters WHERE id BETWEEN CAST(:lowest AS uuid) AND CAST(:highest AS uuid) ORDER BY id LIMIT 10
""")
BODY = text("SELECT body FROM dead_letters WHERE id = CAST(:id AS uuid)")
REPLAYS = text("""
SELECT id, batch_id, event_id, replay_id, replayed_by, why, edited_body IS NOT NULL AS edited, outcome, code, reason,
    claimed_at, published_at, ended_at
FROM dead_letter_replays WHERE dead_letter_id = CAST(:id AS uuid) ORDER BY claimed_at
""")

ASKED: Final = """
WITH asked AS (
    SELECT * FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS a(
        letter_id uuid, replay uuid, event_id uuid, customer_id uuid, state text, last_replay uuid)
)
"""
TAKEN: Final = "EXISTS (SELECT FROM inbox i WHERE i.event_id = a.event_id AND i.consumer = d.consumer)"
UNFINISHED: Final = """EXISTS (SELECT FROM outbox o
    WHERE o.parent_id = a.event_id AND o.consumer = d.consumer AND o.published_at IS NULL)"""
OUTCOME_UNKNOWN: Final = """EXISTS (
    SELECT FROM (
        SELECT a.event_id UNION SELECT d.event_id
        UNION SELECT r.event_id FROM dead_letter_replays r WHERE r.dead_letter_id = d.id
    ) known JOIN actions x ON x.event_id = known.event_id OR x.id = known.event_id
    WHERE x.state IN ('committing', 'unknown'))"""

FACTS = text(f"""
{ASKED}
SELECT d.id, {TAKEN} AS taken, {UNFINISHED} AS unfinished, {OUTCOME_UNKNOWN} AS outcome_unknown,
    EXISTS (SELECT FROM customers c WHERE c.id = a.customer_id) AS has_customer,
    (SELECT r.lease_expires_at FROM dead_letter_replays r WHERE r.dead_letter_id = d.id AND r.outcome = 'claimed'
        AND r.lease_expires_at > clock_timestamp()) AS held_until,
    (SELECT max(r.published_at) FROM dead_letter_replays r WHERE r.dead_letter_id = d.id AND r.outcome = 'published'
        AND r.published_at > clock_timestamp() - make_interval(secs => CAST(:in_flight_s AS integer))
    ) AS in_flight_since, d.purged_at IS NOT NULL AS purged
FROM asked a JOIN dead_letters d ON d.id = a.letter_id
""")  # noqa: S608 - made of constants

LOCK = text("SELECT id FROM dead_letters WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")
INTERRUPTED = text("""
UPDATE dead_letter_replays SET outcome = 'interrupted', ended_at = clock_timestamp()
WHERE dead_letter_id = ANY(CAST(:ids AS uuid[])) AND outcome = 'claimed' AND lease_expires_at <= clock_timestamp()
""")
CLAIM = text(f"""
{ASKED}, claimed AS (
    INSERT INTO dead_letter_replays (id, dead_letter_id, customer_id, batch_id, event_id, replay_id, replayed_by, why,
        edited_body, lease_expires_at)
    SELECT a.replay, d.id, a.customer_id, CAST(:batch_id AS uuid), a.event_id, :replay_id, :by, :why,
        CAST(:edited AS bytea), clock_timestamp() + make_interval(secs => CAST(:lease_s AS integer))
    FROM asked a JOIN dead_letters d ON d.id = a.letter_id
    WHERE d.state = a.state AND d.last_replay IS NOT DISTINCT FROM a.last_replay
        AND ({UNFINISHED} OR NOT {TAKEN}) AND NOT {OUTCOME_UNKNOWN} AND d.purged_at IS NULL
    ON CONFLICT (dead_letter_id) WHERE outcome = 'claimed' DO NOTHING
    RETURNING id, dead_letter_id, customer_id, edited_body
)
UPDATE dead_letters d SET state = 'open', last_replay = claimed.id, customer_id = claimed.customer_id
FROM claimed WHERE d.id = claimed.dead_letter_id
RETURNING claimed.id, d.id AS letter_id, d.consumer, d.attributes, coalesce(claimed.edited_body, d.body) AS body
""")  # noqa: S608 - made of constants

MARK_PUBLISHED = text("""
WITH done AS (
    UPDATE dead_letter_replays SET published_at = clock_timestamp(),
        outcome = CASE WHEN outcome = 'claimed' THEN 'published' ELSE outcome END
    WHERE id = ANY(CAST(:replays AS uuid[])) RETURNING id, dead_letter_id, outcome
)
UPDATE dead_letters d SET state = 'replayed' FROM done
WHERE d.id = done.dead_letter_id AND d.state = 'open' AND d.last_replay = done.id AND done.outcome = 'published'
""")

PROCESSED: Final = """
SELECT a.id, a.dead_letter_id FROM dead_letter_replays a JOIN dead_letters d ON d.id = a.dead_letter_id
WHERE a.outcome IN ('claimed', 'published', 'interrupted') AND {taken} AND NOT {unfinished} {of_batch}
"""
PROCESSED_OF_ALL = text(PROCESSED.format(taken=TAKEN, unfinished=UNFINISHED, of_batch=""))
PROCESSED_OF_BATCH = text(
    PROCESSED.format(taken=TAKEN, unfinished=UNFINISHED, of_batch="AND a.batch_id = CAST(:batch_id AS uuid)")
)
SETTLE = text("""
WITH done AS (
    UPDATE dead_letter_replays SET outcome = 'processed', ended_at = clock_timestamp()
    WHERE id = ANY(CAST(:replays AS uuid[])) AND outcome IN ('claimed', 'published', 'interrupted')
    RETURNING dead_letter_id
)
UPDATE dead_letters d SET state = 'replayed' FROM done WHERE d.id = done.dead_letter_id AND d.state = 'open'
""")
TALLY = text("""
SELECT count(*) FILTER (WHERE outcome = 'published') AS waiting,
    count(*) FILTER (WHERE outcome = 'processed') AS processed, count(*) FILTER (WHERE outcome = 'failed') AS failed
FROM dead_letter_replays WHERE batch_id = CAST(:batch_id AS uuid)
""")

DISCARD = text("""
UPDATE dead_letters d SET state = 'discarded', discarded_by = :by, discarded_why = :why, discarded_at = now()
WHERE d.id = ANY(CAST(:ids AS uuid[])) AND d.state = 'open' AND NOT EXISTS (
    SELECT FROM dead_letter_replays r
    WHERE r.dead_letter_id = d.id AND r.outcome = 'claimed' AND r.lease_expires_at > clock_timestamp())
RETURNING d.id
""")

# A letter whose replay has no outcome yet may still be wanted.
PURGEABLE: Final = """
d.purged_at IS NULL AND d.state IN ('discarded', 'replayed')
    AND greatest(d.last_at, coalesce(d.discarded_at, d.last_at)) < CAST(:before AS timestamptz)
    AND NOT EXISTS (SELECT FROM dead_letter_replays r WHERE r.dead_letter_id = d.id
        AND (r.claimed_at >= CAST(:before AS timestamptz) OR r.outcome IN ('claimed', 'published', 'interrupted')))
"""
COUNT_PURGEABLE = text(f"SELECT count(*) FROM dead_letters d WHERE {PURGEABLE}")  # noqa: S608 - a constant
LOCK_PURGEABLE = text(f"""
SELECT d.id FROM dead_letters d WHERE {PURGEABLE} ORDER BY d.id LIMIT 500 FOR UPDATE
""")  # noqa: S608 - a constant
PURGE = text("""
WITH emptied AS (
    UPDATE dead_letter_replays SET edited_body = NULL
    WHERE dead_letter_id = ANY(CAST(:ids AS uuid[])) AND edited_body IS NOT NULL
)
UPDATE dead_letters SET body = '', purged_at = now(), purged_by = :by, purged_why = :why
WHERE id = ANY(CAST(:ids AS uuid[]))
""")


class PostgresDeadLetterDesk:
    """Letters and their replays in two tables."""

    def __init__(self, engine: Engine, *, lease_s: int = LEASE_S) -> None:
        """engine: connects as `upstream_operator`."""
        self._engine = engine
        self._lease_s = lease_s

    def now(self) -> datetime:
        """Return the database's time."""
        with database_errors(), self._engine.begin() as connection:
            found = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        assert isinstance(found, datetime)  # noqa: S101 - for the type
        return found

    def causes(self, wanted: Wanted) -> Sequence[Cause]:
        """Return the wanted letters by what they failed of, the most frequent first."""
        given = _parameters(wanted)
        statement = text(CAUSES.format(where=_where(given)))
        with database_errors(), self._engine.begin() as connection:
            return [Cause(**row) for row in connection.execute(statement, given).mappings()]

    def letters(
        self, wanted: Wanted, *, limit: int, after: Place | None = None, oldest_first: bool = False
    ) -> Sequence[Letter]:
        """Return a page of the wanted letters by their first failure."""
        given = _parameters(wanted)
        where = _where(given)
        if after is not None:
            where = f"{where} AND {YOUNGER if oldest_first else OLDER}"
            given |= {"after_at": after.first_at.isoformat(), "after_id": str(after.id)}
        statement = text(LETTERS.format(where=where, order="ASC" if oldest_first else "DESC"))
        with database_errors(), self._engine.begin() as connection:
            return [
                Letter(**row) for row in connection.execute(statement, {**given, "limit": limit}).mappings()
            ]

    def beginning_with(self, beginning: str) -> Sequence[UUID]:
        """Return the ids of the letters whose id begins so, at most ten."""
        digits = beginning.replace("-", "").lower()
        if not digits or len(digits) > 32 or not set(digits) <= set("0123456789abcdef"):  # noqa: PLR2004 - of a UUID
            return []
        bounds = {"lowest": digits.ljust(32, "0"), "highest": digits.ljust(32, "f")}
        with database_errors(), self._engine.begin() as connection:
            return list(connection.execute(BEGINNING_WITH, bounds).scalars())

    def body(self, letter_id: UUID) -> bytes:
        """Return a letter's original bytes."""
        with database_errors(), self._engine.begin() as connection:
            found = connection.execute(BODY, {"id": str(letter_id)}).scalar_one_or_none()
        if found is None:
            raise PoisonError("not_found", f"no dead letter {letter_id}")
        return bytes(found)

    def replays(self, letter_id: UUID) -> Sequence[Replay]:
        """Return a letter's replays, oldest first, with the outcomes that are known by now."""
        self.settle()
        with database_errors(), self._engine.begin() as connection:
            return [Replay(**row) for row in connection.execute(REPLAYS, {"id": str(letter_id)}).mappings()]

    def facts(self, asked: Sequence[Asked]) -> Mapping[UUID, Facts]:
        """Return what decides over each letter, by its id."""
        given = {"asked": _asked(asked, batch_id=None), "in_flight_s": IN_FLIGHT_S}
        with database_errors(), self._engine.begin() as connection:
            rows = connection.execute(FACTS, given).mappings().all()
        return {row["id"]: _facts(row) for row in rows}

    def claim(self, asked: Sequence[Asked], run: Run) -> Sequence[Claimed]:
        """Own those letters that are still as they were and may be published."""
        ids = [str(one.letter.id) for one in asked]
        given = {
            "asked": _asked(asked, batch_id=run.batch_id),
            "batch_id": str(run.batch_id),
            "replay_id": run.replay_id,
            "by": run.by,
            "why": run.why,
            "edited": run.edited,
            "lease_s": self._lease_s,
        }
        with database_errors(), self._engine.begin() as connection:
            connection.execute(LOCK, {"ids": ids})
            connection.execute(INTERRUPTED, {"ids": ids})
            return [
                Claimed(row.id, row.letter_id, row.consumer, row.attributes, bytes(row.body))
                for row in connection.execute(CLAIM, given)
            ]

    def mark_published(self, claimed: Sequence[Claimed]) -> None:
        """Note that the broker has these; one that has failed again already stays open."""
        with database_errors(), self._engine.begin() as connection:
            connection.execute(LOCK, {"ids": [str(one.letter_id) for one in claimed]})
            connection.execute(MARK_PUBLISHED, {"replays": [str(one.id) for one in claimed]})

    def settle(self, batch_id: UUID | None = None) -> Tally:
        """Note which replays their consumers have taken, and return the run's tally."""
        statement: TextClause = PROCESSED_OF_ALL if batch_id is None else PROCESSED_OF_BATCH
        given = {} if batch_id is None else {"batch_id": str(batch_id)}
        with database_errors(), self._engine.begin() as connection:
            rows = connection.execute(statement, given).all()
            if rows:
                connection.execute(LOCK, {"ids": [str(row.dead_letter_id) for row in rows]})
                connection.execute(SETTLE, {"replays": [str(row.id) for row in rows]})
            return Tally() if batch_id is None else _tally(connection, batch_id)

    def discard(self, letter_ids: Sequence[UUID], *, by: str, why: str) -> Sequence[UUID]:
        """Put open letters aside; return which."""
        ids = [str(letter_id) for letter_id in letter_ids]
        with database_errors(), self._engine.begin() as connection:
            connection.execute(LOCK, {"ids": ids})
            return list(connection.execute(DISCARD, {"ids": ids, "by": by, "why": why}).scalars())

    def purgeable(self, before: datetime) -> int:
        """Return how many letters were dealt with before a time, and still have a body."""
        self.settle()
        with database_errors(), self._engine.begin() as connection:
            found: int = connection.execute(COUNT_PURGEABLE, {"before": before.isoformat()}).scalar_one()
        return found

    def purge(self, before: datetime, *, by: str, why: str) -> int:
        """Empty some hundreds of these; return how many."""
        self.settle()
        with database_errors(), self._engine.begin() as connection:
            ids = [
                str(one)
                for one in connection.execute(LOCK_PURGEABLE, {"before": before.isoformat()}).scalars()
            ]
            return connection.execute(PURGE, {"ids": ids, "by": by, "why": why}).rowcount if ids else 0


def _parameters(wanted: Wanted) -> dict[str, Any]:
    """Return the parameters of those conditions that restrict."""
    given = {
        "ids": [str(one) for one in wanted.ids],
        "consumer": wanted.consumer,
        "code": wanted.code,
        "connection_id": wanted.connection_id and str(wanted.connection_id),
        "customer_id": wanted.customer_id and str(wanted.customer_id),
        "since": wanted.since and wanted.since.isoformat(),
        "until": wanted.until and wanted.until.isoformat(),
        "text": wanted.text,
        "state": wanted.state,
    }
    return {name: value for name, value in given.items() if value}


def _where(given: Mapping[str, object]) -> str:
    return " AND ".join(CONDITIONS[name] for name in given) or "true"


def _asked(asked: Sequence[Asked], *, batch_id: UUID | None) -> str:
    """Return the letters as JSON. The id of a replay follows from the letter and the run."""
    rows = [
        {
            "letter_id": one.letter.id,
            "replay": None if batch_id is None else derive(one.letter.id, batch_id),
            "event_id": one.event_id,
            "customer_id": one.customer_id,
            "state": one.letter.state,
            "last_replay": one.letter.last_replay,
        }
        for one in asked
    ]
    return orjson.dumps(rows).decode()


def _facts(row: RowMapping) -> Facts:
    return Facts(**{name: value for name, value in row.items() if name != "id"})


def _tally(connection: Connection, batch_id: UUID) -> Tally:
    return Tally(**connection.execute(TALLY, {"batch_id": str(batch_id)}).mappings().one())
