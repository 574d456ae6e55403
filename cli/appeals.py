"""`upstream appeals`: one letter for several claims, and how appeals went."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.appeals_consolidate import consolidate
from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure

app = typer.Typer(help="Appeals: for several claims at once, and how they went.", no_args_is_help=True)
app.command("consolidate")(consolidate)


class Answer(StrEnum):
    """What a payer can answer."""

    OVERTURNED = "overturned"
    PARTLY = "partly"
    UPHELD = "upheld"


@app.command()
def stats(
    customer: Annotated[str, typer.Option(help="Only this customer's.")] = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show overturn rate, dollars and days, by payer, reason and letter. A payment since the appeal is an answer."""
    from cli.action_views import show_stats
    from cli.workspace import opened
    from shared.adapters.postgres.appeal_desk import PostgresAppealDesk

    with opened(home) as workspace:
        customer_id = workspace.customer(customer).id if customer else None
        found = PostgresAppealDesk(workspace.engine).stats(customer_id=customer_id)
    show_stats(found, as_json=as_json)


@app.command()
def record(
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help="The appeal's action id, or how it begins.")
    ],
    outcome: Annotated[Answer, typer.Option(help="What the payer answered.")],
    claim: Annotated[
        str, typer.Option(help="Only of this claim, by its number, where the letter covers several.")
    ] = "",
    recovered: Annotated[str, typer.Option(help="Dollars that it brought, such as 412.50.")] = "",
    on: Annotated[
        str, typer.Option(help="The day of the answer, such as 2026-02-03; today if left out.")
    ] = "",
    by: Annotated[str, typer.Option("--by", help="Who says so; your login, if nothing else.")] = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Note a payer's answer to an appeal that came by letter or telephone."""
    import getpass
    from datetime import UTC, date, datetime

    from cli.workspace import opened
    from shared.adapters.postgres.appeal_desk import PostgresAppealDesk
    from shared.domain.money import cents
    from shared.runtime.errors import PermanentError

    try:
        amount = cents(recovered) if recovered else None
        day = date.fromisoformat(on) if on else datetime.now(UTC).date()
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    with opened(home) as workspace:
        desk = PostgresAppealDesk(workspace.engine)
        found = desk.beginning_with(action)
        if len(found) != 1:
            raise Failure(
                f"{len(found) or 'no'} actions that filed an appeal have an id that begins with {action!r}"
            )
        who = by or getpass.getuser()
        try:
            answered = desk.answer(
                found[0], outcome.value, claim_number=claim, recovered_cents=amount, on=day, by=who
            )
        except PermanentError as exc:
            raise Failure(exc.detail) from exc
    typer.echo(f"{found[0]}: {outcome.value} ({answered} appeals)")
