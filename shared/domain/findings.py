"""What a payer does otherwise than before, from the day it is first seen to the day it is over. Pure.

A finding is opened once, told of again when it has moved on by half as much as it had, and closed; a run that finds
what is known already says nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final, Literal
from uuid import UUID

from shared.domain.detection import LONGEST_DAYS, Kind, risen
from shared.domain.drift import pays_less
from shared.domain.ids import derive
from shared.domain.slowdown import slower

Key = tuple[str, str, str]
ChangeType = Literal["payer.change_detected", "payer.change_updated", "payer.change_closed"]

MOVED_ON: Final = 0.5  # of the distance from the baseline that was told
FORGOTTEN_AFTER: Final = timedelta(days=28)  # by then the new level is in what is compared with
UNSEEN_AFTER: Final = timedelta(
    days=LONGEST_DAYS
)  # by then all of the longest window is after it was seen last
OF_DENIALS: Final = frozenset({"denial_rate", "denial_rate_procedure", "denial_reason"})
BUCKETS: Final = (25, 10, 5, 3)  # how many customers share a change, as far as anybody is told


@dataclass(frozen=True, slots=True)
class Finding:
    """One change of one payer. baseline and current: a rate, days, or the share of the fee schedule that is paid.

    told: the value of `current` that rules were last told of. detail: affected procedures and reasons, windows.
    """

    id: UUID
    kind: Kind
    payer_key: str
    subject: str
    first_seen_on: date
    last_seen_on: date
    baseline: float
    current: float
    n: int
    told: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    q: float | None = None
    at_stake_cents: int | None = None
    state: Literal["open", "closed"] = "open"
    closed_on: date | None = None
    closed_why: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """Return what the finding is about: only one about it is open at a time."""
        return self.kind, self.payer_key, self.subject


@dataclass(frozen=True, slots=True)
class NetworkChange:
    """A denial reason that rose at several customers of one payer. customers: rounded down, so that none is told of."""

    payer_key: str
    carc: str
    customers: int


@dataclass(frozen=True, slots=True)
class Change:
    """A finding as it now is. event: what to tell of it; None is nothing."""

    finding: Finding
    event: ChangeType | None


def finding_id(customer_id: UUID, key: Key, first_seen_on: date) -> UUID:
    """Return the id of a finding: a change that comes back another day is another finding."""
    return derive(customer_id, "finding", *key, first_seen_on)


def bucket(customers: int) -> int:
    """Return the number of customers, rounded down so far that nobody's coming or going shows."""
    return next((least for least in BUCKETS if customers >= least), 0)


def changes(
    known: Sequence[Finding],
    seen: Iterable[Finding],
    current: Mapping[UUID, float],
    *,
    on: date,
) -> list[Change]:
    """Return what becomes of the open findings and of what a run has seen.

    current: what known findings are about as it is now, in the unit of their baseline, where there is enough to say.
    """
    open_now = {finding.key: finding for finding in known}
    news = {finding.key: finding for finding in seen}
    updated = [_seen_again(finding, news[key], on) for key, finding in open_now.items() if key in news]
    unseen = [
        _not_seen(finding, current.get(finding.id), on)
        for key, finding in open_now.items()
        if key not in news
    ]
    opened = [
        Change(finding, "payer.change_detected") for key, finding in news.items() if key not in open_now
    ]
    return [*opened, *updated, *(change for change in unseen if change is not None)]


def _seen_again(known: Finding, seen: Finding, on: date) -> Change:
    """Keep the baseline that it was opened with: recovery is measured against it."""
    moved_on = abs(seen.current - known.told) >= MOVED_ON * max(abs(known.told - known.baseline), 1e-12)
    finding = replace(
        seen,
        id=known.id,
        first_seen_on=known.first_seen_on,
        baseline=known.baseline,
        last_seen_on=on,
        told=seen.current if moved_on else known.told,
    )
    return Change(finding, "payer.change_updated" if moved_on else None)


def _not_seen(known: Finding, current: float | None, on: date) -> Change | None:
    why = _why_closed(known, current, on)
    if not why:
        return None
    now = known.current if current is None else current
    closed = replace(known, state="closed", closed_on=on, closed_why=why, current=now)
    return Change(closed, "payer.change_closed")


def _why_closed(known: Finding, current: float | None, on: date) -> str:
    """Return why a finding that was not seen is over; empty while it may only be too little to be sure.

    Until a fortnight has passed unseen, the last fortnight is partly of days before the change, and says nothing of it.
    """
    unseen = on - known.last_seen_on
    if unseen < UNSEEN_AFTER:
        return ""
    if known.kind == "network" or (current is not None and not _off(known, current)):
        return "recovered"
    return "settled" if unseen >= FORGOTTEN_AFTER else ""


def _off(known: Finding, current: float) -> bool:
    """Whether the payer is still as the finding says, by enough to matter."""
    match known.kind:
        case "payment_delay":
            return slower(known.baseline, current)
        case "underpayment":
            return pays_less(known.baseline, current)
        case _:
            return risen(known.baseline, current)
