"""How far the demo is: a bar on a terminal, a line now and then elsewhere, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cli.demo.posting import Reply
from cli.output import console

LINES = 4  # elsewhere than on a terminal


@contextmanager
def shown(total: int) -> Iterator[Callable[[Reply], None]]:
    """Yield what to call for each reply."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield _lines(total)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True) as progress:
        task = progress.add_task("Posting", total=total)
        yield lambda reply: progress.update(
            task, advance=1, description=f"Posting, {reply.delivery.at:%d %b}"
        )


def _lines(total: int) -> Callable[[Reply], None]:
    count = 0
    step = max(1, total // LINES)

    def on_reply(reply: Reply) -> None:
        nonlocal count
        count += 1
        if count % step == 0 or count == total:
            console(stderr=True).print(f"posted {count} of {total}, up to {reply.delivery.at:%d %b}")

    return on_reply
