"""`upstream fetch`: what senders only named, and where it is fetched from."""

import sys
from collections import Counter
from dataclasses import asdict, replace
from enum import StrEnum
from typing import Annotated

import typer

from cli.cloud_secrets import enter
from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, show_json, show_table

app = typer.Typer(help="What senders only name, and its fetching.", no_args_is_help=True)


class State(StrEnum):
    """How it stands with something that was named."""

    WAITING = "waiting"
    FETCHED = "fetched"
    GIVEN_UP = "given_up"


@app.command("list")
def list_(
    customer: Annotated[str, typer.Option(help="Only this customer's.")] = "",
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show what was named, the newest first. References are left out: they may name a patient's record."""
    from cli.workspace import opened
    from shared.adapters.postgres.fetches import PostgresFetchList

    with opened(home) as workspace:
        customer_id = workspace.customer(customer).id if customer else None
        found = PostgresFetchList(workspace.engine).list(
            customer_id=customer_id, state=state.value if state else "", limit=limit
        )
    if as_json:
        show_json([asdict(entry) for entry in found])
        return
    show_table(
        ["id", "kind", "why", "state", ">attempts", "code", "not before", "connection", "customer"],
        [
            (
                *(str(e.id)[:8], e.kind, e.reason, e.state, e.attempts, e.code or "-"),
                "-" if e.next_at is None else f"{e.next_at:%Y-%m-%d %H:%M}",
                *("not known" if e.connection_id is None else str(e.connection_id)[:8], e.customer),
            )
            for e in found
        ],
    )


@app.command()
def connect(
    identity: Annotated[str, typer.Argument(metavar="ID", help="A connection's id, or how it begins.")],
    url: Annotated[
        str,
        typer.Option(
            help="Below it is what the sender names, such as https://fhir.example.org/r4. Empty: nowhere."
        ),
    ],
    token: Annotated[
        bool,
        typer.Option(
            "--token",
            help="Read the token or key for it from standard input, and store it; on Google Cloud print how.",
        ),
    ] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Say where what a connection's sender only names is fetched from."""
    from cli.workspace import opened
    from shared.adapters.public_only import check_url
    from shared.runtime.errors import PermanentError

    with opened(home) as workspace:
        connection = workspace.connection(identity)
        if url:
            try:
                check_url(url, "public" if workspace.settings.runtime == "gcp" else "any")
            except PermanentError as exc:
                raise Failure(exc.detail) from exc
        name = f"fetch-{connection.id}"
        if token and workspace.writes_secrets:
            workspace.secrets.add_version(name, sys.stdin.readline().strip())
        workspace.app.registry.put(replace(connection, fetch_url=url, fetch_secret_name=name if url else ""))
        typer.echo(f"{connection.id}: {url or 'nothing is fetched'}")
        if token and not workspace.writes_secrets:
            typer.echo(
                f'Its token: unless it is there, "{name}" into fetch_secrets of terraform.tfvars, and deploy. Then:'
            )
            for command in enter(name, project_id=workspace.settings.project_id):
                typer.echo(f"  {command}")


@app.command()
def run(
    most: Annotated[int, typer.Option(min=1, max=10_000, help="So many at most.")] = 500,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Fetch what is due, of connections that say where from. Safe at any time, and as often as you like."""
    import asyncio

    from cli.workspace import opened
    from shared.adapters.fetching import HttpFetcher
    from shared.adapters.postgres.fetches import PostgresFetchList
    from shared.handlers.fetch_named import Fetching, fetch_named

    with opened(home) as workspace:
        app_ = workspace.app
        fetching = Fetching(
            named=PostgresFetchList(workspace.engine),
            fetcher=HttpFetcher("public" if workspace.settings.runtime == "gcp" else "any"),
            secrets=app_.secret_store,
            publisher=app_.publisher,
            payloads=app_.payloads,
            clock=app_.clock,
        )
        attempts = asyncio.run(fetch_named(app_.registry.list(), most=most, fetching=fetching))
    if as_json:
        show_json([asdict(attempt) for attempt in attempts])
        return
    counts = Counter(
        ("given_up" if a.given_up else "waiting" if a.code else "fetched", a.code) for a in attempts
    )
    show_table(
        ["state", "why", ">n"], [(state, code or "-", n) for (state, code), n in sorted(counts.items())]
    )
