"""Takes a customer's patients out: connections first, so that nothing new comes in, then rows, then objects.

Every step does what is left of it, so a run after an interruption goes on, and one after a whole run finds nothing.
What was under way in the broker comes in later, for up to its seven days of retention: a second run then completes the
purge.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from shared.domain.data_map import EMPTIED, REMOVED
from shared.ports.connections import Connection, ConnectionRegistry
from shared.ports.operators import OperatorDesk
from shared.ports.purge import PatientObjects, PurgeDesk, PurgeRun
from shared.runtime.errors import PoisonError

OBJECTS = "objects"
ANY_ACTION = ""


@dataclass(frozen=True, slots=True)
class Means:
    """What a purge works with. settle: waits until running functions know that a connection is disabled."""

    desk: PurgeDesk
    registry: ConnectionRegistry
    operators: OperatorDesk
    objects: PatientObjects
    settle: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Purge:
    """What was found, or done. connections: those that were, or would be, disabled. rows: by table, and `objects`."""

    connections: tuple[UUID, ...]
    rows: Mapping[str, int]


def plan_purge(customer_id: UUID, *, means: Means) -> Purge:
    """Return what a purge would do. Changes nothing.

    Raises:
        TransientError: the record, the registry or the store is away.
    """
    own = connections_of(customer_id, means.registry)
    ids = [connection.id for connection in own]
    rows = {table: means.desk.count(table, customer_id, ids) for table in (*REMOVED, *EMPTIED)}
    rows[OBJECTS] = means.objects.count(customer_id)
    return Purge(tuple(c.id for c in own if c.enabled), rows)


def purge_customer(run: PurgeRun, *, means: Means, tell: Callable[[str, int], None]) -> Purge:
    """Purge, and return what was done. tell: hears of each table, and of `objects`, once it is done with.

    Raises:
        PoisonError: nobody, or no reason, was named (`bad_request`). Nothing was changed.
        TransientError: the record, the registry or the store is away; run again for the rest.
    """
    if not (run.by.strip() and run.why.strip()):
        raise PoisonError("bad_request", "say who purges, and why")
    means.desk.begin(run)
    own = connections_of(run.customer_id, means.registry)
    disabled = _close(own, run, means)
    rows: dict[str, int] = {}
    for name, count in _purged(run, [c.id for c in own], means):
        rows[name] = count
        tell(name, count)
    means.desk.end(run, rows)
    return Purge(disabled, rows)


def connections_of(customer_id: UUID, registry: ConnectionRegistry) -> Sequence[Connection]:
    """Return the customer's connections, disabled ones too."""
    return [connection for connection in registry.list() if connection.customer_id == customer_id]


def _close(own: Sequence[Connection], run: PurgeRun, means: Means) -> tuple[UUID, ...]:
    """Let nothing more in, and nothing more be done in the customer's name; return which connections were open."""
    still_open = [connection for connection in own if connection.enabled]
    for connection in still_open:
        means.registry.put(replace(connection, enabled=False))
    if ANY_ACTION not in {s.action_type for s in means.operators.switches(run.customer_id) if s.off}:
        means.operators.switch(run.customer_id, ANY_ACTION, off=True, by=run.by, why=run.why)
    if still_open:
        means.settle()
    return tuple(connection.id for connection in still_open)


def _purged(run: PurgeRun, connection_ids: Sequence[UUID], means: Means) -> Iterator[tuple[str, int]]:
    for table in (*REMOVED, *EMPTIED):
        yield table, means.desk.purge(table, run.customer_id, connection_ids, run=run)
    yield OBJECTS, means.objects.remove(run.customer_id)
