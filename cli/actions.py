"""`upstream actions`: what rules asked to be done, what came of it, and a person's word where one is needed."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, tell

if TYPE_CHECKING:
    from uuid import UUID

    from cli.workspace import Workspace
    from shared.ports.action_desk import ActionDesk, ActionEntry, VisitEntry

app = typer.Typer(help="What is done in payers' portals, and what needs a person.", no_args_is_help=True)

By = Annotated[str, typer.Option("--by", help="Who says so; your login, if nothing else.")]
Identity = Annotated[str, typer.Argument(metavar="ID", help="An id, or how it begins.")]


class Said(StrEnum):
    """What a person found out."""

    SETTLED = "settled"
    FAILED = "failed"
    AGAIN = "again"


@app.command("list")
def list_(
    customer: Annotated[str, typer.Option(help="Only this customer's.")] = "",
    payer: Annotated[str, typer.Option(help="Only this payer's: its key, such as blue-cross.")] = "",
    kind: Annotated[str, typer.Option("--type", help="Only these, such as submit_appeal.")] = "",
    state: Annotated[str, typer.Option(help="Only in this state, such as unknown.")] = "",
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that need a person.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show actions: those that need a person first, then the newest."""
    from cli.action_views import show_list
    from cli.workspace import opened
    from shared.ports.action_desk import Listed

    with opened(home) as workspace:
        customer_id = workspace.customer(customer).id if customer else None
        entries = _desk(workspace).list(Listed(customer_id, payer, kind, state, waiting=waiting, limit=limit))
    show_list(entries, as_json=as_json)


@app.command()
def show(
    identity: Identity,
    save: Annotated[
        Path | None, typer.Option("--save", file_okay=False, help="Copy the evidence into this folder.")
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show one action, every visit to the portal, and where its evidence is."""
    from cli.action_views import save_evidence, show_one
    from cli.workspace import opened

    with opened(home) as workspace:
        entry, params, visits = _one(workspace, identity)
        show_one(entry, params, visits, as_json=as_json)
        if save is not None:
            tell(
                "letters, reports and traces are patient data: keep them off tickets, chats and shared disks"
            )
            save_evidence(visits, workspace.evidence, save)


@app.command()
def resolve(
    identity: Identity,
    said: Annotated[
        Said,
        typer.Option(
            "--as",
            help="settled: the portal holds it. failed: it does not, and will not be submitted. "
            "again: it does not, and a machine may submit it.",
        ),
    ],
    note: Annotated[str, typer.Option(help="What was seen in the portal. Recorded.")],
    reference: Annotated[str, typer.Option(help="The portal's confirmation number.")] = "",
    by: By = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Say what came of an action that needs a person. Rules hear of it as if a machine had done it."""
    import asyncio
    import getpass
    from datetime import UTC, datetime

    from cli.workspace import opened
    from shared.adapters.postgres.cases import PostgresCaseFiles
    from shared.handlers.action_desk import publish_waiting, resolve_action
    from shared.ports.action_desk import Resolved

    with opened(home) as workspace:
        desk = _desk(workspace)
        entry, params, _ = _one(workspace, identity)
        word = Resolved(said.value, by or getpass.getuser(), note, datetime.now(UTC), reference)
        resolve_action(entry, params, word, desk=desk, cases=PostgresCaseFiles(workspace.engine))
        app = workspace.app
        asyncio.run(publish_waiting(desk=desk, record=app.record, publisher=app.publisher))
    typer.echo(f"{entry.id}: {said.value}")


@app.command()
def release(home: Home = DEFAULT_HOME) -> None:
    """Send a message for every action that is due and has none under way. Safe to run at any time."""
    import asyncio
    from datetime import UTC, datetime

    from cli.workspace import opened
    from shared.handlers.action_desk import publish_waiting, wake_actions

    with opened(home) as workspace:
        desk, app = _desk(workspace), workspace.app
        woken = wake_actions(desk=desk, now=datetime.now(UTC))
        sent = asyncio.run(publish_waiting(desk=desk, record=app.record, publisher=app.publisher))
    typer.echo(f"{woken} actions released, {sent} messages sent")


def _desk(workspace: "Workspace") -> "ActionDesk":
    from shared.adapters.postgres.action_desk import PostgresActionDesk

    return PostgresActionDesk(workspace.engine)


def _one(workspace: "Workspace", identity: str) -> "tuple[ActionEntry, dict[str, object], list[VisitEntry]]":
    desk = _desk(workspace)
    found: list[UUID] = list(desk.beginning_with(identity)) if identity else []
    if len(found) != 1:
        raise Failure(f"{len(found) or 'no'} actions have an id that begins with {identity!r}")
    shown = desk.show(found[0])
    if shown is None:
        raise Failure("the action is gone")
    entry, params, visits = shown
    return entry, dict(params), list(visits)
