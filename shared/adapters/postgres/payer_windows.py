"""What a payer did over a window of days: for facts that a rule may ask, one statement each."""

from datetime import date
from uuid import UUID

from sqlalchemy import Connection, text

from shared.ports.record import PayerDay

DAYS = text("""
SELECT day AS on, CAST(sum(decided) AS integer) AS decided, CAST(sum(denied) AS integer) AS denied
FROM claim_daily_stats
WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = :payer_key AND day >= CAST(:since AS date)
GROUP BY day
""")

LAST_PAYMENT = text("""
SELECT day FROM claim_daily_stats
WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = :payer_key AND paid_cents > 0
ORDER BY day DESC LIMIT 1
""")

DENIED_CENTS = text("""
SELECT CAST(coalesce(sum(charge_cents), 0) AS bigint) FROM claims
WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = :payer_key AND decided_on >= CAST(:since AS date)
    AND status = 'denied'
""")


def days(connection: Connection, customer_id: UUID, *, payer_key: str, since: date) -> list[PayerDay]:
    """Return what the payer decided on each day from `since` on; days without are left out."""
    asked = {"customer_id": str(customer_id), "payer_key": payer_key, "since": since.isoformat()}
    return [PayerDay(**row) for row in connection.execute(DAYS, asked).mappings()]


def last_payment_on(connection: Connection, customer_id: UUID, *, payer_key: str) -> date | None:
    """Return the last day on which the payer paid anything."""
    asked = {"customer_id": str(customer_id), "payer_key": payer_key}
    found: date | None = connection.execute(LAST_PAYMENT, asked).scalar_one_or_none()
    return found


def denied_cents(connection: Connection, customer_id: UUID, *, payer_key: str, since: date) -> int:
    """Return what was charged for the claims whose latest decision is a denial of the payer's since a day."""
    asked = {"customer_id": str(customer_id), "payer_key": payer_key, "since": since.isoformat()}
    return int(connection.execute(DENIED_CENTS, asked).scalar_one())
