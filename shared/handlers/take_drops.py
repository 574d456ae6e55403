"""Files that senders left are taken in as imported ones: a transaction set at a time, each once."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from shared.handlers.import_file import Importer, import_file
from shared.ports.connections import Connection
from shared.ports.drops import Drop, Drops
from shared.runtime.errors import PoisonError


@dataclass(frozen=True, slots=True)
class TakenDrop:
    """What came of one file. sets: that are in, repeats: of those, that were before. failure: why not all of it is."""

    label: str
    sets: int
    repeats: int
    failure: str = ""


async def take_drops(
    drops: Drops, *, connection_of: Callable[[UUID], Connection | None], importer: Importer
) -> list[TakenDrop]:
    """Take in every file that waits and return what came of each.

    A file that cannot be read to its end is put aside, and the sets before are in. Killed half-way, a file still waits,
    and the next time only what is left of it is taken.

    Raises:
        TransientError: a store, the broker or the place itself is away. What is not taken still waits.
    """
    return [await _take(drop, drops, connection_of, importer) for drop in drops.waiting()]


async def _take(
    drop: Drop, drops: Drops, connection_of: Callable[[UUID], Connection | None], importer: Importer
) -> TakenDrop:
    connection = _connection(drop, connection_of)
    if connection is None:
        drops.refused(drop)
        return TakenDrop(drop.label, 0, 0, "no enabled connection of this name")
    sets = repeats = 0
    trace = f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
    try:
        with drops.open(drop) as stream:
            async for one in import_file(stream, connection, trace_parent=trace, importer=importer):
                sets += 1
                repeats += one.repeat
    except PoisonError as exc:
        drops.refused(drop)
        return TakenDrop(drop.label, sets, repeats, f"{exc.detail} ({exc.code})")
    if not sets:
        drops.refused(drop)
        return TakenDrop(drop.label, 0, 0, "no transaction set in it")
    drops.taken(drop)
    return TakenDrop(drop.label, sets, repeats)


def _connection(drop: Drop, connection_of: Callable[[UUID], Connection | None]) -> Connection | None:
    try:
        connection = connection_of(UUID(drop.prefix))
    except ValueError:
        return None
    return connection if connection is not None and connection.enabled else None
