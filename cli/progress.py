"""How far a command is: a bar on a terminal, nothing elsewhere, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cli.output import console


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield what to call with how many more are done."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda n: progress.update(task, advance=n)
