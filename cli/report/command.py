"""`upstream report payer NAME`: tables here, charts in a page."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, console, show_json, show_table

if TYPE_CHECKING:
    from cli.report.history import PayerHistory
    from cli.workspace import Workspace

app = typer.Typer(help="What payers did over time.", no_args_is_help=True)


@app.callback()
def main() -> None:
    """Keep `payer` a command of its own, so that others can follow."""


@app.command()
def payer(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The payer, as its claims name it, or how that begins.")
    ],
    customer: Annotated[str, typer.Option(help="Whose claims.")],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with charts, fit to be printed.")
    ] = None,
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Up to this day; today, if not given.")
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show a payer's denial rate, days to a decision, changes found, reasons and dollars, over half a year."""
    from cli.report.history import payer_history
    from cli.workspace import opened

    day = (on or datetime.now(UTC)).date()
    with opened(home) as workspace:
        who = workspace.customer(customer)
        history = payer_history(workspace.engine, who.id, who.name, _key(workspace, who.id, name), day)
    if html is not None:
        from cli.report.page import page

        html.write_text(page(history), encoding="utf-8")
    if as_json:
        show_json(asdict(history))
        return
    _show(history)
    if html is not None:
        console().print(f"\nWritten to {html}.")


def _key(workspace: "Workspace", customer_id: object, name: str) -> str:
    """Return the payer's key.

    Raises:
        Failure: no payer of the customer's is called so, or several are.
    """
    from uuid import UUID

    from cli.report.history import payers
    from shared.domain.claims import Party

    assert isinstance(customer_id, UUID)  # noqa: S101 - for the type
    known = payers(workspace.engine, customer_id)
    wanted = Party(name).key
    found = [key for key in known if key == wanted] or [key for key in known if key.startswith(wanted)]
    if len(found) != 1:
        raise Failure(f"{len(found) or 'no'} payers are called {name!r}; known: {', '.join(known) or 'none'}")
    return found[0]


def _show(history: "PayerHistory") -> None:
    from cli.report.page import changes, reasons, summary, weeks

    console().print(
        f"{history.payer}, {history.customer}, half a year up to {history.on}\n\n{summary(history)}"
    )
    for title, table in (("Weeks", weeks), ("Changes found", changes), ("Reasons of denials", reasons)):
        found = table(history)
        show_table(found.columns, found.rows, title=f"\n{title}")
    told = [speed for speed in history.speeds if speed.median_days is not None]
    if told:
        console().print(f"\nMedian days to a decision, week of {told[-1].begins_on}: {told[-1].median_days}")
