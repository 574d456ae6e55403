"""`upstream connections`: who may send, for which customer, signed how."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID, uuid4

import typer

from cli.cloud_secrets import make
from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, console, show_json, show_table

if TYPE_CHECKING:
    from cli.workspace import Workspace
    from shared.ports.connections import Connection

app = typer.Typer(help="Who may send, for which customer, signed how.", no_args_is_help=True)

PROVIDER: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
Identity = Annotated[str, typer.Argument(metavar="ID", help="A connection's id, or how it begins.")]


class SchemeName(StrEnum):
    """`shared/ports/connections.py`'s schemes, as the command line names them."""

    STANDARD = "standard-webhooks"
    HEX = "hmac-sha256-hex"


@dataclass(frozen=True, slots=True)
class Renewed:
    """A connection's new secret, or the commands that make one."""

    secret: str = ""
    commands: Sequence[str] = ()


def _provider(name: str) -> str:
    if not PROVIDER.fullmatch(name):
        raise typer.BadParameter("small letters, digits and hyphens: it is part of the URL")
    return name


@app.command()
def add(
    customer: Annotated[
        str, typer.Option(help="Whose connection it is; made if there is none of this name.")
    ],
    provider: Annotated[str, typer.Option(callback=_provider, help="Who sends: a name for the URL.")],
    scheme: Annotated[SchemeName, typer.Option(help="How deliveries are signed.")] = SchemeName.STANDARD,
    format_: Annotated[str, typer.Option("--format", help="How bodies are read.")] = "auto",
    rate: Annotated[int, typer.Option(min=1, help="Requests a minute.")] = 100,
    burst: Annotated[int, typer.Option(min=1, help="Requests at once.")] = 100,
    identity: Annotated[
        UUID | None, typer.Option("--id", help="Its id, if its secret was named before; a new one otherwise.")
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Let a payer, clearinghouse or EHR send for a customer.

    Prints its secret, this once; on Google Cloud the commands that make one.
    """
    from cli.workspace import opened
    from shared.ports.connections import Connection

    connection_id = identity or uuid4()
    with opened(home, create=True) as workspace:
        if identity and workspace.app.registry.get(identity):
            raise Failure(f"there is a connection {identity} already")
        connection = Connection(
            id=connection_id,
            customer_id=workspace.desk.ensure_customer(customer, new_id=uuid4()).id,
            provider=provider,
            scheme="standard-webhooks" if scheme is SchemeName.STANDARD else "hmac-sha256-hex",
            secret_name=f"connection-{connection_id}",
            format=format_,
            rate_per_min=rate,
            burst=burst,
        )
        renewed = renew(connection, workspace)
        workspace.app.registry.put(connection)
    _show(connection, renewed, as_json=as_json)


@app.command("list")
def list_(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Show all connections."""
    from cli.workspace import opened

    with opened(home) as workspace:
        names = {customer.id: customer.name for customer in workspace.desk.customers()}
        rows = [
            (connection, names.get(connection.customer_id, ""))
            for connection in workspace.app.registry.list()
        ]
    if as_json:
        show_json([_described(connection, customer=name) for connection, name in rows])
        return
    show_table(
        ["id", "provider", "scheme", "format", ">a minute", "enabled", "customer"],
        [
            (c.id, c.provider, c.scheme, c.format, c.rate_per_min, "yes" if c.enabled else "no", name)
            for c, name in sorted(rows, key=lambda row: (row[1], row[0].provider))
        ],
    )


@app.command()
def rotate(identity: Identity, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Make a new secret and print it, this once; on Google Cloud the commands that make one.

    The old one stays good until the next rotation; on Google Cloud until its version is disabled.
    """
    from cli.workspace import opened

    with opened(home) as workspace:
        connection = workspace.connection(identity)
        renewed = renew(connection, workspace)
    _show(connection, renewed, as_json=as_json)


@app.command()
def disable(identity: Identity, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Refuse what comes over a connection, within a minute."""
    _set_enabled(identity, home, enabled=False, as_json=as_json)


@app.command()
def enable(identity: Identity, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Take what comes over a connection again, within a minute."""
    _set_enabled(identity, home, enabled=True, as_json=as_json)


def new_secret() -> str:
    """Return 32 random bytes as Standard Webhooks writes them."""
    import base64
    import secrets

    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def renew(connection: "Connection", workspace: "Workspace") -> Renewed:
    """Give a connection a new secret, or say what to type for one where secrets are people's."""
    if not workspace.writes_secrets:
        return Renewed(commands=make(connection.secret_name, project_id=workspace.settings.project_id))
    secret = new_secret()
    workspace.secrets.add_version(connection.secret_name, secret)
    return Renewed(secret=secret)


def _set_enabled(identity: str, home: Home, *, enabled: bool, as_json: bool) -> None:
    from cli.workspace import opened

    with opened(home) as workspace:
        connection = replace(workspace.connection(identity), enabled=enabled)
        workspace.app.registry.put(connection)
    if as_json:
        show_json(_described(connection))
    else:
        console().print(f"{connection.id} is {'enabled' if enabled else 'disabled'}")


def _show(connection: "Connection", renewed: Renewed, *, as_json: bool) -> None:
    if as_json:
        told = {"secret": renewed.secret} if renewed.secret else {"commands": renewed.commands}
        show_json({**_described(connection), **told})
        return
    out = console()
    out.print(f"connection  {connection.id}")
    out.print(f"POST to     {path_of(connection)}")
    out.print(f"signed by   {connection.scheme}")
    if renewed.secret:
        out.print(f"secret      {renewed.secret}")
        out.print(
            "Keep the secret now: it is not shown again. A running pipeline takes it within ten seconds."
        )
        return
    out.print(
        "Nothing is taken until its secret has a value. Unless it is there: "
        f'"{connection.secret_name}" into connection_secrets of terraform.tfvars, and deploy. '
        "Then, where only you look on, and $secret is for its sender:"
    )
    for command in renewed.commands:
        out.print(f"  {command}")


def path_of(connection: "Connection") -> str:
    """Return where the connection's sender posts to."""
    return f"/v1/webhooks/{connection.provider}/{connection.id}"


def _described(connection: "Connection", **more: object) -> dict[str, object]:
    return {**asdict(connection), "path": path_of(connection), **more}
