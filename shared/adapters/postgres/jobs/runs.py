"""`JobRuns` in PostgreSQL, and the part of `JobWork` that counts shares."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, Engine, RowMapping, text

from shared.adapters.postgres.engine import database_errors
from shared.domain.actions import STALE_AFTER
from shared.domain.findings import NetworkChange
from shared.domain.jobs import NOBODY, Run, Stage, task_id
from shared.ports.jobs import OpenRun, Progress, Signal, Tally
from shared.runtime.errors import PoisonError

CUSTOMERS = text("SELECT id FROM customers WHERE id <> CAST(:nobody AS uuid) ORDER BY id")
DUE = text("""
SELECT id FROM customers_with_due_actions(CAST(:at AS timestamptz), CAST(:stale_before AS timestamptz)) AS id
ORDER BY id
""")
OPEN = text("""
INSERT INTO job_runs (id, customer_id, job, slot, options, customers, stage, tasks, state, finished_at, trace_parent)
VALUES (CAST(:id AS uuid), CAST(:nobody AS uuid), :job, CAST(:slot AS timestamptz), CAST(:options AS jsonb),
    CAST(:customers AS uuid[]), 'customer', CAST(:tasks AS integer), :state, CAST(:finished_at AS timestamptz), :trace)
ON CONFLICT (id) DO NOTHING
RETURNING id
""")
ADD_TASKS = text("""
INSERT INTO job_tasks (id, customer_id, run_id, stage)
SELECT id, customer_id, CAST(:run_id AS uuid), 'customer'
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(id uuid, customer_id uuid)
""")
AS_IT_STANDS = text("""
SELECT r.stage, r.state, r.tasks, r.counts, ARRAY(
    SELECT c FROM unnest(r.customers) AS c
    WHERE NOT EXISTS (
        SELECT FROM job_tasks t
        WHERE t.run_id = r.id AND t.customer_id = c AND t.stage = r.stage AND t.state = 'done')
) AS pending
FROM job_runs r WHERE r.id = CAST(:id AS uuid)
""")

ADVANCE = text("""
INSERT INTO newest_shares AS n (customer_id, job, slot)
VALUES (CAST(:customer_id AS uuid), :job, CAST(:slot AS timestamptz))
ON CONFLICT (customer_id, job) DO UPDATE SET slot = EXCLUDED.slot WHERE n.slot <= EXCLUDED.slot
RETURNING slot
""")
FINISH_TASK = text("""
INSERT INTO job_tasks (id, customer_id, run_id, stage, state, counts, attempt, duration_ms, done_at)
VALUES (CAST(:id AS uuid), CAST(:customer_id AS uuid), CAST(:run_id AS uuid), :stage, 'done', CAST(:counts AS jsonb),
    CAST(:attempt AS integer), CAST(:duration_ms AS double precision), clock_timestamp())
ON CONFLICT (id) DO UPDATE SET state = 'done', counts = EXCLUDED.counts, attempt = EXCLUDED.attempt,
    duration_ms = EXCLUDED.duration_ms, done_at = EXCLUDED.done_at
""")
LOCK_RUN = text("""
SELECT job, slot, options, customers, stage, tasks, tasks_done, counts FROM job_runs
WHERE id = CAST(:id AS uuid) FOR UPDATE
""")
COUNT = text("""
UPDATE job_runs SET tasks_done = tasks_done + 1, counts = CAST(:counts AS jsonb) WHERE id = CAST(:id AS uuid)
""")
ADD_SIGNALS = text("""
INSERT INTO network_signals (customer_id, run_id, reporter, payer_key, carc, seen_at)
SELECT CAST(:nobody AS uuid), CAST(:run_id AS uuid), reporter, payer_key, carc, CAST(:seen_at AS timestamptz)
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(reporter uuid, payer_key text, carc text)
ON CONFLICT DO NOTHING
""")
NETWORK = text("""
SELECT payer_key, carc, count(DISTINCT reporter) AS customers FROM network_signals
WHERE customer_id = CAST(:nobody AS uuid) AND seen_at > CAST(:since AS timestamptz)
GROUP BY payer_key, carc HAVING count(DISTINCT reporter) >= CAST(:least AS bigint)
ORDER BY payer_key, carc
""")
ENTER = text("""
UPDATE job_runs SET stage = :stage, tasks = CAST(:tasks AS integer), tasks_done = 0,
    counts = counts || jsonb_build_object('network', CAST(:network AS jsonb))
WHERE id = CAST(:id AS uuid)
""")
FINISH = text("""
UPDATE job_runs SET state = 'finished', finished_at = CAST(:at AS timestamptz) WHERE id = CAST(:id AS uuid)
""")
TASKS_AT_ONCE = 1_000


class PostgresJobRuns:
    """Opens runs. Several at once may: the row of the run decides whose it is."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_scheduler`, or as an operator."""
        self._engine = engine

    def open(self, run: Run) -> OpenRun:
        """Return the run of this slot, opened if nobody did before."""
        with database_errors(), self._engine.begin() as connection:
            new = _insert(connection, run, _customers(connection, run))
            row = connection.execute(AS_IT_STANDS, {"id": str(run.id)}).mappings().one()
        pending = () if row["state"] == "finished" else tuple(row["pending"])
        payload = {"network": row["counts"]["network"]} if "network" in row["counts"] else {}
        return OpenRun(run, row["stage"], pending, row["tasks"], new=new, payload=payload)


