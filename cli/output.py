"""What commands print: tables for people, JSON for programs, complaints on standard error."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from rich.console import Console

WIDTH: Final = 150  # where there is no terminal to ask


class Failure(Exception):  # noqa: N818 - it ends a command; nobody handles it but the entry point
    """The command did not succeed, for a reason that one line tells."""


def show_json(value: object) -> None:
    """Print a value as JSON; what JSON has no form for as text."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")
    sys.stdout.flush()


def console(*, stderr: bool = False) -> "Console":
    """Return where people read. Text is printed as it is: nothing in it is taken for a colour, a number or a path."""
    from rich.console import Console

    out = Console(highlight=False, markup=False, stderr=stderr, soft_wrap=True)
    if not out.is_terminal:
        out.width = WIDTH
    return out


def tell(text: str) -> None:
    """Print one line to standard error."""
    line = " ".join(text.split())
    sys.stderr.write(f"upstream: {line}\n")


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print a table. Columns that begin with `>` are aligned to the right; only the last one is broken into lines."""
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for at, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if column.startswith(">") else "left"
        table.add_column(
            column.removeprefix(">"), justify=justify, no_wrap=at < len(columns) - 1, overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    out = console()
    # Rather a line that the terminal breaks than an id that is cut short.
    out.width = max(
        out.width, min(WIDTH, out.measure(table, options=out.options.update(width=WIDTH)).maximum)
    )
    out.print(table)
