"""`CanaryDesk` in PostgreSQL. Every look-up is by an index: all customers' events go through the same tables."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from shared.adapters.postgres.engine import database_errors
from shared.adapters.postgres.operators import PostgresOperatorDesk
from shared.ports.canary import Canary
from shared.runtime.errors import PermanentError, TransientError

LOCK: Final = 7237004
TRY_S: Final = 0.2

ADD_CUSTOMER = text("""
INSERT INTO customers (id, name) VALUES (CAST(:id AS uuid), :name) ON CONFLICT (id) DO NOTHING
""")

# Whatever came through the first consumer put a domain event there, whichever run it was of.
TRACES = text("""
SELECT DISTINCT trace_id FROM outbox
WHERE customer_id = CAST(:customer_id AS uuid) AND topic = 'domain-events' AND trace_id <> ''
""")
TAKEN = text("SELECT DISTINCT event_id FROM inbox WHERE trace_id = ANY(CAST(:traces AS text[]))")
CAUSED = text("""
SELECT id, attributes ->> 'ce-subject' AS subject FROM outbox WHERE parent_id = ANY(CAST(:events AS uuid[]))
""")

REMOVED: Final = {
    "actions": text("DELETE FROM actions WHERE event_id = ANY(CAST(:events AS uuid[]))"),
    "alerts": text("DELETE FROM alerts WHERE event_id = ANY(CAST(:events AS uuid[]))"),
    "executions": text("DELETE FROM executions WHERE event_id = ANY(CAST(:events AS uuid[]))"),
    "claims": text("DELETE FROM claims WHERE id = ANY(CAST(:claims AS uuid[]))"),
    "claim_lags": text("DELETE FROM claim_lags WHERE customer_id = CAST(:customer_id AS uuid)"),
    "outbox": text("DELETE FROM outbox WHERE id = ANY(CAST(:events AS uuid[]))"),
    # Not that of run_job_task: whether a share of a job was done is the run's to know.
    "inbox": text(
        "DELETE FROM inbox WHERE event_id = ANY(CAST(:events AS uuid[])) AND consumer <> 'run_job_task'"
    ),
}


class PostgresCanaryDesk:
    """Row-level security keeps everything it does to the one customer."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_smoke`, with two connections or more: the lock has its own."""
        self._engine = engine

    @contextmanager
    def alone(self, *, wait_s: float) -> Iterator[None]:
        """Hold a lock of the session: it ends with the connection, so a killed run keeps nobody out."""
        with _refusals(), self._engine.connect() as opened:
            connection = opened.execution_options(isolation_level="AUTOCOMMIT")
            _wait(connection, wait_s)
            try:
                yield
            finally:
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCK})")

    def prepare(self, canary: Canary) -> None:
        """Make the customer and put exactly its declared rule in force, unless that is so already."""
        customer = {"id": str(canary.customer_id), "name": canary.customer_name}
        with _refusals():
            with self._engine.begin() as connection:
                connection.execute(ADD_CUSTOMER, customer)
            desk = PostgresOperatorDesk(self._engine)
            desk.apply_rules(canary.customer_id, [canary.rule], applied_by="upstream smoke")

    def sweep(self, canary: Canary, *, trace_id: str) -> Mapping[str, int]:
        """Remove what this trace and earlier ones of the customer left; return rows by table."""
        customer_id = str(canary.customer_id)
        with _refusals(), self._engine.begin() as connection:
            left = _left(connection, customer_id, trace_id)
            removed = {
                table: connection.execute(statement, left).rowcount for table, statement in REMOVED.items()
            }
        return {table: count for table, count in removed.items() if count}


def _left(connection: Connection, customer_id: str, trace_id: str) -> Mapping[str, object]:
    """Return the ids of all that the customer's events left."""
    traces = {*connection.execute(TRACES, {"customer_id": customer_id}).scalars(), trace_id}
    taken = connection.execute(TAKEN, {"traces": sorted(traces)}).scalars().all()
    caused = connection.execute(CAUSED, {"events": [str(event) for event in taken]}).all()
    subjects = {row.subject or "" for row in caused}
    return {
        "customer_id": customer_id,
        "events": [*map(str, taken), *(str(row.id) for row in caused)],
        "claims": sorted(s.removeprefix("claims/") for s in subjects if s.startswith("claims/")),
    }


def _wait(connection: Connection, wait_s: float) -> None:
    deadline_s = time.monotonic() + wait_s
    while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({LOCK})").scalar_one():
        if time.monotonic() >= deadline_s:
            raise TransientError("key_held", "another smoke test is under way on this record")
        time.sleep(TRY_S)


@contextmanager
def _refusals() -> Iterator[None]:
    """Say in one line what a record says no to."""
    try:
        with database_errors():
            yield
    except DBAPIError as exc:
        details = exc.orig.args[0] if exc.orig is not None and exc.orig.args else {}
        state = details.get("C", "unknown") if isinstance(details, dict) else "unknown"
        raise PermanentError(
            "unavailable", f"the record refuses upstream_smoke (SQLSTATE {state}): is it migrated?"
        ) from exc
