"""`CodeWindows` in PostgreSQL: whichever worker types a code, the portal takes it once."""

from typing import Final
from uuid import UUID

from sqlalchemy import Engine, text

from shared.adapters.postgres.engine import database_errors
from shared.adapters.postgres.record import tenant

NOBODY: Final = UUID(int=0)

TAKE = text("""
INSERT INTO portal_code_windows AS w (customer_id, account, last_window)
VALUES (CAST(:nobody AS uuid), :account, CAST(:window AS bigint))
ON CONFLICT (customer_id, account) DO UPDATE SET last_window = EXCLUDED.last_window
WHERE w.last_window < EXCLUDED.last_window
RETURNING 1
""")


class PostgresCodeWindows:
    """One row an account: the newest window that was used. The rows are nobody's, as those of seats are."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_app`."""
        self._engine = engine

    def take(self, account: str, window: int) -> bool:
        """Return whether the window is the caller's."""
        asked = {"nobody": str(NOBODY), "account": account, "window": window}
        with database_errors(), tenant(self._engine, NOBODY) as connection:
            return connection.execute(TAKE, asked).scalar_one_or_none() is not None
