"""`upstream customers`: who they are, and taking a customer's patients out when it leaves."""

import getpass
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, console, show_json, show_table, tell

if TYPE_CHECKING:
    from cli.workspace import Workspace
    from shared.handlers.purge_customer import Means, Purge
    from shared.ports.purge import PatientObjects, PurgeDesk

app = typer.Typer(help="Practices, and what is kept of their patients.", no_args_is_help=True)


@app.command("list")
def list_(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Show all customers: their connections, rules in force, and when they were purged."""
    from cli.workspace import opened
    from shared.handlers.purge_customer import connections_of

    with opened(home) as workspace:
        in_force = [rule.customer_id for rule in workspace.desk.rules()]
        rows = [
            {
                "id": customer.id,
                "name": customer.name,
                "connections": sum(c.enabled for c in connections_of(customer.id, workspace.app.registry)),
                "rules": in_force.count(customer.id),
                "purged_at": next(
                    (run.ended_at for run in _desk(workspace).runs(customer.id) if run.ended_at), None
                ),
            }
            for customer in workspace.desk.customers()
        ]
    if as_json:
        show_json(rows)
        return
    show_table(
        ["id", ">connections", ">rules", "purged", "customer"],
        [
            (
                r["id"],
                r["connections"],
                r["rules"],
                f"{r['purged_at']:%Y-%m-%d}" if r["purged_at"] else "-",
                r["name"],
            )
            for r in rows
        ],
    )


@app.command()
def purge(
    customer: Annotated[str, typer.Argument(metavar="NAME", help="Whose patients' data is to go.")],
    why: Annotated[str, typer.Option(help="The contract's end, a request: recorded; required to act.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who does it; your login, if nothing else.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, it only counts.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count, whatever else is said.")] = False,
    settle: Annotated[
        float, typer.Option(min=0, help="Seconds until running functions know that connections are disabled.")
    ] = 60,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Remove a customer's patient data; keep the audit trail. Without --yes it counts what would go, table by table.

    Disables the customer's connections and stops its rules first. Interrupted, the same command goes on. What was under
    way in the broker can still come in for seven days: run it again then. Backups lose it after 30 days.
    """
    from uuid import uuid4

    from cli.workspace import opened
    from shared.handlers.purge_customer import plan_purge, purge_customer
    from shared.ports.purge import PurgeRun

    acts = yes and not dry_run
    if acts and not why.strip():
        raise typer.BadParameter("say why: it is recorded", param_hint="--why")
    with opened(home) as workspace:
        found = workspace.customer(customer)
        means = _means(workspace, settle_s=settle)
        if acts:
            run = PurgeRun(uuid4(), found.id, by=by or getpass.getuser(), why=why)
            done = purge_customer(run, means=means, tell=_progress)
        else:
            done = plan_purge(found.id, means=means)
    _show(customer, done, acts=acts, as_json=as_json)


def _desk(workspace: "Workspace") -> "PurgeDesk":
    from shared.adapters.postgres.purge import PostgresPurgeDesk

    return PostgresPurgeDesk(workspace.engine)


def _means(workspace: "Workspace", *, settle_s: float) -> "Means":
    from shared.handlers.purge_customer import Means

    return Means(
        desk=_desk(workspace),
        registry=workspace.app.registry,
        operators=workspace.desk,
        objects=_objects(workspace),
        settle=lambda: time.sleep(settle_s),
    )


def _objects(workspace: "Workspace") -> "PatientObjects":
    from shared.adapters.patient_objects import BucketPatientObjects, FilePatientObjects

    settings = workspace.settings
    if settings.runtime != "gcp":
        return FilePatientObjects(settings.home / "evidence")
    if not settings.project_id:
        raise Failure("UPSTREAM_PROJECT names no project")
    # As terraform/modules/app/storage.tf names it.
    return BucketPatientObjects(f"{settings.project_id}-payloads", project_id=settings.project_id)


def _progress(name: str, count: int) -> None:
    if count:
        tell(f"{name}: {count}")


def _show(customer: str, done: "Purge", *, acts: bool, as_json: bool) -> None:
    from shared.domain.data_map import FATES

    if as_json:
        show_json({"customer": customer, "dry_run": not acts, **asdict(done)})
        return
    out = console()
    disabled = "disabled" if acts else "would be disabled"
    out.print(f"connections that {'were' if acts else 'are'} open: {len(done.connections)}, {disabled}")
    show_table(
        ["table", ">rows", ""],
        [(name, count, FATES.get(name, "removed")) for name, count in done.rows.items() if count],
        title="Purged" if acts else "Would be purged; nothing was changed, --yes and --why do it",
    )
