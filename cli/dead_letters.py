"""`upstream dead-letters`: what could not be processed, and what to do with it."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, tell

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from cli.workspace import Workspace
    from shared.ports.dead_letters import DeadLetterDesk, LetterState, Wanted

app = typer.Typer(help="What could not be processed: look, replay, discard.", no_args_is_help=True)

INTERRUPTED: Final = 130  # as a shell reports a command that Ctrl-C ended
PATIENT_DATA: Final = (
    "what follows is a payer's payload: patient data. Keep it off tickets, chats and shared disks"
)


class StateName(StrEnum):
    """Which letters to show."""

    OPEN = "open"
    REPLAYED = "replayed"
    DISCARDED = "discarded"
    ALL = "all"


STATES: "Final[dict[StateName, LetterState | None]]" = {
    StateName.OPEN: "open",
    StateName.REPLAYED: "replayed",
    StateName.DISCARDED: "discarded",
    StateName.ALL: None,
}

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids, or how they begin.")]
Function = Annotated[str, typer.Option("--function", help="Only those that this function could not process.")]
Code = Annotated[str, typer.Option(help="Only those with this error code.")]
ConnectionId = Annotated[
    str, typer.Option("--connection", help="Only those that came over this connection: its id, or its start.")
]
Customer = Annotated[str, typer.Option(help="Only this customer's.")]
Since = Annotated[str, typer.Option(help="Failed last since then: 2026-02-03T14:00, or 30m, 2h, 3d ago.")]
Until = Annotated[str, typer.Option(help="Failed last until then.")]
Text = Annotated[str, typer.Option(help="Only those with this text in their reason.")]
By = Annotated[str, typer.Option("--by", help="Who does it; your login, if nothing else.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without this or --no-dry-run, it is only said.")]
DryRun = Annotated[
    bool | None,
    typer.Option("--dry-run/--no-dry-run", help="Say what would be done, and do nothing; default."),
]


@app.command("list")
def list_(
    function: Function = "",
    code: Code = "",
    connection: ConnectionId = "",
    customer: Customer = "",
    since: Since = "",
    until: Until = "",
    text: Text = "",
    state: Annotated[StateName, typer.Option(help="In which state.")] = StateName.OPEN,
    limit: Annotated[int, typer.Option(min=0, max=1000, help="How many, one by one; 0: causes only.")] = 20,
    after: Annotated[str, typer.Option(help="Where the page before ended; it says so.")] = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show dead letters: by cause, then one by one, the newest first. Never what they hold."""
    from cli.dead_letter_views import place, show_listing
    from cli.workspace import opened
    from shared.handlers.dead_letters.listing import list_dead_letters

    with opened(home) as workspace:
        filters = _filters(workspace, function, code, connection, customer, since, until, text)
        wanted = replace(filters, state=STATES[state])
        listing = list_dead_letters(
            wanted, desk=_desk(workspace), limit=limit, after=place(after) if after else None
        )
    show_listing(listing, state.value, as_json=as_json, home=home)


