"""One customer's share of a scheduled job, and the count of shares that ends a run.

A share is done in its customer's transaction, with its inbox row, its row in `job_tasks`, and a message that says so.
That message is counted in nobody's transaction, by the same means: so each share counts once, the last one ends the
stage, and no transaction ever sees two customers.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
import structlog

from shared.domain.events import Event, Outgoing, Received
from shared.domain.ids import derive
from shared.domain.jobs import NOBODY, JobName, Run
from shared.handlers.jobs.authorizations import check_expiring_authorizations
from shared.handlers.jobs.baselines import build_risk_baselines
from shared.handlers.jobs.detect import detect_behavioral_changes
from shared.handlers.jobs.fire import run_of, task
from shared.handlers.jobs.network import LEAST_CUSTOMERS, SEEN_WITHIN, tell_of_network
from shared.handlers.jobs.release import release_actions
from shared.handlers.jobs.share import Done, Share
from shared.ports.clock import Clock
from shared.ports.jobs import JobWork, Progress, Signal
from shared.ports.record import Emitted, EventRecord
from shared.runtime.errors import PoisonError

CONSUMER: Final = "run_job_task"
DAY_S: Final = 86_400
log = structlog.get_logger()
SHARES: Final[Mapping[JobName, Callable[[Share], Done]]] = {
    "check_expiring_authorizations": check_expiring_authorizations,
    "build_risk_baselines": build_risk_baselines,
    "detect_behavioral_changes": detect_behavioral_changes,
    "release_actions": release_actions,
}


def run_job_task(received: Received, *, record: EventRecord, clock: Clock) -> Emitted:
    """Do a share, or count one that was done, and return the messages that follow.

    Raises:
        PoisonError: neither of the two, or of no job or run of ours (`invalid_event`).
        TransientError: the database is away or busy. Nothing was done.
    """
    data = _data(received.event)
    outgoing: list[Outgoing] = []
    with record.event(CONSUMER, received) as transaction:
        if not transaction.repeat:
            outgoing = _outgoing(received, data, transaction.jobs, clock)
            transaction.emit(outgoing)
    _log(outgoing, data["job"])
    return transaction.emitted


def _outgoing(received: Received, data: Mapping[str, Any], work: JobWork, clock: Clock) -> list[Outgoing]:
    match received.event.type:
        case "job.task":
            return _do(received, data, work, clock)
        case "job.task_finished":
            return _count(received.event, data, work, clock)
        case other:
            raise PoisonError("invalid_event", f"{other} is no share of a job")


def _log(outgoing: Sequence[Outgoing], job: JobName) -> None:
    """Write the lines that metrics are made of (schemas/metrics.json), once what they tell is stored."""
    for event in (one.event for one in outgoing):
        if event.type == "payer.change_detected":
            change = orjson.loads(event.data)["change"]
            age_s = change["window_days"] * DAY_S
            log.info("change.detected", kind=change["kind"], age_s=age_s, customer_id=str(event.customer_id))
        elif event.type == "job.finished":
            log.info("job.ended", job=job, result="finished")


def _data(event: Event) -> Mapping[str, Any]:
    try:
        data = orjson.loads(event.data)
        run_of(data)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as exc:
        raise PoisonError("invalid_event", f"names no run: {type(exc).__name__}") from exc
    if data["job"] not in SHARES or data.get("stage") not in ("customer", "network"):
        raise PoisonError("invalid_event", "no job or stage of ours")
    return dict(data)


def _do(received: Received, data: Mapping[str, Any], work: JobWork, clock: Clock) -> list[Outgoing]:
    started = time.perf_counter()
    event, run = received.event, run_of(data)
    share = Share(run, event, data, work, clock())
    done = _done(share)
    work.finish_task(
        event.id,
        run.id,
        data["stage"],
        counts=done.counts,
        attempt=received.attempt,
        duration_ms=round((time.perf_counter() - started) * 1000, 3),
    )
    return [*done.outgoing, _finished(share, done)]


def _done(share: Share) -> Done:
    """Do the share, unless the job has done a later slot for the customer: then it would put the past over it."""
    if share.run.goes_on and not share.work.advance(share.run):
        return Done({"superseded": 1})
    return tell_of_network(share) if share.data["stage"] == "network" else SHARES[share.run.job](share)


def _finished(share: Share, done: Done) -> Outgoing:
    """Return the message that the share is done. It is nobody's: what it tells of the network names no customer."""
    run = share.run
    data = {
        **{name: share.data[name] for name in ("run_id", "job", "slot", "stage", "options")},
        "counts": done.counts,
        "signals": [[s.reporter, s.payer_key, s.carc] for s in done.signals],
    }
    return Outgoing(
        "job-tasks", _of_run("job.task_finished", derive(share.event.id, "finished"), run, share, data)
    )


def _of_run(
    event_type: Any,  # noqa: ANN401 - an EventType; the two callers spell theirs out
    identity: UUID,
    run: Run,
    share: Share,
    data: Mapping[str, object],
) -> Event:
    return Event(
        id=identity,
        type=event_type,
        source=f"/functions/{CONSUMER}",
        subject=f"runs/{run.id}",
        time=share.now,
        customer_id=NOBODY,
        data=orjson.dumps(data),
        trace_parent=run.trace_parent,
        parent_id=share.event.id,
    )


def _count(event: Event, data: Mapping[str, Any], work: JobWork, clock: Clock) -> list[Outgoing]:
    if event.customer_id != NOBODY:
        raise PoisonError("invalid_event", "only nobody counts shares")
    signals = [Signal(UUID(reporter), payer, carc) for reporter, payer, carc in data["signals"]]
    run = run_of(data)
    progress = work.count_task(run.id, data["stage"], counts=data["counts"], signals=signals)
    if progress.left > 0:
        return []
    share = Share(progress.run, event, data, work, clock())
    return _network_stage(progress, share) or [_end(progress, share)]


def _network_stage(progress: Progress, share: Share) -> list[Outgoing]:
    """Return a message to each customer where several had the same change, or open findings say that several had."""
    if progress.run.job != "detect_behavioral_changes" or progress.stage == "network":
        return []
    found = share.work.network_changes(since=progress.run.slot - SEEN_WITHIN, least=LEAST_CUSTOMERS)
    if not found and not progress.counts.get("network_open"):
        return []
    told = [{"payer_key": c.payer_key, "carc": c.carc, "customers": c.customers} for c in found]
    share.work.enter_stage(progress.run.id, "network", tasks=len(progress.customers), network=told)
    payload = {"network": told}
    return [
        task(progress.run, "network", customer, now=share.now, payload=payload)
        for customer in progress.customers
    ]


def _end(progress: Progress, share: Share) -> Outgoing:
    share.work.finish_run(progress.run.id, at=share.now)
    data = {
        "run": {
            "id": progress.run.id,
            "key": progress.run.key,
            "job": progress.run.job,
            "slot": progress.run.slot,
            "customers": len([customer for customer in progress.customers if customer != NOBODY]),
            "counts": progress.counts,
        }
    }
    identity = derive(progress.run.id, "job.finished")
    return Outgoing("domain-events", _of_run("job.finished", identity, progress.run, share, data))
