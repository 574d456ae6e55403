"""When an authorization has to be renewed. Pure: dates and counts in, a new state out.

    ACTIVE ─▶ EXPIRING_SOON ─▶ EXPIRED
       ▲            │             │
       └─ extended ─┘             │        any of them ─▶ RENEWED, once another one took its place

A last day is a date in the payer's terms: it still counts, whole, where the practice is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import ceil
from typing import Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

State = Literal["ACTIVE", "EXPIRING_SOON", "EXPIRED", "RENEWED"]
Reason = Literal[
    "date",  # the last day is near
    "units",  # the units run out before the last day, at the rate they are used
    "lapsed",  # the last day is over
    "extended",  # the payer moved the last day, or added units
    "replaced",  # another authorization for the same patient, payer and service lasts longer
]

DEFAULT_LEAD_DAYS: Final = 21
LONGEST_LEAD_DAYS: Final = 180
# By how a payer's key begins. Source: the payers' own turnaround for renewals, as DESIGN section 2 has them.
LEAD_DAYS: Final = (
    ("blue-cross", 21),
    ("aetna", 30),
    ("unitedhealthcare", 14),
    ("united-healthcare", 14),
    ("uhc", 14),
)
CHECK_AFTER_DAYS: Final = (2, 5, 9, 14, 21, 30)  # a request that was sent is looked at again


@dataclass(frozen=True, slots=True)
class Held:
    """An active authorization. successor: one of the same patient, payer and service that lasts longer."""

    id: UUID
    payer_key: str
    payer_name: str
    number: str
    procedure: str
    status: str
    state: State
    effective_on: date | None
    expires_on: date | None
    units_authorized: int | None
    units_used: int | None
    stated_on: date | None
    successor: UUID | None = None

    @property
    def units_left(self) -> int | None:
        """Return what is left of the units; None where the authorization counts none."""
        return None if self.units_authorized is None else self.units_authorized - (self.units_used or 0)


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state. on: the day it is true from. ends_on: the last day that can be used, at the present rate."""

    held: Held
    state: State
    reason: Reason
    on: date
    ends_on: date | None
    lead_days: int


def today(moment: datetime, time_zone: str) -> date:
    """Return what day it is where the practice is, at a moment in UTC.

    A zone that nobody knows counts as UTC: a slip in one setting must not let authorizations lapse untold.
    """
    try:
        return moment.astimezone(ZoneInfo(time_zone)).date()
    except (ZoneInfoNotFoundError, ValueError):
        return moment.astimezone(UTC).date()


def lead_days(payer_key: str, procedure: str, own: Mapping[tuple[str, str], int]) -> int:
    """Return how many days before its end an authorization is renewed. own: the customer's, by payer and service."""
    for key in ((payer_key, procedure), (payer_key, "")):
        if key in own:
            return own[key]
    return next((days for prefix, days in LEAD_DAYS if payer_key.startswith(prefix)), DEFAULT_LEAD_DAYS)


def exhausted_on(held: Held, *, on: date) -> date | None:
    """Return the last day that the units reach, at the rate they were used so far; None where nothing says so."""
    if held.units_left is None or held.effective_on is None or not held.units_used:
        return None
    counted_on = min(held.stated_on or on, on)
    if held.units_left <= 0:
        return counted_on
    days = (counted_on - held.effective_on).days + 1
    if days < 1:
        return None
    days_left = ceil(held.units_left * days / held.units_used)
    return counted_on + timedelta(days=min(days_left, 10 * 366))


def transition(held: Held, *, on: date, own: Mapping[tuple[str, str], int]) -> Transition | None:
    """Return the state that the authorization is in now, if it is another than it was."""
    lead = lead_days(held.payer_key, held.procedure, own)
    state, reason, ends_on = _state(held, on, lead)
    return None if state == held.state else Transition(held, state, reason, on, ends_on, lead)


def _state(held: Held, on: date, lead: int) -> tuple[State, Reason, date | None]:
    last_day, units_end = held.expires_on, exhausted_on(held, on=on)
    if held.successor is not None:
        return "RENEWED", "replaced", last_day
    if last_day is not None and last_day < on:
        return "EXPIRED", "lapsed", last_day
    soon = on + timedelta(days=lead)
    if last_day is not None and last_day <= soon:
        return "EXPIRING_SOON", "date", last_day
    if units_end is not None and units_end <= soon and (last_day is None or units_end < last_day):
        return "EXPIRING_SOON", "units", units_end
    return "ACTIVE", "extended", last_day


def check_due(days_since_request: int) -> int | None:
    """Return which look at a request is due, from 1, or None. A job that comes late asks for the latest one only."""
    passed = [nth for nth, days in enumerate(CHECK_AFTER_DAYS, 1) if days_since_request >= days]
    return passed[-1] if passed else None
