"""`upstream appeals consolidate`: one letter for several claims of one payer and reason."""

import getpass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, show_json, show_table, tell
from shared.domain.money import dollars

if TYPE_CHECKING:
    from uuid import UUID

    from cli.workspace import Workspace
    from shared.handlers.consolidate_appeals import Letter


class Kind(StrEnum):
    """`shared/domain/cases.py`'s reasons, for the command line."""

    MEDICAL_NECESSITY = "medical_necessity"
    NO_AUTHORIZATION = "no_authorization"
    TIMELY_FILING = "timely_filing"
    BUNDLING = "bundling"
    UNDERPAYMENT = "underpayment"
    OTHER = "other"


def consolidate(
    customer: Annotated[str, typer.Option(help="Whose claims.")],
    payer: Annotated[str, typer.Option(help="The payer's key, such as blue-cross.")],
    reason: Annotated[Kind, typer.Option(help="Why they were not paid: the letter is the one for this.")],
    level: Annotated[int, typer.Option(min=1, max=5, help="The level of appeal.")] = 1,
    days: Annotated[int, typer.Option(min=1, max=1000, help="Decided within so many days.")] = 180,
    most: Annotated[
        int, typer.Option(min=2, max=200, help="So many claims a letter; the oldest first.")
    ] = 40,
    yes: Annotated[bool, typer.Option("--yes", help="File it. Without this it is only said.")] = False,
    by: Annotated[str, typer.Option("--by", help="Who asks for it; your login, if nothing else.")] = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """File one appeal for all claims that a payer did not pay for one reason and that are not under appeal.

    It goes through the ledger as any other action does: `upstream actions show` follows it.
    """
    from cli.workspace import opened
    from shared.adapters.postgres.appeal_desk import PostgresAppealDesk
    from shared.adapters.postgres.cases import PostgresCaseFiles
    from shared.handlers.consolidate_appeals import Wanted, gather

    since = datetime.now(UTC).date() - timedelta(days=days)
    with opened(home) as workspace:
        wanted = Wanted(workspace.customer(customer).id, payer, reason.value, since, level, most)
        desk, cases = PostgresAppealDesk(workspace.engine), PostgresCaseFiles(workspace.engine)
        letter = gather(wanted, desk=desk, cases=cases)
        action = _filed(letter, workspace, by or getpass.getuser()) if yes else None
    _show(letter, action, as_json=as_json)


def _filed(letter: "Letter", workspace: "Workspace", by: str) -> "UUID":
    import asyncio

    from shared.adapters.postgres.action_desk import PostgresActionDesk
    from shared.adapters.postgres.appeal_desk import PostgresAppealDesk
    from shared.handlers.action_desk import publish_waiting
    from shared.handlers.consolidate_appeals import file
    from shared.runtime.errors import PermanentError

    app = workspace.app
    try:
        action = file(letter, by=by, now=datetime.now(UTC), desk=PostgresAppealDesk(workspace.engine))
    except PermanentError as exc:
        raise Failure(exc.detail) from exc
    desk = PostgresActionDesk(workspace.engine)
    asyncio.run(publish_waiting(desk=desk, record=app.record, publisher=app.publisher))
    return action


def _show(letter: "Letter", action: "UUID | None", *, as_json: bool) -> None:
    if as_json:
        show_json(
            {
                "action": action,
                "claims": [
                    {"number": case.number, "carc": case.carc, "disputed_cents": case.disputed_cents}
                    for case in letter.cases
                ],
                "disputed_cents": letter.disputed_cents,
                "left_out": [{"number": one.number, "why": one.why} for one in letter.left_out],
            }
        )
        return
    show_table(
        ["claim", "reason", ">in dispute"],
        [(case.number, case.carc or "-", dollars(case.disputed_cents)) for case in letter.cases],
        title=f"{len(letter.cases)} claims, {dollars(letter.disputed_cents)}",
    )
    if letter.left_out:
        show_table(["claim", "why not"], [(one.number, one.why) for one in letter.left_out], title="Left out")
    if action is None:
        tell("nothing was filed: --yes does")
    else:
        typer.echo(f"{action}: requested")
