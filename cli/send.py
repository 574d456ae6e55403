"""`upstream send`: posts files the way a payer would."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.hints import command
from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, console, show_json, show_table

if TYPE_CHECKING:
    from cli.workspace import Workspace
    from shared.ports.connections import Connection

SAMPLES: Final = "samples"  # the connection that `serve` and `demo` make for files sent by hand
TIMEOUT_S: Final = 30


@dataclass(frozen=True, slots=True)
class Target:
    """Where to post, as whom."""

    url: str
    connection: "Connection"
    secret: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one post. reply: the answer's body."""

    file: str
    status: int
    event_id: str
    code: str
    delivery_id: str
    duration_ms: float
    reply: Mapping[str, Any]

    @property
    def taken(self) -> bool:
        """Whether the delivery is durable."""
        return self.status in (200, 202)


def send(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False)],
    connection: Annotated[str, typer.Option(help="The id of the connection to send over.")] = "",
    provider: Annotated[str, typer.Option(help="The provider whose connection it is.")] = "",
    delivery_id: Annotated[str, typer.Option(help="Instead of a new one; for one file.")] = "",
    url: Annotated[str, typer.Option(help="Of another pipeline than the one that runs here.")] = "",
    repeat: Annotated[int, typer.Option(min=1, help="Post each file so often under one id.")] = 1,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Sign files with a connection's secret and post them. Exits 1 unless all were taken."""
    from cli.workspace import opened

    if delivery_id and len(files) > 1:
        raise typer.BadParameter("one delivery id is for one file", param_hint="--delivery-id")
    with opened(home) as workspace:
        target = _target(workspace, connection, provider, url)
    sent = [found for path in files for found in _deliver(path, target, delivery_id, repeat)]
    if as_json:
        show_json([asdict(found) for found in sent])
    else:
        _show(sent, home)
    if not all(found.taken for found in sent):
        raise typer.Exit(1)


def _target(workspace: "Workspace", connection: str, provider: str, url: str) -> Target:
    if not url and workspace.running is None:
        raise Failure("no pipeline is running here: start one with `upstream serve`, or name its --url")
    chosen = workspace.connection(connection) if connection else _of_provider(workspace, provider or SAMPLES)
    secret = next(iter(workspace.app.secret_store.versions(chosen.secret_name)), "")
    if not secret:
        raise Failure(f"the secret of connection {chosen.id} is not here")
    return Target(url or (workspace.running.url if workspace.running else ""), chosen, secret)


def _of_provider(workspace: "Workspace", provider: str) -> "Connection":
    known = [c for c in workspace.app.registry.list() if c.enabled]
    found = [c for c in known if c.provider == provider]
    if len(found) == 1:
        return found[0]
    providers = ", ".join(sorted({c.provider for c in known})) or "none"
    raise Failure(
        f"{len(found) or 'no'} enabled connections of provider {provider!r}: name one with --connection"
        f" (see `upstream connections list`) or another --provider ({providers})"
    )


def _deliver(path: Path, target: Target, delivery_id: str, repeat: int) -> list[Sent]:
    from uuid import uuid4

    from cli.payload import content_type

    body = path.read_bytes()
    chosen_id = delivery_id or uuid4().hex
    headers = {**_signature(target, chosen_id, body), "Content-Type": content_type(path, body)}
    return [_post(str(path), target, chosen_id, headers, body) for _ in range(repeat)]


def _signature(target: Target, delivery_id: str, body: bytes) -> dict[str, str]:
    from shared.runtime.signatures import sign

    try:
        return sign(target.connection.scheme, delivery_id, body, target.secret, datetime.now(UTC))
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--delivery-id") from exc


def _post(name: str, target: Target, delivery_id: str, headers: Mapping[str, str], body: bytes) -> Sent:
    from cli.connections import path_of
    from cli.http_post import post

    started = time.perf_counter()
    status, reply = post(target.url + path_of(target.connection), headers, body, timeout_s=TIMEOUT_S)
    return Sent(
        file=name,
        status=status,
        event_id=str(reply.get("event_id", "")),
        code=str(reply.get("status", "")) if status < 300 else str(reply.get("code", "")),  # noqa: PLR2004
        delivery_id=delivery_id,
        duration_ms=round((time.perf_counter() - started) * 1000, 1),
        reply=reply,
    )


def _show(sent: list[Sent], home: Path) -> None:
    show_table(
        [">status", "", "event", ">ms", "file"],
        [(s.status, s.code, s.event_id or "-", s.duration_ms, s.file) for s in sent],
    )
    if sent[-1].event_id:
        console().print(f"\nWhat became of it:  {command('trace', sent[-1].event_id, home=home)}")
