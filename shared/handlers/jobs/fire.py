"""A job is due: its run is opened, and each customer's share becomes a message.

A share's message has an id that follows from the run and the customer, and its inbox row makes it count once. So firing
again, late or twice at once, publishes what is not done yet and nothing else follows from it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from shared.domain.events import Event, Message, Outgoing
from shared.domain.jobs import Run, Stage, task_id, trace_of
from shared.ports.jobs import JobRuns, OpenRun
from shared.runtime.envelope import to_message

BATCH: Final = 500  # messages of one publish


def fire(run: Run, *, runs: JobRuns, now: datetime) -> tuple[OpenRun, list[Message]]:
    """Return the run, opened if nobody did, and a message for every share that is not done.

    Raises:
        TransientError: the database is away or busy; fire again.
    """
    opened = runs.open(run)
    return opened, [to_message(share(opened, customer_id, now)) for customer_id in opened.pending]


def share(opened: OpenRun, customer_id: UUID, now: datetime) -> Outgoing:
    """Return the message that asks for a customer's share of a run."""
    return task(opened.run, opened.stage, customer_id, now=now, payload=opened.payload)


def task(
    run: Run, stage: Stage, customer_id: UUID, *, now: datetime, payload: Mapping[str, object]
) -> Outgoing:
    """Return the message that asks for a customer's share of a stage."""
    identity = task_id(run.id, stage, customer_id)
    data = {
        "run_id": run.id,
        "job": run.job,
        "slot": run.slot,
        "stage": stage,
        "options": run.options,
        **payload,
    }
    return Outgoing(
        "job-tasks",
        Event(
            id=identity,
            type="job.task",
            source=f"/functions/{run.job}",
            subject=f"runs/{run.id}",
            time=now,
            customer_id=customer_id,
            data=orjson.dumps(data),
            trace_parent=trace_of(identity),
            parent_id=run.id,
        ),
    )


def run_of(data: Mapping[str, Any]) -> Run:
    """Return the run that a share's message names. Raises KeyError or ValueError if it is none of ours."""
    return Run(data["job"], datetime.fromisoformat(data["slot"]), data["options"])
