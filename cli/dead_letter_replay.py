"""`upstream dead-letters replay`: says what it would do, or does it with a progress bar, safe under Ctrl-C."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from cli.hints import command
from cli.output import console, show_json, show_table, tell
from cli.workspace import Workspace
from shared.handlers.dead_letters.plan import REFUSALS, Planned, plan_replay
from shared.handlers.dead_letters.replay import (
    Bench,
    Ended,
    Limits,
    Progress,
    Report,
    check_run,
    replay_dead_letters,
)
from shared.handlers.dead_letters.routes import routes
from shared.ports.dead_letters import DeadLetterDesk, Run, Wanted

SHOWN: Final = 50
IN_JSON: Final = 1000
ENDED: Final[dict[Ended, str]] = {
    "done": "",
    "interrupted": "Interrupted between two letters. The same command again goes on from there.",
    "failing": "Stopped: too many have failed again. What is wrong is not put right yet.",
    "no_outcome": "Stopped: nothing takes what was published. Are the functions up, and are they keeping up?",
}


@dataclass(frozen=True, slots=True)
class Replaying:
    """One call of the command."""

    workspace: Workspace
    desk: DeadLetterDesk
    wanted: Wanted
    run: Run
    limits: Limits
    home: Path

    @property
    def somebody_listens(self) -> bool:
        """Whether functions run that will take what is published: here, as far as can be seen."""
        return self.workspace.running is not None or self.workspace.settings.runtime == "gcp"


def say_plan(replaying: Replaying, *, as_json: bool) -> None:
    """Print what a replay would do with each letter. Changes nothing."""
    run = replaying.run
    check_run(replaying.wanted, replace(run, by=run.by or "-", why=run.why or "-"), replaying.limits)
    counts: Counter[tuple[str, str, str]] = Counter()
    letters: list[Planned] = []
    for page in plan_replay(
        replaying.wanted, desk=replaying.desk, routes=routes(), replay_id=replaying.run.replay_id
    ):
        counts.update((planned.letter.consumer, planned.letter.code, _verdict(planned)) for planned in page)
        letters += page[: max(0, IN_JSON - len(letters))]
    if as_json:
        _json_plan(counts, letters)
    else:
        _print_plan(counts, letters)


def carry_out(replaying: Replaying, *, as_json: bool) -> Report:
    """Replay, and print what came of it.

    Raises:
        UpstreamError: as `replay_dead_letters`; what was done until then is printed first.
    """
    limits = replaying.limits
    if not replaying.somebody_listens:
        tell("no pipeline is running here: what is published waits for the next `upstream serve`")
        limits = replace(limits, max_waiting=10**9, patience_s=0)
    last = Progress()

    def remember(progress: Progress) -> None:
        nonlocal last
        last = progress
        advance(progress)

    with _bar(replaying, as_json=as_json) as advance:
        try:
            report = asyncio.run(_replay(replaying, limits, remember))
        except Exception:
            tell(f"ended early: {_summary(last)}")
            raise
    if as_json:
        _json_report(replaying, report)
    else:
        _print_report(replaying, report)
    return report


async def _replay(replaying: Replaying, limits: Limits, tell_progress: Callable[[Progress], None]) -> Report:
    told_to_stop = asyncio.Event()
    with _stopped_by_signals(told_to_stop):
        return await replay_dead_letters(
            replaying.wanted,
            replaying.run,
            bench=Bench(replaying.desk, replaying.workspace.app.publisher, routes(), time.monotonic),
            limits=limits,
            told_to_stop=told_to_stop,
            tell=tell_progress,
        )


@contextmanager
def _stopped_by_signals(told_to_stop: asyncio.Event) -> Iterator[None]:
    """Let the first Ctrl-C end the run between two letters, and the second one end it at once."""
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        told_to_stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@contextmanager
def _bar(replaying: Replaying, *, as_json: bool) -> Iterator[Callable[[Progress], None]]:
    """Show progress on standard error, where somebody watches."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    out = console(stderr=True)
    total = sum(cause.count for cause in replaying.desk.causes(replaying.wanted))
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=out, disable=as_json or not out.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda progress: bar.update(task, completed=progress.looked_at, description=_summary(progress))


def _verdict(planned: Planned) -> str:
    """Return what would be done with a letter, in words."""
    if planned.refusal is not None:
        return f"refused: {REFUSALS[planned.refusal]}"
    if planned.unfinished:
        return f"to {planned.topic}: its consumer committed and did not publish all"
    return f"to {planned.topic}"


def _print_plan(counts: Counter[tuple[str, str, str]], letters: list[Planned]) -> None:
    published = sum(count for (_, _, verdict), count in counts.items() if verdict.startswith("to "))
    out = console()
    out.print(f"Would replay {published} of {counts.total()}:")
    if not counts:
        return
    show_table(
        [">count", "function", "code", "what"],
        [
            (count, consumer or "-", code, verdict)
            for (consumer, code, verdict), count in counts.most_common()
        ],
    )
    show_table(
        ["id", "function", "code", "what"],
        [(p.letter.id, p.letter.consumer or "-", p.letter.code, _verdict(p)) for p in letters[:SHOWN]],
        title="\nOne by one, the oldest first",
    )
    if counts.total() > SHOWN:
        out.print(f"… and {counts.total() - SHOWN} more")
    out.print("\nNothing was changed. The same with --yes and --why does it.")


def _json_plan(counts: Counter[tuple[str, str, str]], letters: list[Planned]) -> None:
    show_json(
        {
            "dry_run": True,
            "total": counts.total(),
            "causes": [
                {"count": count, "consumer": consumer, "code": code, "what": verdict}
                for (consumer, code, verdict), count in counts.most_common()
            ],
            "letters": [
                {"id": p.letter.id, "topic": p.topic, "refusal": p.refusal, "what": _verdict(p)}
                for p in letters
            ],
        }
    )


def _summary(progress: Progress) -> str:
    tally = progress.tally
    parts = [
        f"{progress.published} published",
        f"{tally.processed} processed",
        f"{tally.failed} failed again",
    ]
    parts += [f"{tally.waiting} without an outcome yet"] if tally.waiting else []
    parts += [f"{progress.refused} refused"] if progress.refused else []
    parts += [f"{progress.gone} taken by another run"] if progress.gone else []
    return ", ".join(parts)


def _print_report(replaying: Replaying, report: Report) -> None:
    out = console()
    out.print(_summary(report.progress))
    if ENDED[report.ended]:
        out.print(ENDED[report.ended])
    if report.progress.tally.failed:
        out.print(f"What they failed of:  {command('dead-letters', 'list', home=replaying.home)}")
    if report.progress.refused:
        out.print("Why some were refused: the same command without --yes says.")


def _json_report(replaying: Replaying, report: Report) -> None:
    progress = asdict(report.progress)
    tally = progress.pop("tally")
    show_json(
        {
            "dry_run": False,
            "batch_id": replaying.run.batch_id,
            "ended": report.ended,
            **progress,
            **tally,
        }
    )
