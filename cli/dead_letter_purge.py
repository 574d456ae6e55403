"""`upstream dead-letters purge`: payers' payloads go once nobody needs them any more."""

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.dead_letter_views import moment
from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import console, show_json


def purge(
    older_than: Annotated[str, typer.Option(help="Dealt with longer ago: 30d, or before a time.")] = "30d",
    why: Annotated[str, typer.Option(help="Recorded; required to act.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who does it; your login, if nothing else.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, it only counts.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count, whatever else is said.")] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Empty letters that were discarded, or replayed and taken. Without --yes it only says how many.

    They stay, with why they failed; they cannot be replayed any more.
    """
    from cli.workspace import opened
    from shared.adapters.postgres.dead_letters import PostgresDeadLetterDesk
    from shared.handlers.dead_letters.purge import purge_dead_letters

    acts = yes and not dry_run
    if acts and not why.strip():
        raise typer.BadParameter("say why: it is recorded", param_hint="--why")
    try:
        before = moment(older_than, datetime.now(UTC))
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--older-than") from exc
    with opened(home) as workspace:
        desk = PostgresDeadLetterDesk(workspace.engine)
        count = (
            purge_dead_letters(before, by=by or getpass.getuser(), why=why, desk=desk)
            if acts
            else desk.purgeable(before)
        )
    if as_json:
        show_json({"dry_run": not acts, "purged" if acts else "would_purge": count})
    elif acts:
        console().print(f"Purged {count}. What they held is gone; why they failed is kept.")
    else:
        console().print(f"Would purge {count}. Nothing was changed; --yes and --why do it.")