def _customers(connection: Connection, run: Run) -> list[UUID]:
    """Return who has a share of the run."""
    if run.job != "release_actions":
        return list(connection.execute(CUSTOMERS, {"nobody": str(NOBODY)}).scalars())
    asked = {"at": run.slot.isoformat(), "stale_before": (run.slot - STALE_AFTER).isoformat()}
    return list(connection.execute(DUE, asked).scalars()) or [NOBODY]


def _insert(connection: Connection, run: Run, customers: Sequence[UUID]) -> bool:
    row = {
        "id": str(run.id),
        "nobody": str(NOBODY),
        "job": run.job,
        "slot": run.slot.isoformat(),
        "options": _json(run.options),
        "customers": [str(customer) for customer in customers],
        "tasks": len(customers),
        "state": "running" if customers else "finished",
        "finished_at": None if customers else run.slot.isoformat(),
        "trace": run.trace_parent,
    }
    if connection.execute(OPEN, row).scalar_one_or_none() is None:
        return False
    for at in range(0, len(customers), TASKS_AT_ONCE):
        rows = [
            {"id": task_id(run.id, "customer", customer), "customer_id": customer}
            for customer in customers[at : at + TASKS_AT_ONCE]
        ]
        connection.execute(ADD_TASKS, {"run_id": str(run.id), "rows": _json(rows)})
    return True


def advance(connection: Connection, customer_id: UUID, run: Run) -> bool:
    """Note that the customer's share of the run's slot is done; False where one of a later slot was."""
    row = {"customer_id": str(customer_id), "job": run.job, "slot": run.slot.isoformat()}
    return connection.execute(ADVANCE, row).scalar_one_or_none() is not None


def finish_task(
    connection: Connection,
    customer_id: UUID,
    share: UUID,
    *,
    run_id: UUID,
    stage: Stage,
    counts: Tally,
    attempt: int,
    duration_ms: float,
) -> None:
    """Note that a customer's share is done."""
    connection.execute(
        FINISH_TASK,
        {
            "id": str(share),
            "customer_id": str(customer_id),
            "run_id": str(run_id),
            "stage": stage,
            "counts": _json(counts),
            "attempt": attempt,
            "duration_ms": duration_ms,
        },
    )


def count_task(
    connection: Connection, run_id: UUID, stage: Stage, *, counts: Tally, signals: Sequence[Signal]
) -> Progress:
    """Count one share more as done, and keep what it says of the network."""
    row = connection.execute(LOCK_RUN, {"id": str(run_id)}).mappings().one_or_none()
    if row is None or row["stage"] != stage:
        raise PoisonError("invalid_event", f"run {run_id} is not at stage {stage}")
    total = _sum(row["counts"], counts)
    connection.execute(COUNT, {"id": str(run_id), "counts": _json(total)})
    run = _run(row)
    if signals:
        rows = [{"reporter": s.reporter, "payer_key": s.payer_key, "carc": s.carc} for s in signals]
        connection.execute(
            ADD_SIGNALS,
            {
                "nobody": str(NOBODY),
                "run_id": str(run_id),
                "seen_at": run.slot.isoformat(),
                "rows": _json(rows),
            },
        )
    left = row["tasks"] - row["tasks_done"] - 1
    plain = {name: value for name, value in total.items() if isinstance(value, int)}
    return Progress(run, stage, left, tuple(row["customers"]), plain)


def network_changes(connection: Connection, *, since: datetime, least: int) -> list[NetworkChange]:
    """Return the reasons that rose at `least` customers or more."""
    asked = {"nobody": str(NOBODY), "since": since.isoformat(), "least": least}
    return [NetworkChange(**row) for row in connection.execute(NETWORK, asked).mappings()]


def enter_stage(
    connection: Connection, run_id: UUID, stage: Stage, *, tasks: int, network: Sequence[Mapping[str, object]]
) -> None:
    """Begin the run's next stage, with what its shares are told."""
    connection.execute(ENTER, {"id": str(run_id), "stage": stage, "tasks": tasks, "network": _json(network)})


def finish_run(connection: Connection, run_id: UUID, *, at: datetime) -> None:
    """Note that every share is done."""
    connection.execute(FINISH, {"id": str(run_id), "at": at.isoformat()})


def _run(row: RowMapping) -> Run:
    return Run(row["job"], row["slot"], row["options"])


def _sum(known: Mapping[str, Any], more: Tally) -> dict[str, Any]:
    return {**known, **{name: known.get(name, 0) + value for name, value in more.items()}}


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
