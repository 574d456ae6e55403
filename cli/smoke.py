"""`upstream smoke`: whether an event comes through a pipeline that is said to work."""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, show_json, show_table, tell

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cli.workspace import Workspace
    from shared.handlers.smoke.run import Smoke
    from shared.ports.canary import Canary


def smoke(
    url: Annotated[
        str,
        typer.Argument(metavar="[URL]", help="Where it takes deliveries; of the pipeline that runs here."),
    ] = "",
    timeout: Annotated[float, typer.Option(min=1, max=3600, help="Seconds for all of it.")] = 60,
    times: Annotated[
        int, typer.Option(min=1, max=60, help="So many events, one after another: for a canary release.")
    ] = 1,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Send one event of a synthetic customer through every function, wait for its audit row, and clean up.

    Exits 0 only if the audit row was there and all that the event left is removed again.
    """
    from cli.workspace import opened
    from shared.handlers.smoke.run import Means, Sending
    from shared.handlers.smoke.run import smoke as carry_out
    from shared.ports.clock import system_clock
    from shared.runtime.canary import canary

    with opened(home) as workspace, _engine(workspace) as engine:
        from shared.adapters.postgres.canary import PostgresCanaryDesk
        from shared.adapters.postgres.history import PostgresHistory

        reached, secret = url or _running(workspace), _secret(workspace, canary())
        means = Means(
            desk=PostgresCanaryDesk(engine),
            history=PostgresHistory(engine),
            post=_post,
            clock=system_clock,
            monotonic_s=time.monotonic,
            sleep=time.sleep,
        )
        ran, came_of_it = 0, None
        while came_of_it is None or (came_of_it.ok and ran < times):
            ran += 1
            sending = Sending(
                url=reached,
                secret=secret,
                delivery_id=uuid4().hex,
                trace_parent=f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
                timeout_s=timeout,
            )
            came_of_it = carry_out(sending, canary(), means=means)
    _show(came_of_it, reached, ran, as_json=as_json)
    if not came_of_it.ok:
        raise typer.Exit(1)


def _running(workspace: "Workspace") -> str:
    if workspace.running is None:
        raise Failure("no pipeline is running here: start one with `upstream serve`, or name a URL")
    return workspace.running.url


@contextmanager
def _engine(workspace: "Workspace") -> "Iterator[Engine]":
    """Yield the record's connections, as the role that sees the synthetic customer only."""
    from shared.adapters.postgres.engine import build_engine

    # On Google Cloud the canary's own identity logs in, a member of that role.
    user = workspace.settings.database_user if workspace.settings.runtime == "gcp" else "upstream_smoke"
    settings = replace(workspace.settings, pool_size=2)
    engine = build_engine(settings, user=user, database=settings.database_name)
    try:
        yield engine
    finally:
        engine.dispose()


def _secret(workspace: "Workspace", canary: "Canary") -> str:
    """Return what the canary signs with. Locally it and its connection are made when they are not there.

    On Google Cloud Terraform made the connection and `terraform/deploy.sh` the secret: this identity may do neither.
    """
    name = canary.connection.secret_name
    if workspace.settings.runtime == "gcp":
        found = workspace.app.secret_store.versions(name)
        if not found:
            raise Failure(f"secret {name} has no version: `terraform/deploy.sh smoke ENV` adds one")
        return found[0]
    from cli.connections import new_secret

    if workspace.app.registry.get(canary.connection.id) is None:
        workspace.app.registry.put(canary.connection)
    return workspace.secrets.ensure(name, new_secret())


def _post(
    url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
) -> tuple[int, Mapping[str, Any]]:
    from cli.http_post import post
    from shared.handlers.smoke.run import UnreachableError

    try:
        return post(url, headers, body, timeout_s=max(timeout_s, 0.1))
    except Failure as exc:
        raise UnreachableError(str(exc)) from exc


def _show(came_of_it: "Smoke", url: str, events: int, *, as_json: bool) -> None:
    """Print the last test. events: how many were sent, the last one included."""
    if as_json:
        show_json({"ok": came_of_it.ok, "url": url, "events": events, **asdict(came_of_it)})
    else:
        show_table(
            ["step", "", ">ms", "code"],
            [(s.step, "ok" if s.ok else "FAILED", s.ms, s.code) for s in came_of_it.steps],
        )
    last = came_of_it.steps[-1]
    if not last.ok:
        event = f"; event {came_of_it.event_id}" if came_of_it.event_id else ""
        tell(f"{last.step}: {last.detail or last.code} ({last.code}){event}")
