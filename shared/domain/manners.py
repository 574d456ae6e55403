"""How a payer's portal is to be treated: how often, and when. Pure.

Working hours are the payer's local time, since that is how payers publish them; daylight saving follows its zone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

ALL_DAY: Final = (time.min, time.max)
WEEK: Final = range(7)
LOOK_AHEAD_DAYS: Final = 15


@dataclass(frozen=True, slots=True)
class Window:
    """From `begins` to before `ends` on these days, Monday being 0. `time.max` is the day's end."""

    begins: time
    ends: time
    days: frozenset[int] = frozenset(WEEK)

    def on(self, day: date) -> tuple[time, time] | None:
        """Return the window's hours on a day, or None."""
        return (self.begins, self.ends) if day.weekday() in self.days else None


@dataclass(frozen=True, slots=True)
class Manners:
    """One payer's. visits_per_min, burst: over all customers. open: none is always. maintenance: closed then.

    headless_shell: whether the lighter of Chromium's two programs will do.
    """

    zone: str = "America/New_York"
    visits_per_min: float = 6.0
    burst: int = 2
    open: tuple[Window, ...] = ()
    maintenance: tuple[Window, ...] = ()
    headless_shell: bool = False

    def opens_at(self, now: datetime) -> datetime:
        """Return now if the portal may be visited, else when it may be: at most two weeks on."""
        at = now.astimezone(ZoneInfo(self.zone))
        end = at + timedelta(days=LOOK_AHEAD_DAYS)
        while at < end and (closed_until := self._closed_until(at)) is not None:
            at = closed_until
        return at.astimezone(UTC)

    def _closed_until(self, at: datetime) -> datetime | None:
        """Return when to look again if the portal is closed at that local time, else None."""
        for window in self.maintenance:
            if _within(at, window):
                return _local(at, at.date(), window.ends)
        if not self.open or any(_within(at, window) for window in self.open):
            return None
        later = [window.begins for window in self.open if window.on(at.date()) and window.begins > at.time()]
        return _local(at, at.date(), min(later)) if later else _local(at, at.date(), time.max)


def _within(at: datetime, window: Window) -> bool:
    hours = window.on(at.date())
    return hours is not None and hours[0] <= at.time() < hours[1]


def _local(at: datetime, day: date, hour: time) -> datetime:
    """Return a local time of the day; its end is the next day's beginning."""
    if hour == time.max:
        return datetime.combine(day + timedelta(days=1), time.min, at.tzinfo)
    return datetime.combine(day, hour, at.tzinfo)


def paced(free_at: datetime | None, now: datetime, manners: Manners) -> tuple[datetime, datetime]:
    """Return (when the next visit may begin, what to store as `free_at` if it begins now).

    free_at: when the payer would be free again had every visit been spread out evenly; a burst may run ahead of it.
    """
    gap = timedelta(minutes=1 / manners.visits_per_min)
    due = max(free_at or now, now)
    return due - gap * (manners.burst - 1), due + gap


def parse_manners(document: Mapping[str, object]) -> Mapping[str, Manners]:
    """Return manners by payer key from `schemas/portals/manners.json`; the key `default` is for all others.

    Raises:
        ValueError, KeyError, TypeError: the document is not what its schema says.
    """
    return {key: _manners(entry) for key, entry in document.items() if isinstance(entry, Mapping)}


def _manners(entry: Mapping[str, object]) -> Manners:
    default = Manners()
    ZoneInfo(str(entry.get("zone", default.zone)))
    return Manners(
        zone=str(entry.get("zone", default.zone)),
        visits_per_min=float(str(entry.get("visits_per_min", default.visits_per_min))),
        burst=int(str(entry.get("burst", default.burst))),
        open=_windows(entry.get("open", [])),
        maintenance=_windows(entry.get("maintenance", [])),
        headless_shell=entry.get("browser") == "headless_shell",
    )


def _windows(entries: object) -> tuple[Window, ...]:
    if not isinstance(entries, Sequence):
        raise TypeError("windows are a list")
    return tuple(
        Window(
            _hour(entry["from"]),
            _hour(entry["until"]),
            frozenset(_DAYS.index(day) for day in entry.get("days", _DAYS)),
        )
        for entry in entries
    )


_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _hour(text: str) -> time:
    return time.max if text == "24:00" else time.fromisoformat(text)
