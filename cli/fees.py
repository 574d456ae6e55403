"""`upstream fees`: what contracts with payers say that procedures are worth."""

import csv
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, console, show_json

if TYPE_CHECKING:
    from shared.ports.operators import ContractedFee

app = typer.Typer(help="What contracts with payers say that procedures are worth.", no_args_is_help=True)

COLUMNS: Final = ("payer", "procedure", "effective_from", "fee")
MAX_PROCEDURE: Final = 48


@app.command()
def load(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help=f"CSV with {', '.join(COLUMNS)}.")
    ],
    customer: Annotated[str, typer.Option(help="Whose contracts they are.")],
    dry_run: Annotated[bool, typer.Option(help="Check the file, and store nothing.")] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Store contracted fees, all of a file or none. A fee holds from its day until a later one of its procedure."""
    from cli.workspace import opened

    with file.open(encoding="utf-8-sig", newline="") as text:
        fees = list(read_fees(text))
    if not dry_run:
        with opened(home) as workspace:
            workspace.desk.load_fees(workspace.customer(customer).id, fees)
    if as_json:
        show_json({"customer": customer, "dry_run": dry_run, "fees": [asdict(fee) for fee in fees]})
    else:
        payers = len({fee.payer_key for fee in fees})
        console().print(f"{'Checked' if dry_run else 'Stored'} {len(fees)} fees of {payers} payers.")


def read_fees(lines: Iterator[str]) -> "Iterator[ContractedFee]":
    """Yield the fees of a CSV file in order. payer: its name as remittances spell it.

    Raises:
        Failure: a column is missing, or a line says something that is no fee; with its number.
    """
    from shared.domain.claims import Party
    from shared.domain.money import cents
    from shared.ports.operators import ContractedFee

    reader = csv.DictReader(lines)
    if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
        raise Failure(f"line 1: no column {', '.join(missing)}; the columns are {', '.join(COLUMNS)}")
    seen: dict[tuple[str, str, date], int] = {}
    for row in reader:
        line = reader.line_num
        payer, procedure = Party(name=(row["payer"] or "").strip()).key, (row["procedure"] or "").strip()
        if not payer or not procedure or len(procedure) > MAX_PROCEDURE:
            raise Failure(f"line {line}: a payer or procedure is missing, or longer than any real one")
        try:
            since, fee = (
                date.fromisoformat((row["effective_from"] or "").strip()),
                cents((row["fee"] or "").strip()),
            )
        except ValueError as exc:
            raise Failure(
                f"line {line}: effective_from is no date (2026-01-31), or fee no amount (92.50)"
            ) from exc
        if fee < 0:
            raise Failure(f"line {line}: a fee below nothing")
        if first := seen.get((payer, procedure, since)):
            raise Failure(f"line {line}: says what line {first} says already: the payer, procedure and day")
        seen[payer, procedure, since] = line
        yield ContractedFee(payer, procedure, since, fee)
