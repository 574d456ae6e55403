"""What every benchmark has in common: its arguments, its table, its JSON file."""

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. name: dotted, stable between versions, so that runs can be compared."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a benchmark was asked for. quick: a smoke test, whose figures mean little."""

    quick: bool
    json: Path | None


def arguments(name: str, what: str) -> Arguments:
    """Return the command line's wishes."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=what)
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    given = parser.parse_args()
    return Arguments(quick=given.quick, json=given.json)


def report(name: str, figures: Sequence[Figure], to: Path | None, *, title: str) -> None:
    """Print the figures, and write them to `to` if it is given."""
    table = Table(title=title)
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("unit")
    for figure in figures:
        table.add_row(figure.name, f"{figure.value:,.3f}".rstrip("0").rstrip("."), figure.unit)
    Console().print(table)
    if to is not None:
        content = {"benchmark": name, "figures": [asdict(figure) for figure in figures]}
        to.write_text(json.dumps(content, indent=2) + "\n")


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def median(values: Sequence[float]) -> float:
    """Return the median; 0 for no values."""
    return statistics.median(values) if values else 0.0
