"""`upstream import`: puts a file of any size into the pipeline, one transaction set at a time."""

import asyncio
import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import console, show_json, show_table, tell

if TYPE_CHECKING:
    from shared.handlers.import_file import Imported
    from shared.ports.connections import Connection
    from shared.runtime.bootstrap import App


def import_(
    file: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, help="An X12 file, of any size.")
    ] = None,
    connection: Annotated[str, typer.Option(help="The id of the connection whose file it is.")] = "",
    watch: Annotated[
        str,
        typer.Option(
            help="Instead of one file: take what is left in <folder>/<connection id>/, until Ctrl-C. Or gs://<bucket>."
        ),
    ] = "",
    once: Annotated[
        bool, typer.Option("--once", help="With --watch: take what is there now, and end.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, help="With --watch: seconds between two looks.")] = 5.0,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Take in each transaction set of a file once. Run it again after an interruption: what is in is left out.

    Stops at the first place that cannot be read, with exit code 1; the sets before it are in.
    """
    from cli.workspace import opened
    from shared.runtime.errors import UpstreamError

    if watch:
        from cli.import_watch import watch as keep_watch

        with opened(home) as workspace:
            keep_watch(watch, workspace, every_s=every, once=once, as_json=as_json)
        return
    if file is None or not connection:
        raise typer.BadParameter("a file and --connection, or --watch with a folder")
    done: list[Imported] = []
    failure = ""
    with opened(home) as workspace:
        try:
            asyncio.run(_import(file, workspace.connection(connection), workspace.app, done))
        except UpstreamError as exc:
            failure = f"{exc.detail} ({exc.code})"
    if as_json:
        show_json({"file": str(file), "sets": [asdict(one) for one in done], "failure": failure})
    else:
        _show(done)
    if failure:
        tell(f"stopped: {failure}; {len(done)} sets are in")
        raise typer.Exit(1)


async def _import(file: Path, connection: "Connection", app: "App", done: "list[Imported]") -> None:
    from shared.handlers.import_file import Importer, import_file

    importer = Importer(keys=app.keys, publisher=app.publisher, payloads=app.payloads, clock=app.clock)
    trace = f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
    with file.open("rb") as stream:
        async for one in import_file(stream, connection, trace_parent=trace, importer=importer):
            done.append(one)


def _show(done: "list[Imported]") -> None:
    sets, sizes, repeats = Counter[str](), Counter[str](), Counter[str]()
    for one in done:
        sets[one.kind] += 1
        sizes[one.kind] += one.size_bytes
        repeats[one.kind] += one.repeat
    show_table(
        ["kind", ">sets", ">in before", ">bytes"],
        [(kind, sets[kind], repeats[kind], sizes[kind]) for kind in sorted(sets)],
    )
    if done:
        console().print("\nThe pipeline reads them now; `upstream trace EVENT_ID` follows one.")
