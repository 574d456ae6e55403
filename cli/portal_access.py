"""`upstream portals breakers` and `enable`: portals that refused our credentials, and letting them be used again."""

import asyncio
import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure


def breakers(
    customer: Annotated[str, typer.Option(help="Only this customer's.")] = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show portals where our credentials were refused: nobody signs in there until `enable`."""
    from cli.action_views import show_breakers
    from cli.workspace import opened
    from shared.adapters.postgres.action_desk import PostgresActionDesk

    with opened(home) as workspace:
        customer_id = workspace.customer(customer).id if customer else None
        found = PostgresActionDesk(workspace.engine).breakers(customer_id=customer_id)
    show_breakers(found, as_json=as_json)


def enable(
    portal: Annotated[str, typer.Argument(help="Its name, such as uhc; `breakers` shows it.")],
    customer: Annotated[str, typer.Option(help="For whom.")],
    why: Annotated[str, typer.Option(help="What was put right. Recorded.")],
    by: Annotated[str, typer.Option("--by", help="Who says so; your login, if nothing else.")] = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Let a customer's actions sign in to a portal again, and send those that wait for it on their way."""
    from cli.workspace import opened
    from shared.adapters.postgres.action_desk import PostgresActionDesk
    from shared.handlers.action_desk import publish_waiting, wake_actions

    if not why.strip():
        raise typer.BadParameter("say what was put right: it is recorded", param_hint="--why")
    with opened(home) as workspace:
        desk, now = PostgresActionDesk(workspace.engine), datetime.now(UTC)
        customer_id = workspace.customer(customer).id
        waiting = desk.enable(customer_id, portal, by=by or getpass.getuser(), why=why, at=now)
        if waiting is None:
            raise Failure(f"{portal} is not disabled for {customer}")
        wake_actions(desk=desk, now=now)
        app = workspace.app
        asyncio.run(publish_waiting(desk=desk, record=app.record, publisher=app.publisher))
    typer.echo(f"{portal} is enabled for {customer}; {waiting} actions go on")
