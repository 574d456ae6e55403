"""Prints what a soak did and what it found."""

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from local.soak.deliveries import kind_of
from local.soak.play import Load, Run
from local.soak.verdict import Finding, broken
from shared.domain.money import dollars

WIDTH = 120  # where there is no terminal to ask


def show(load: Load, calm: Run, stormy: Run, found: Sequence[Finding]) -> None:
    """Print the tables: what was sent and broken, what it came to both times, and whatever is not as it must be."""
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = WIDTH
    out.print(_table("What was done", ("", ">undisturbed", ">disturbed"), _done(load, calm, stormy)))
    out.print(_table("What it came to", ("", ">undisturbed", ">disturbed"), _figures(calm, stormy)))
    wrong = broken(found)
    if wrong:
        rows = [(f.what, f.expected, f.found, "\n".join(f.examples)) for f in wrong]
        out.print(_table("Not as it must be", ("", ">expected", ">found", "for example"), rows))
    compared = sum(len(rows) for rows in calm.state.rows.values())
    verdict = (
        f"{len(wrong)} of {len(found)} comparisons differ" if wrong else f"all {len(found)} comparisons agree"
    )
    out.print(f"\n[bold]{verdict}[/bold], over {compared:,} rows and {len(calm.received):,} notifications.")


def _done(load: Load, calm: Run, stormy: Run) -> Iterable[tuple[str, object, object]]:
    kinds = Counter(kind_of(delivery) for delivery in load.deliveries)
    for kind, n in sorted(kinds.items()):
        yield f"deliveries: {kind}", n, n
    yield "sent again under the same id", 0, len(stormy.sent) - len(load.deliveries)
    for status in sorted(calm.statuses.keys() | stormy.statuses.keys()):
        answer = str(status) if status else "none"
        yield f"answers to senders: {answer}", calm.statuses[status], stormy.statuses[status]
    yield "function processes killed", 0, stormy.done.killed
    yield "PostgreSQL crashed and away, seconds", 0, stormy.done.postgres_s
    yield "broker hung, seconds", 0, stormy.done.broker_s
    yield "leases that ended in mid-delivery", 0, stormy.done.leases_ended
    yield "notifications received again under their id", calm.repeats, stormy.repeats
    yield "seconds, start to stop", f"{calm.seconds:.0f}", f"{stormy.seconds:.0f}"


def _figures(calm: Run, stormy: Run) -> Iterable[tuple[str, str, str]]:
    for name, expected in calm.state.figures.items():
        found = stormy.state.figures[name]
        if name.startswith("cents"):
            yield name.replace("cents", "dollars"), dollars(expected), dollars(found)
        else:
            yield name, f"{expected:,}", f"{found:,}"
    yield "notifications received", f"{len(calm.received):,}", f"{len(stormy.received):,}"


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    for row in rows:
        table.add_row(*(Text(str(cell), overflow="fold") for cell in row))
    return table
