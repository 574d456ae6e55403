"""`Seats` in PostgreSQL. The rows are nobody's: a credential and a portal's patience are shared by customers."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from shared.adapters.postgres.action_rows import stamp
from shared.adapters.postgres.engine import database_errors
from shared.adapters.postgres.record import tenant
from shared.domain.manners import Manners, paced
from shared.ports.seats import Full, Seat

NOBODY: Final = UUID(int=0)
PACE: Final = ""  # the credential of the row that holds a portal's pace

# The pace's row is locked first, so that visits to one portal are given out one after the other.
LOCK_PACE = text("""
INSERT INTO portal_seats (customer_id, portal, credential, token, lease_expires_at)
VALUES (CAST(:nobody AS uuid), :portal, '', CAST(:nobody AS uuid), '-infinity')
ON CONFLICT (customer_id, portal, credential) DO UPDATE SET token = EXCLUDED.token
RETURNING CASE WHEN lease_expires_at > '-infinity' THEN lease_expires_at END
""")
SET_PACE = text("""
UPDATE portal_seats SET lease_expires_at = CAST(:free_at AS timestamptz)
WHERE customer_id = CAST(:nobody AS uuid) AND portal = :portal AND credential = ''
""")
TAKE = text("""
INSERT INTO portal_seats AS s (customer_id, portal, credential, token, lease_expires_at)
VALUES (CAST(:nobody AS uuid), :portal, :credential, CAST(:token AS uuid), CAST(:until AS timestamptz))
ON CONFLICT (customer_id, portal, credential) DO UPDATE SET
    token = EXCLUDED.token, lease_expires_at = EXCLUDED.lease_expires_at
WHERE s.lease_expires_at <= CAST(:now AS timestamptz)
RETURNING 1
""")
TAKEN_UNTIL = text("""
SELECT lease_expires_at FROM portal_seats
WHERE customer_id = CAST(:nobody AS uuid) AND portal = :portal AND credential = :credential
""")
RENEW = text("""
UPDATE portal_seats SET lease_expires_at = CAST(:until AS timestamptz)
WHERE customer_id = CAST(:nobody AS uuid) AND portal = :portal AND credential = :credential
    AND token = CAST(:token AS uuid)
""")


class PostgresSeats:
    """Rows of `portal_seats`."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_app`."""
        self._engine = engine

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
        """Take the credential's seat and one of the portal's visits, or say when to ask again."""
        opens_at = manners.opens_at(now)
        if opens_at > now:
            return Full("portal_closed", opens_at)
        with database_errors(), tenant(self._engine, NOBODY) as connection:
            free_at = connection.execute(LOCK_PACE, _row(portal)).scalar_one()
            begins_at, then_free_at = paced(free_at, now, manners)
            if begins_at > now:
                return Full("portal_busy", begins_at)
            seat = Seat(portal, credential, token)
            if not _sit(connection, seat, now, lease_s):
                return Full("portal_busy", _taken_until(connection, seat))
            connection.execute(SET_PACE, {**_row(portal), "free_at": stamp(then_free_at)})
            return seat

    def renew(self, seat: Seat, *, now: datetime, lease_s: float) -> None:
        """Keep the seat for longer."""
        self._until(seat, stamp(now, lease_s))

    def leave(self, seat: Seat) -> None:
        """Give the seat up."""
        self._until(seat, "-infinity")

    def _until(self, seat: Seat, until: str) -> None:
        with database_errors(), tenant(self._engine, NOBODY) as connection:
            connection.execute(RENEW, {**_seat(seat), "until": until})


def _row(portal: str) -> dict[str, object]:
    return {"nobody": str(NOBODY), "portal": portal}


def _seat(seat: Seat) -> dict[str, object]:
    return {**_row(seat.portal), "credential": seat.credential, "token": str(seat.token)}


def _sit(connection: Connection, seat: Seat, now: datetime, lease_s: float) -> bool:
    asked = {**_seat(seat), "now": stamp(now), "until": stamp(now, lease_s)}
    return connection.execute(TAKE, asked).scalar_one_or_none() is not None


def _taken_until(connection: Connection, seat: Seat) -> datetime:
    found: datetime = connection.execute(
        TAKEN_UNTIL, {**_row(seat.portal), "credential": seat.credential}
    ).scalar_one()
    return found
