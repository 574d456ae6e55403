"""`upstream jobs`: the scheduled jobs, when they are due, and what their runs came to."""

from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, console, show_json, show_table
from shared.domain.jobs import JobName, Run, job_named, slot_of

app = typer.Typer(help="The scheduled jobs.", no_args_is_help=True)


class Job(StrEnum):
    """`shared/domain/jobs.py`'s names, for the command line."""

    CHECK = "check_expiring_authorizations"
    BASELINES = "build_risk_baselines"
    CHANGES = "detect_behavioral_changes"
    RELEASE = "release_actions"
    BACKLOG = "measure_backlog"


Named = Annotated[Job, typer.Argument(metavar="JOB", help="A job's name, as `upstream jobs list` shows it.")]
Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="A day, YYYY-MM-DD.")]


@app.command("list")
def list_(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Show when each job is due."""
    from cli.workspace import opened

    with opened(home) as workspace:
        jobs = workspace.scheduler.jobs()
    if as_json:
        show_json([asdict(job) for job in jobs])
        return
    show_table(
        ["job", "cron", "time zone", "state", "next", "last fired"],
        [
            (j.name, j.cron, j.time_zone, "paused" if j.paused else "on", _at(j.next_at), _at(j.last_at))
            for j in jobs
        ],
    )


@app.command()
def run(job: Named, home: Home = DEFAULT_HOME) -> None:
    """Fire a job now, paused or not. The pipeline must be running."""
    from cli.workspace import opened

    with opened(home) as workspace:
        workspace.scheduler.run(_name(job))
    console().print(f"{job.value} was fired. `upstream jobs history` shows how far it is.")


@app.command()
def pause(job: Named, home: Home = DEFAULT_HOME) -> None:
    """Fire a job no more until it is resumed."""
    from cli.workspace import opened

    with opened(home) as workspace:
        workspace.scheduler.pause(_name(job))
    console().print(f"{job.value} is paused.")


@app.command()
def resume(job: Named, home: Home = DEFAULT_HOME) -> None:
    """Fire a job when it is due again. What was due in between is not made up for: `upstream jobs run` does that."""
    from cli.workspace import opened

    with opened(home) as workspace:
        workspace.scheduler.resume(_name(job))
    console().print(f"{job.value} is on.")


@app.command()
def history(
    job: Annotated[Job | None, typer.Argument(metavar="[JOB]", help="Only this job's runs.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many, the newest first.")] = 20,
    tasks: Annotated[bool, typer.Option(help="Each customer's share of the newest run, too.")] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show runs, how far they are, and what they came to."""
    from cli.workspace import opened

    with opened(home) as workspace:
        runs = workspace.run_history.runs(_name(job) if job else None, limit=limit)
        shares = workspace.run_history.tasks(runs[0].id) if tasks and runs else []
    if as_json:
        show_json({"runs": [asdict(run) for run in runs], "tasks": [asdict(share) for share in shares]})
        return
    show_table(
        ["job", "slot", "state", ">done", "fired", "finished", ">slowest ms", "came to"],
        [
            (
                *(r.job, _at(r.slot), r.state, f"{r.done}/{r.tasks} {r.stage}", _at(r.fired_at)),
                *(
                    _at(r.finished_at),
                    "" if r.slowest_ms is None else f"{r.slowest_ms:.0f}",
                    _counts(r.counts),
                ),
            )
            for r in runs
        ],
    )
    if shares:
        show_table(
            ["customer", "stage", "state", ">attempt", ">ms", "came to"],
            [
                (s.customer, s.stage, s.state, s.attempt or "", round(s.duration_ms or 0), _counts(s.counts))
                for s in shares
            ],
            title=f"\n{runs[0].job}, {_at(runs[0].slot)}",
        )


@app.command()
def backfill(
    job: Named,
    first: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day, YYYY-MM-DD.")
    ],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day.")],
    home: Home = DEFAULT_HOME,
) -> None:
    """Write baselines of past days anew, from what is known now. At most 92 days at a time."""
    import asyncio

    from cli.workspace import opened
    from shared.adapters.postgres.jobs.runs import PostgresJobRuns
    from shared.handlers.jobs.baselines import days_between
    from shared.handlers.jobs.fire import BATCH, fire
    from shared.runtime.settings import PUBLISH_TIMEOUT_S

    if job is not Job.BASELINES:
        raise Failure(f"{job.value} has no past to write: only {Job.BASELINES.value} keeps one")
    span = {"from": first.date().isoformat(), "to": last.date().isoformat()}
    days = days_between(span["from"], span["to"])
    now = datetime.now(UTC)
    with opened(home) as workspace:
        run = Run("build_risk_baselines", slot_of(now), span)
        opened_run, messages = fire(run, runs=PostgresJobRuns(workspace.engine), now=now)
        for at in range(0, len(messages), BATCH):
            publishing = workspace.app.publisher.publish(
                messages[at : at + BATCH], timeout_s=PUBLISH_TIMEOUT_S
            )
            asyncio.run(publishing)
    console().print(
        f"{len(days)} days of {opened_run.tasks} customers are asked for. `upstream jobs history` shows how far it is."
    )


def _name(job: Job) -> JobName:
    name = job_named(job.value)
    assert name is not None  # noqa: S101 - for the type: the command line takes no other
    return name


def _at(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%MZ}"


def _counts(counts: object) -> str:
    assert isinstance(counts, dict)  # noqa: S101 - for the type: it is a JSON object
    return ", ".join(
        f"{value} {name.replace('_', ' ')}"
        for name, value in counts.items()
        if isinstance(value, int) and value
    )
