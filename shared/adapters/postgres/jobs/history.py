"""`RunHistory` in PostgreSQL."""

from uuid import UUID

from sqlalchemy import Engine, text

from shared.adapters.postgres.engine import database_errors
from shared.domain.jobs import JobName
from shared.ports.run_history import PastRun, PastTask

RUNS = text("""
SELECT r.id, r.job, r.slot, r.options, r.state, r.stage, r.tasks, r.tasks_done AS done, r.counts, r.fired_at,
    r.finished_at, (SELECT max(duration_ms) FROM job_tasks t WHERE t.run_id = r.id) AS slowest_ms
FROM job_runs r WHERE CAST(:job AS text) IS NULL OR r.job = :job
ORDER BY r.slot DESC, r.fired_at DESC LIMIT CAST(:most AS integer)
""")
TASKS = text("""
SELECT c.name AS customer, t.stage, t.state, t.attempt, t.duration_ms, t.done_at, t.counts
FROM job_tasks t JOIN customers c ON c.id = t.customer_id WHERE t.run_id = CAST(:run_id AS uuid)
ORDER BY c.name, t.stage
""")


class PostgresRunHistory:
    """Reads runs; it changes nothing."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_operator`."""
        self._engine = engine

    def runs(self, job: JobName | None = None, *, limit: int) -> list[PastRun]:
        """Return the newest runs."""
        with database_errors(), self._engine.begin() as connection:
            return [
                PastRun(**row) for row in connection.execute(RUNS, {"job": job, "most": limit}).mappings()
            ]

    def tasks(self, run_id: UUID) -> list[PastTask]:
        """Return every customer's share of a run, by customer."""
        with database_errors(), self._engine.begin() as connection:
            return [PastTask(**row) for row in connection.execute(TASKS, {"run_id": str(run_id)}).mappings()]
