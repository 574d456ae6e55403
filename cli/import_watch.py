"""`upstream import --watch PLACE`: files that senders leave in a folder or bucket go in, as long as this runs."""

import asyncio
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cli.output import Failure, show_json, show_table, tell

if TYPE_CHECKING:
    from cli.workspace import Workspace
    from shared.handlers.take_drops import TakenDrop
    from shared.ports.drops import Drops


def watch(place: str, workspace: "Workspace", *, every_s: float, once: bool, as_json: bool) -> None:
    """Take what waits in `<place>/<connection id>/`, and again every so often until Ctrl-C. once: and end.

    place: a folder, or `gs://` and a bucket.

    Raises:
        Failure: there is no such folder.
    """
    from shared.handlers.import_file import Importer
    from shared.handlers.take_drops import take_drops
    from shared.runtime.errors import TransientError

    app = workspace.app
    importer = Importer(keys=app.keys, publisher=app.publisher, payloads=app.payloads, clock=app.clock)
    drops = _drops(place, workspace, once=once)

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


def _drops(place: str, workspace: "Workspace", *, once: bool) -> "Drops":
    from shared.adapters.drop_bucket import SCHEME, BucketDrops
    from shared.adapters.drop_folder import SETTLE_S, FolderDrops

    if place.startswith(SCHEME):
        return BucketDrops(place.removeprefix(SCHEME).rstrip("/"), project_id=workspace.settings.project_id)
    if not Path(place).is_dir():
        raise Failure(f"no folder {place}")
    return FolderDrops(Path(place), settle_s=0.0 if once else SETTLE_S)


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
