"""How far a canary has come, by what the record holds of its trace. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from shared.ports.record import Hop

Station = Literal["process_webhook", "apply_rules", "notify"]
STATIONS: Final[tuple[tuple[Station, str], ...]] = (
    ("process_webhook", "claim.submitted"),  # what each of them emits, for the next one
    ("apply_rules", "notification.requested"),
    ("notify", ""),
)


@dataclass(frozen=True, slots=True)
class Progress:
    """passed: functions that are done with it, and when. at: the one that is not; empty once all are.

    why: what is missing there. over: waiting longer changes nothing. code: of the error that it ended with.
    """

    passed: tuple[tuple[Station, datetime], ...]
    at: str = ""
    why: str = ""
    over: bool = False
    code: str = ""

    @property
    def arrived(self) -> bool:
        """Whether it came through all of them, and its audit row is there."""
        return not self.at


def progress(hops: Sequence[Hop], *, rule_id: str) -> Progress:
    """Return where a canary is. hops: of its trace, in any order. rule_id: of the rule that has to fire."""
    passed: list[tuple[Station, datetime]] = []
    for station, emits in STATIONS:
        missing = next(_missing(hops, station, emits, rule_id), None)
        if missing is not None:
            return _stopped(tuple(passed), station, missing, hops)
        passed.append((station, max(hop.at for hop in hops if hop.what == station)))
    return Progress(tuple(passed))


@dataclass(frozen=True, slots=True)
class _Missing:
    """over: it will not come by itself."""

    what: str
    over: bool = False


def _missing(hops: Sequence[Hop], station: Station, emits: str, rule_id: str) -> Iterator[_Missing]:
    if not any(hop.what == station for hop in hops):
        yield _Missing("it has not taken the event")
        return
    if station == "apply_rules" and not _fired(hops, rule_id):
        yield _Missing(f"its audit row does not say that rule {rule_id} fired", over=True)
    sent = [hop for hop in hops if hop.what == "event" and hop.event_type == emits]
    if emits and not sent:
        yield _Missing(f"it emitted no {emits}", over=True)
    if any(hop.outcome != "published" for hop in sent):
        yield _Missing(f"it committed {emits} and has not published it")


def _fired(hops: Sequence[Hop], rule_id: str) -> bool:
    return any(
        hop.what == "decision" and hop.outcome == "fired" and hop.detail.get("rule_id") == rule_id
        for hop in hops
    )


def _stopped(
    passed: tuple[tuple[Station, datetime], ...], station: Station, missing: _Missing, hops: Sequence[Hop]
) -> Progress:
    """Return where it stands; a dead letter says more than what is missing."""
    letter = next((hop for hop in hops if hop.what == "dead letter"), None)
    if letter is None:
        return Progress(passed, station, missing.what, missing.over)
    at = str(letter.detail.get("consumer") or station)
    return Progress(passed, at, "it is a dead letter", over=True, code=letter.outcome)