@app.command()
def show(
    identity: Annotated[str, typer.Argument(metavar="ID", help="An id, or how it begins.")],
    body: Annotated[
        bool,
        typer.Option("--body", help="Write the original bytes, and nothing else. They are patient data."),
    ] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: why, since when, and each replay. Never what it holds, unless asked with --body."""
    import sys

    from cli.dead_letter_views import show_letter
    from cli.workspace import opened
    from shared.handlers.dead_letters.listing import show_dead_letter

    with opened(home) as workspace:
        desk = _desk(workspace)
        letter_id = _one(desk, identity)
        if body:
            tell(PATIENT_DATA)
            sys.stdout.buffer.write(desk.body(letter_id))
            sys.stdout.buffer.flush()
            return
        shown = show_dead_letter(letter_id, desk=desk)
    show_letter(shown, as_json=as_json, home=home)


@app.command()
def replay(
    ids: Ids = None,
    function: Function = "",
    code: Code = "",
    connection: ConnectionId = "",
    customer: Customer = "",
    since: Since = "",
    until: Until = "",
    text: Text = "",
    everything: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    why: Annotated[str, typer.Option(help="What has been put right since. Recorded; required to act.")] = "",
    by: By = "",
    yes: Yes = False,
    dry_run: DryRun = None,
    edit: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Publish this file instead of the one letter's body."),
    ] = None,
    replay_id: Annotated[
        str, typer.Option(help="Act again on what was settled. The same id never acts twice.")
    ] = "",
    rate: Annotated[float, typer.Option(min=0.01, max=1000, help="Letters a second.")] = 50,
    max_failed_share: Annotated[
        float, typer.Option(min=0, max=1, help="Stop when more than this share has failed again.")
    ] = 0.1,
    min_samples: Annotated[int, typer.Option(min=1, help="But not before so many have an outcome.")] = 20,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Publish dead letters again, as they came. Without --yes it only says what it would do.

    Ctrl-C ends it between two letters; the same command again goes on from there.
    """
    from cli.dead_letter_replay import Replaying, carry_out, say_plan
    from cli.workspace import opened
    from shared.handlers.dead_letters.replay import Limits
    from shared.ports.dead_letters import Run

    with opened(home) as workspace:
        filters = _filters(workspace, function, code, connection, customer, since, until, text)
        wanted = _chosen(_desk(workspace), filters, ids or [], everything=everything)
        edited = None if edit is None else edit.read_bytes()
        run = Run(_new_id(), by=_who(by), why=why, replay_id=replay_id, edited=edited)
        limits = Limits(rate_per_s=rate, max_failed_share=max_failed_share, min_samples=min_samples)
        replaying = Replaying(workspace, _desk(workspace), wanted, run, limits, home)
        if not _acts(yes=yes, dry_run=dry_run, why=why):
            say_plan(replaying, as_json=as_json)
            return
        report = carry_out(replaying, as_json=as_json)
    if report.ended == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if report.ended != "done" or report.progress.tally.failed:
        raise typer.Exit(1)


@app.command()
def discard(
    ids: Ids = None,
    function: Function = "",
    code: Code = "",
    connection: ConnectionId = "",
    customer: Customer = "",
    since: Since = "",
    until: Until = "",
    text: Text = "",
    everything: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    why: Annotated[str, typer.Option(help="Why they need not be processed. Recorded; required to act.")] = "",
    by: By = "",
    yes: Yes = False,
    dry_run: DryRun = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Put dead letters aside that need not be processed; they are kept. Without --yes it only says which."""
    from cli.dead_letter_views import show_discard
    from cli.workspace import opened
    from shared.handlers.dead_letters.discard import discard_dead_letters, plan_discard

    with opened(home) as workspace:
        desk = _desk(workspace)
        filters = _filters(workspace, function, code, connection, customer, since, until, text)
        wanted = _chosen(desk, filters, ids or [], everything=everything)
        acts = _acts(yes=yes, dry_run=dry_run, why=why)
        count = (
            discard_dead_letters(wanted, by=_who(by), why=why, desk=desk)
            if acts
            else sum(len(page) for page in plan_discard(wanted, desk=desk))
        )
    show_discard(count, done=acts, as_json=as_json)


def _desk(workspace: "Workspace") -> "DeadLetterDesk":
    from shared.adapters.postgres.dead_letters import PostgresDeadLetterDesk

    return PostgresDeadLetterDesk(workspace.engine)


def _filters(
    workspace: "Workspace",
    function: str,
    code: str,
    connection: str,
    customer: str,
    since: str,
    until: str,
    text: str,
) -> "Wanted":
    from shared.ports.dead_letters import Wanted

    return Wanted(
        consumer=function,
        code=code,
        connection_id=workspace.connection(connection).id if connection else None,
        customer_id=workspace.customer(customer).id if customer else None,
        since=_time(since, "--since"),
        until=_time(until, "--until"),
        text=text,
    )


def _chosen(desk: "DeadLetterDesk", filters: "Wanted", ids: list[str], *, everything: bool) -> "Wanted":
    """Return which letters to act on: those named, whatever their state; else the open ones that the filters name."""
    if not ids and filters.everything and not everything:
        raise typer.BadParameter("name letters by id, choose them by filters, or say --all")
    state: LetterState | None = None if ids else "open"
    return replace(filters, ids=tuple(_one(desk, identity) for identity in ids), state=state)


def _one(desk: "DeadLetterDesk", identity: str) -> "UUID":
    found = desk.beginning_with(identity)
    if len(found) != 1:
        raise Failure(f"{len(found) or 'no'} dead letters have an id that begins with {identity!r}")
    return found[0]


def _acts(*, yes: bool, dry_run: bool | None, why: str) -> bool:
    """Return whether to act: only when told to, and then with a reason."""
    acts = dry_run is False or (yes and dry_run is None)
    if acts and not why.strip():
        raise typer.BadParameter("say why: it is recorded", param_hint="--why")
    return acts


def _time(text: str, option: str) -> "datetime | None":
    from datetime import UTC, datetime

    from cli.dead_letter_views import moment

    try:
        return moment(text, datetime.now(UTC)) if text else None
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint=option) from exc


def _who(by: str) -> str:
    import getpass

    return by or getpass.getuser()


def _new_id() -> "UUID":
    from uuid import uuid4

    return uuid4()
