"""The synthetic customer that `upstream smoke` sends for, and what the command does to the record.

Like the record, this port has no in-memory fake (docs/adr/0003).
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from shared.ports.connections import Connection


@dataclass(frozen=True, slots=True)
class Canary:
    """Who it is: the same in every environment. rule: the document that decides its event."""

    customer_id: UUID
    customer_name: str
    connection: Connection
    rule: Mapping[str, object]

    @property
    def rule_id(self) -> str:
        """The rule's id."""
        return str(self.rule["id"])

    @property
    def path(self) -> str:
        """Where the connection's deliveries are posted."""
        return f"/v1/webhooks/{self.connection.provider}/{self.connection.id}"


class CanaryDesk(Protocol):
    """Reads and writes as `upstream_smoke`, which sees the synthetic customer's rows and no others. Blocks.

    Every method raises TransientError when the database is away or busy, and PermanentError when it refuses the role
    something: the record was not migrated, or the log-in is no member.
    """

    def alone(self, *, wait_s: float) -> AbstractContextManager[None]:
        """Keep other smoke tests waiting until the block ends, or this process does.

        Raises:
            TransientError: another one is still at it after `wait_s` seconds (`key_held`).
        """
        ...

    def prepare(self, canary: Canary) -> None:
        """Make the customer and put exactly its declared rule in force, unless that is so already."""
        ...

    def sweep(self, canary: Canary, *, trace_id: str) -> Mapping[str, int]:
        """Remove what this trace and earlier ones of the customer left; return rows by table.

        The customer and its rule stay, and so does a dead letter: an engineer replays or discards it like any other.
        """
        ...
