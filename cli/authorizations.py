"""`upstream authorizations`: import what a practice keeps in a table."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, console, show_json, show_table

if TYPE_CHECKING:
    from cli.workspace import Workspace
    from shared.domain.claims import Authorization
    from shared.formats.authorizations_csv import Problem

app = typer.Typer(help="What payers authorized.", no_args_is_help=True)

SHOWN = 40  # complaints that are printed; all are in --json


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A CSV file with a header line, in UTF-8.")
    ],
    customer: Annotated[str, typer.Option(help="Whose authorizations they are.")],
    dry_run: Annotated[bool, typer.Option(help="Check the file, and store nothing.")] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Store the authorizations of a CSV file: all of them, or none. What is wrong is shown by row and column.

    Columns: payer, number, procedure, expires_on; and if you like member_id, patient_name, born_on, status,
    effective_on, units_authorized, units_used, stated_on. Dates are YYYY-MM-DD. The same file twice changes nothing.
    """
    from cli.progress import counting
    from cli.workspace import opened
    from shared.formats.authorizations_csv import read_authorizations

    body, now = file.read_bytes(), datetime.now(UTC)
    with counting("Checking", body.count(b"\n")) as seen:
        found = read_authorizations(body, on=now.date(), seen=lambda: seen(1))
    if found.problems:
        _complain(file, found.problems, as_json=as_json)
    with opened(home) as workspace:
        who = workspace.customer(customer)
        if not dry_run:
            with counting("Storing", len(found.records)) as stored:
                _store(workspace, who.id, body, found.records, now, stored)
    if as_json:
        show_json({"customer": customer, "dry_run": dry_run, "rows": len(found.records), "problems": []})
        return
    done = "would be stored" if dry_run else "are stored"
    console().print(f"{len(found.records)} authorizations of {customer} {done}.")


def _store(
    workspace: "Workspace",
    customer_id: UUID,
    body: bytes,
    records: "Sequence[Authorization]",
    now: datetime,
    stored: Callable[[int], None],
) -> None:
    """Store the rows, and publish what they cause. A run that died in between is made whole by the next."""
    import asyncio

    from shared.handlers.import_authorizations import CONSUMER, import_authorizations
    from shared.runtime.consumer import relay

    part = workspace.app
    emitted = import_authorizations(customer_id, body, records, record=part.record, now=now, stored=stored)
    asyncio.run(relay(emitted, part, consumer=CONSUMER))


def _complain(file: Path, problems: "Sequence[Problem]", *, as_json: bool) -> None:
    if as_json:
        show_json({"rows": 0, "problems": [asdict(problem) for problem in problems]})
    else:
        show_table([">row", "column", "problem"], [(p.row, p.column, p.problem) for p in problems[:SHOWN]])
    raise Failure(f"{file}: {len(problems)} problems; nothing was stored")
