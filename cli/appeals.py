"""`upstream appeals`: how appeals went."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure

app = typer.Typer(help="How appeals went.", no_args_is_help=True)


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
    from shared.adapters.postgres.action_desk import PostgresActionDesk

    with opened(home) as workspace:
        customer_id = workspace.customer(customer).id if customer else None
        found = PostgresActionDesk(workspace.engine).appeal_stats(customer_id=customer_id)
    show_stats(found, as_json=as_json)


@app.command()
def record(
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help="The appeal's action id, or how it begins.")
    ],
    outcome: Annotated[Answer, typer.Option(help="What the payer answered.")],
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
    from shared.adapters.postgres.action_desk import PostgresActionDesk
    from shared.domain.money import cents

    try:
        amount = cents(recovered) if recovered else None
        day = date.fromisoformat(on) if on else datetime.now(UTC).date()
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    with opened(home) as workspace:
        desk = PostgresActionDesk(workspace.engine)
        found = desk.beginning_with(action)
        if len(found) != 1:
            raise Failure(f"{len(found) or 'no'} actions have an id that begins with {action!r}")
        if not desk.answer_appeal(
            found[0], outcome.value, recovered_cents=amount, on=day, by=by or getpass.getuser()
        ):
            raise Failure("no appeal was filed by that action")
    typer.echo(f"{found[0]}: {outcome.value}")
