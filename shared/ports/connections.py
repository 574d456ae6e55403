"""A customer's connection to one sender of webhooks."""

from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

Scheme = Literal["standard-webhooks", "hmac-sha256-hex"]


@dataclass(frozen=True, slots=True)
class Connection:
    """Who sends, for whom, signed how. It alone decides the customer; nothing in a payload does.

    secret_name: names the signing secret in the secret store. format: how to read bodies, or `auto`.
    rate_per_min, burst: the token bucket, in requests. fetch_url: below it is what the sender only names; empty:
    nowhere. fetch_secret_name: names what is shown there, in the secret store.
    """

    id: UUID
    customer_id: UUID
    provider: str
    scheme: Scheme
    secret_name: str
    format: str = "auto"
    rate_per_min: int = 100
    burst: int = 100
    enabled: bool = True
    fetch_url: str = ""
    fetch_secret_name: str = ""


class ConnectionRegistry(Protocol):
    """Looks connections up. Blocks: callers on an event loop go through `shared/runtime/cached.py`."""

    def get(self, connection_id: UUID) -> Connection | None:
        """Return the connection as it is now, disabled ones too, or None.

        Raises:
            TransientError: the registry did not answer.
        """
        ...

    def put(self, connection: Connection) -> None:
        """Store the connection, over an earlier one of its id.

        Raises:
            TransientError: the registry did not answer.
        """
        ...

    def list(self) -> list[Connection]:
        """Return all connections, by provider and id.

        Raises:
            TransientError: the registry did not answer.
        """
        ...
