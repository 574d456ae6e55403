"""Who may visit a payer's portal now: one session per credential, a portal's pace and hours."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from shared.domain.manners import Manners


@dataclass(frozen=True, slots=True)
class Seat:
    """The right to be signed in with one credential, until the lease ends."""

    portal: str
    credential: str
    token: UUID


@dataclass(frozen=True, slots=True)
class Full:
    """Not now. until: when asking again is worth it."""

    why: Literal["portal_busy", "portal_closed"]
    until: datetime


class Seats(Protocol):
    """Shared by all workers and customers, since portals see no difference. Blocks."""

    def take(
        self,
        portal: str,
        credential: str,
        *,
        token: UUID,
        now: datetime,
        lease_s: float,
        manners: Manners,
    ) -> Seat | Full:
        """Take the credential's seat and one of the portal's visits, or say when to ask again.

        credential: names the secret, not what it holds.

        Raises:
            TransientError: the store is away.
        """
        ...

    def renew(self, seat: Seat, *, now: datetime, lease_s: float) -> None:
        """Keep the seat for longer. Does nothing if it was taken over.

        Raises:
            TransientError: the store is away.
        """
        ...

    def leave(self, seat: Seat) -> None:
        """Give the seat up. Does nothing if it was taken over.

        Raises:
            TransientError: the store is away. The lease ends by itself.
        """
        ...
