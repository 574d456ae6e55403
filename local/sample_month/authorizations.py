"""Which authorizations the practices hold, and when they end. Seeded."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import product
from random import Random
from typing import Final

from local.sample_month.advices import DAYS
from local.sample_month.values import Authorization
from local.sample_month.world import HARBOR, PAYERS, PROCEDURES, SUMMIT

# Days from the month's last to the authorization's: two inside every payer's lead time, one inside some, the rest not.
ENDS_AFTER_DAYS: Final = (4, 10, 18, 45, 90, 180)


def authorizations(first_day: date, random: Random) -> Iterator[Authorization]:
    """Yield every authorization as it is stated once, early in the month."""
    last_day = first_day + timedelta(days=DAYS - 1)
    for practice, payer, days in product((HARBOR, SUMMIT), PAYERS, ENDS_AFTER_DAYS):
        codes = {line[0] for visit in practice.visits for line in visit.lines}
        units = random.choice((8, 12, 20))
        yield Authorization(
            practice=practice,
            payer=payer,
            number=f"{payer.provider[:2].upper()}{practice.prefix}{random.randrange(10_000, 99_999)}",
            patient=random.randrange(1, 400),
            procedure=random.choice(sorted(c for c in codes if PROCEDURES[c].needs_authorization)),
            effective_on=last_day + timedelta(days=days - 180),
            expires_on=last_day + timedelta(days=days),
            units_authorized=units,
            units_used=random.randrange(units),
            stated_on=first_day + timedelta(days=random.randrange(4)),
        )
