"""`upstream migrate`: brings the record up to date, before the code that needs it is deployed."""

from dataclasses import asdict
from typing import Annotated

import typer

from cli.options import AsJson
from cli.output import Failure, show_json, tell


def migrate(
    owner_role: Annotated[
        str,
        typer.Option(help="Owns the tables; the login has to be a member of it. The login itself, if empty."),
    ] = "",
    app_login: Annotated[
        list[str] | None,
        typer.Option(help="A subscriber's: a member of upstream_app, bound to a customer at a time."),
    ] = None,
    scheduler_login: Annotated[
        list[str] | None,
        typer.Option(help="A job's: a member of upstream_scheduler, who lists customers and no more."),
    ] = None,
    operator_login: Annotated[
        list[str] | None,
        typer.Option(
            help="An engineer's: a member of upstream_operator, who sees every customer, and is audited."
        ),
    ] = None,
    smoke_login: Annotated[
        list[str] | None,
        typer.Option(
            help="Of `upstream smoke`: a member of upstream_smoke, who sees one synthetic customer."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Apply the migrations not applied yet, and make exactly these log-ins members of the roles. Can be run again.

    Works on the database that the environment names (`UPSTREAM_DATABASE`), as `UPSTREAM_DATABASE_USER`.
    """
    from shared.adapters.postgres.engine import build_engine
    from shared.adapters.postgres.migrate import admit, audit, head, migrate
    from shared.runtime.settings import from_environment

    members = {
        "upstream_app": app_login,
        "upstream_scheduler": scheduler_login,
        "upstream_operator": operator_login,
        "upstream_smoke": smoke_login,
    }
    settings = from_environment()
    if not settings.database:
        raise Failure("UPSTREAM_DATABASE names no database; the local one is migrated when it starts")
    engine = build_engine(
        settings,
        user=settings.database_user,
        database=settings.database_name,
        session={"role": owner_role} if owner_role else {},
        deadline_s=None,
    )
    try:
        migrate(engine)
        changes = {role: admit(engine, role=role, logins=logins or []) for role, logins in members.items()}
        audited = audit(engine, logins=operator_login or [])
        revision = head(engine)
    finally:
        engine.dispose()
    if as_json:
        show_json(
            {
                "revision": revision,
                "members": {role: asdict(change) for role, change in changes.items()},
                "audited": audited,
            }
        )
        return
    tell(f"the record is at {revision}")
    for role, change in changes.items():
        tell(
            f"{role}: added {', '.join(change.added) or 'nobody'}; removed {', '.join(change.removed) or 'nobody'}"
        )
    tell("operators are audited" if audited else "operators are not audited: the server has no pgAudit")
