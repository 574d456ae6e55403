"""What rules may still do: switches and windows as an operator set them, and what was used of them, by day.

Two workers cannot both pass: whoever reads what was used holds the customer's lock until the transaction ends, and
reads with a statement of its own, which sees what the last holder committed.
"""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from shared.domain.spending import Controls, Spent, Window

CONTROLS = text("""
SELECT coalesce((SELECT jsonb_agg(action_type) FROM rule_switches
        WHERE customer_id = CAST(:customer_id AS uuid) AND off), '[]') AS off,
    coalesce((SELECT jsonb_agg(jsonb_build_object('days', days, 'max_actions', max_actions,
            'max_amount_cents', max_amount_cents) ORDER BY days) FROM customer_windows
        WHERE customer_id = CAST(:customer_id AS uuid)), '[]') AS windows
""")

LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('rule_spending:' || :customer_id, 0))")

SPENT = text("""
SELECT day AS on, actions, amount_cents FROM rule_spending
WHERE customer_id = CAST(:customer_id AS uuid) AND scope = :scope AND day >= CAST(:since AS date)
""")

SPEND = text("""
INSERT INTO rule_spending AS s (customer_id, scope, day, actions, amount_cents)
SELECT CAST(:customer_id AS uuid), scope, day, actions, amount_cents
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(scope text, day date, actions integer, amount_cents bigint)
ON CONFLICT (customer_id, scope, day) DO UPDATE
    SET actions = s.actions + EXCLUDED.actions, amount_cents = s.amount_cents + EXCLUDED.amount_cents
""")


def controls(connection: Connection, customer_id: UUID) -> Controls:
    """Return what stops the customer's rules."""
    row = connection.execute(CONTROLS, {"customer_id": str(customer_id)}).one()
    return Controls(frozenset(row.off), tuple(Window(**window) for window in row.windows))


class Spending:
    """What was used within one transaction's view, and what it uses itself, for all of its events."""

    def __init__(self, connection: Connection, customer_id: UUID) -> None:
        """connection: in a transaction of the customer's."""
        self._connection = connection
        self._customer_id = customer_id
        self._locked = False
        self._read: dict[str, tuple[date, list[Spent]]] = {}
        self._used: dict[tuple[str, date], Spent] = {}

    def spent(self, scope: str, *, since: date) -> Sequence[Spent]:
        """Return what was done from a day on, this transaction included, a day at a time and not in order."""
        known = self._read.get(scope)
        if known is None or since < known[0]:
            known = self._read[scope] = (since, self._stored(scope, since))
        here = (used for (where, _), used in self._used.items() if where == scope)
        return [day for day in (*known[1], *here) if day.on >= since]

    def spend(self, scope: str, *, on: date, amount_cents: int) -> None:
        """Note that something was done once more."""
        before = self._used.get((scope, on), Spent(on, 0, 0))
        self._used[scope, on] = Spent(on, before.actions + 1, before.amount_cents + amount_cents)

    def write(self) -> None:
        """Add what this transaction used."""
        used, self._used = self._used, {}
        rows = [
            {"scope": scope, "day": day.on, "actions": day.actions, "amount_cents": day.amount_cents}
            for (scope, _), day in used.items()
        ]
        if rows:
            parameters = {"customer_id": str(self._customer_id), "rows": orjson.dumps(rows).decode()}
            self._connection.execute(SPEND, parameters)

    def _stored(self, scope: str, since: date) -> list[Spent]:
        customer = {"customer_id": str(self._customer_id)}
        if not self._locked:
            self._connection.execute(LOCK, customer)
            self._locked = True
        asked = {**customer, "scope": scope, "since": since.isoformat()}
        return [Spent(**row) for row in self._connection.execute(SPENT, asked).mappings()]
