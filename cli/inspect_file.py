"""`upstream inspect`: what a payer's file says, and what is wrong with it, without sending it anywhere."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson
from cli.output import console, show_json, show_table

if TYPE_CHECKING:
    from shared.formats.account import Account

MOST_ROWS = 200


def inspect(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    format_: Annotated[str, typer.Option("--format", help="Instead of what the file looks like.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Print a readable account of any payer's file. Exits 1 if it would become a dead letter. Shows no patient."""
    from cli.payload import content_type
    from shared.domain.claims import Delivery
    from shared.formats.account import account_of

    body = file.read_bytes()
    account = account_of(Delivery(body, content_type(file, body), format_))
    if as_json:
        show_json(asdict(account))
    else:
        _show(file, account)
    if not account.whole:
        raise typer.Exit(1)


def _show(file: Path, account: "Account") -> None:
    from shared.domain.money import dollars
    from shared.formats.account import findings_of

    out = console()
    if account.format:
        out.print(f"{file.name}: {account.format} ({account.because})")
    shown = account.records[:MOST_ROWS]
    show_table(["kind", "number", "says"], [(told.kind, told.number, told.says) for told in shown])
    if len(account.records) > len(shown):
        out.print(f"… and {len(account.records) - len(shown)} more; --json has all")
    sums = [f"{name}: {dollars(n) if name.endswith('_cents') else n}" for name, n in account.totals.items()]
    out.print("\n" + ("; ".join(sums) or "It says nothing that is kept."))
    findings = findings_of(account)
    if findings:
        rows = [
            (f["severity"], f["code"], f["line"] or "-", f["place"], f["detail"])
            for f in findings[:MOST_ROWS]
        ]
        show_table(
            ["severity", "finding", ">line", "place", "what"], rows, title=f"\n{len(findings)} findings"
        )
    for code, count in account.unknown_codes.items():
        out.print(f"unknown code: {code} ({count} times)")
    if not account.whole:
        line = f", line {account.refused_line}" if account.refused_line else ""
        out.print(f"\nIt would become a dead letter: {account.refusal}{line}")
