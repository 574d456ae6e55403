"""`upstream import --watch FOLDER`: files that senders leave in a folder go in, as long as this runs."""

import asyncio
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cli.output import show_json, show_table, tell

if TYPE_CHECKING:
    from cli.workspace import Workspace
    from shared.handlers.take_drops import TakenDrop


def watch(folder: Path, workspace: "Workspace", *, every_s: float, once: bool, as_json: bool) -> None:
    """Take what waits in `<folder>/<connection id>/`, and again every so often until Ctrl-C. once: and end."""
    from shared.adapters.drop_folder import FolderDrops
    from shared.handlers.import_file import Importer
    from shared.handlers.take_drops import take_drops
    from shared.runtime.errors import TransientError

    app = workspace.app
    importer = Importer(keys=app.keys, publisher=app.publisher, payloads=app.payloads, clock=app.clock)
    drops = FolderDrops(folder, settle_s=0.0) if once else FolderDrops(folder)

    async def keep() -> None:
        while True:
            try:
                _show(
                    await take_drops(drops, connection_of=app.registry.get, importer=importer),
                    as_json=as_json,
                )
            except TransientError as exc:
                if once:
                    raise
                tell(f"{exc.detail or exc.code}; tried again in {every_s:.0f} s")
            if once:
                return
            await asyncio.sleep(every_s)

    asyncio.run(keep())


def _show(found: "list[TakenDrop]", *, as_json: bool) -> None:
    """Say what came of each file. Their names are left out: they may be patients'."""
    if as_json:
        show_json([asdict(one) for one in found])
    elif found:
        show_table(
            ["file", ">sets", ">in before", "refused because"],
            [(one.label, one.sets, one.repeats, one.failure or "-") for one in found],
            title=time.strftime("%Y-%m-%d %H:%M:%S"),
        )
