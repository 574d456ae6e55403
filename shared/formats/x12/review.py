"""Health care services review (278): a request, or the payer's answer to one, by patient event and service. Pure.

BHT02 tells the two apart. An answer may speak of the event (EV) and of each service (SS); a service's own word counts
for it. Source: 005010X217 (request and response), 005010X215 (inquiry), 005010X216 (notification).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from shared.domain.claims import Authorization, AuthorizationRequest, Finding, Patient, ServiceLine
from shared.formats.review import ACTIONS, NOT_CONSIDERED, status_of
from shared.formats.x12.dates import Period, period
from shared.formats.x12.elements import (
    Segment,
    components,
    day,
    element,
    optional_amount,
    required,
    text,
)
from shared.formats.x12.envelope import Transaction
from shared.formats.x12.loops import Levels, read_loops
from shared.formats.x12.names import party, person
from shared.runtime.errors import UnreadableError

Review = Authorization | AuthorizationRequest

_RESPONSES: Final = frozenset({"11", "12"})  # BHT02; 13 asks, 36 and others cancel or inquire
_OF_PREVIOUS: Final = frozenset({"A1", "A2", "A6", "C"})  # HCR01 that changes the authorization of REF*BB
_EVENT: Final = "EV"
_SERVICE: Final = "SS"
_SERVICES: Final = {"SV1": (1, 2, 4), "SV2": (2, 3, 5), "SV3": (1, 2, 6)}
_SERVICE_DATES: Final = frozenset({"AAH", "472", "435"})
_DATES: Final = _SERVICE_DATES | {"007", "036", "102"}
_MOST_UNITS: Final = 1_000_000


def read_reviews(transaction: Transaction) -> Iterator[Review]:
    """Yield a request once it ended; of an answer one authorization per service, or the event's where it has none.

    Raises:
        UnreadableError: as `read_loops`; or it reviews nothing.
    """
    return read_loops(transaction, _Reviews(transaction))


@dataclass(slots=True)
class _Loop:
    """What one EV or SS level says, whatever the direction."""

    place: str
    trace: str = ""
    kind: str = ""
    action: str = ""
    number: str = ""
    previous: str = ""
    reason: str = ""
    not_considered: bool = False
    serviced: Period = (None, None)
    valid: Period = (None, None)
    issued_on: date | None = None
    units: str = ""
    service: Segment = field(default_factory=list)
    diagnoses: list[str] = field(default_factory=list)


def _joined(answers: list[Authorization]) -> list[Authorization]:
    """Return one authorization for each number and procedure: lines that differ in modifiers alone add up."""
    found: dict[tuple[str, str, str], Authorization] = {}
    for answer in answers:
        key = (answer.number, answer.procedure, answer.status)
        first = found.get(key)
        if first is None:
            found[key] = answer
            continue
        units = [one.units_authorized for one in (first, answer) if one.units_authorized is not None]
        found[key] = replace(
            first, units_authorized=sum(units) if units else None, findings=first.findings + answer.findings
        )
    return list(found.values())


def _number(event: _Loop, service: _Loop, stated: _Loop) -> str:
    """Return the number of what is answered: HCR02, else the previous (REF*BB) where that is prolonged or cancelled.

    A refused or pended renewal leaves the authorization that it was to prolong as it is, and has no number of its own.
    """
    number, previous = service.number or event.number, service.previous or event.previous
    if stated.action in _OF_PREVIOUS and not stated.not_considered:
        return number or previous
    return "" if number == previous else number


class _Reviews:
    """A set's patient events. What an event says is held back until it ends: its services override it."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._levels = Levels(transaction)
        self._bht: Segment = []
        self._born_on: date | None = None
        self._refusal: str | None = None  # AAA above the event: the request below was not considered
        self._event: _Loop | None = None
        self._services: list[_Loop] = []
        self._reviews = 0
        self._findings: list[Finding] = []

    @property
    def place(self) -> str:
        return self._levels.place

    def take(self, segment: Segment) -> Sequence[Review]:
        ended: Sequence[Review] = ()
        match segment[0]:
            case "BHT":
                self._bht = segment
            case "HL":
                if element(segment, 3) != _SERVICE:
                    ended = self._end_event()
                self._enter(segment)
            case "NM1":
                if self._event is None:  # an event names providers, any number of a role
                    self._levels.name(segment)
            case "DMG":
                self._born_on = day(element(segment, 2))
            case "AAA":
                self._refuse(segment)
            case _:
                self._take_detail(segment)
        return ended

    def end(self) -> Sequence[Review]:
        last = self._end_event()
        if not self._reviews and self._refusal is not None:  # refused before any event was repeated
            self._event = _Loop(self.place)
            last = self._end_event()
        if not self._reviews:
            raise UnreadableError("it reviews nothing", place=self._transaction.place)
        return last

    def _enter(self, hl: Segment) -> None:
        self._levels.enter(hl)
        if self._levels.level == _EVENT:
            self._event = _Loop(self.place)
        elif self._levels.level == _SERVICE:
            if self._event is None:
                self._find("event_missing", self.place, "a service (SS) under no event (EV)")
                self._event = _Loop(self.place)
            self._services.append(_Loop(self.place))
        else:
            self._born_on = None

    def _refuse(self, aaa: Segment) -> None:
        reason = text(aaa, 3)
        loop = self._services[-1] if self._services else self._event
        if loop is None:
            self._refusal = reason
        else:
            loop.not_considered, loop.reason = True, reason

    def _take_detail(self, segment: Segment) -> None:
        loop = self._services[-1] if self._services else self._event
        if loop is None:
            return
        take = _DETAILS.get(segment[0])
        if take is not None:
            take(self, loop, segment)

    def take_trn(self, loop: _Loop, trn: Segment) -> None:
        loop.trace = loop.trace or text(trn, 2)

    def take_um(self, loop: _Loop, um: Segment) -> None:
        loop.kind = text(um, 1)

    def take_ref(self, loop: _Loop, ref: Segment) -> None:
        if element(ref, 1) == "BB":
            loop.previous = text(ref, 2)

    def take_hsd(self, loop: _Loop, hsd: Segment) -> None:
        loop.units = text(hsd, 2)

    def take_hi(self, loop: _Loop, hi: Segment) -> None:
        found = (
            components(hi, at, self._transaction.component) for at in range(1, len(hi)) if element(hi, at)
        )
        loop.diagnoses += [parts[1] for parts in found if len(parts) > 1]

    def take_service(self, loop: _Loop, service: Segment) -> None:
        loop.service = service

    def take_hcr(self, loop: _Loop, hcr: Segment) -> None:
        loop.action, loop.reason = text(hcr, 1), text(hcr, 3)
        loop.number = loop.number or text(hcr, 2)
        if loop.action not in ACTIONS:
            self._find("unknown_code", f"{loop.place}/HCR", "HCR01 is no action code: taken as pended")

    def take_dtp(self, loop: _Loop, dtp: Segment) -> None:
        dates = period(dtp)
        kind = element(dtp, 1)
        if kind in _DATES and dates[0] is None:
            self._find("invalid_date", f"{loop.place}/DTP", "not a date")
        if kind in _SERVICE_DATES:
            loop.serviced = dates
        elif kind == "007":
            loop.valid = dates if element(dtp, 2) == "RD8" else (dates[0], loop.valid[1])
        elif kind == "036":
            loop.valid = (loop.valid[0], dates[1])
        elif kind == "102":
            loop.issued_on = dates[0]

    def _end_event(self) -> Sequence[Review]:
        event, services, self._event, self._services = self._event, self._services, None, []
        if event is None:
            return ()
        self._reviews += 1
        if element(self._bht, 2) in _RESPONSES:
            return _joined([self._answer(event, service) for service in services or [event]])
        return [self._request(event, services)]

    def _answer(self, event: _Loop, service: _Loop) -> Authorization:
        stated = service if service.action or service.not_considered else event
        valid = service.valid if any(service.valid) else event.valid
        serviced = service.serviced if any(service.serviced) else event.serviced
        effective_on, expires_on = valid if any(valid) else serviced
        return Authorization(
            number=_number(event, service, stated),
            payer=party(self._levels.named("X3")),
            patient=self._patient(),
            procedure=self._procedure(service),
            status=self._status(stated),
            effective_on=effective_on,
            expires_on=expires_on,
            units_authorized=self._units(service) if service is not event else self._units(event),
            stated_on=service.issued_on or event.issued_on or day(element(self._bht, 4)),
            trace_number=event.trace or required(self._bht or ["BHT"], 3),
            reason=stated.reason or self._refusal or "",
            findings=self._take_findings(),
        )

    def _request(self, event: _Loop, services: list[_Loop]) -> AuthorizationRequest:
        serviced = [loop.serviced[0] for loop in (event, *services) if loop.serviced[0]]
        lines = [self._line(loop) for loop in services if loop.service]
        return AuthorizationRequest(
            trace_number=event.trace or required(self._bht or ["BHT"], 3),
            payer=party(self._levels.named("X3")),
            provider=party(self._levels.named("1P", "FA")),
            patient=self._patient(),
            kind=event.kind,
            previous_number=event.previous,
            requested_on=day(element(self._bht, 4)),
            service_on=min(serviced, default=None),
            diagnoses=tuple(dict.fromkeys(event.diagnoses)),
            lines=tuple(lines),
            findings=self._take_findings(),
        )

    def _patient(self) -> Patient:
        return person(self._levels.named("QC"), self._levels.named("IL"), born_on=self._born_on)

    def _status(self, stated: _Loop) -> str:
        if stated.not_considered or (self._refusal is not None and not stated.action):
            return NOT_CONSIDERED
        return status_of(stated.action)

    def _line(self, loop: _Loop) -> ServiceLine:
        at_procedure, at_charge, at_units = _SERVICES[loop.service[0]]
        identifier = components(loop.service, at_procedure, self._transaction.component)
        return ServiceLine(
            procedure=self._procedure(loop),
            charge_cents=optional_amount(loop.service, at_charge),
            modifiers=tuple(filter(None, identifier[2:6])),
            units=text(loop.service, at_units) or loop.units,
            service_on=loop.serviced[0],
        )

    def _procedure(self, loop: _Loop) -> str:
        if not loop.service:
            return ""
        at = _SERVICES[loop.service[0]][0]
        identifier = components(loop.service, at, self._transaction.component)
        return identifier[1] if len(identifier) > 1 else text(loop.service, 1)

    def _units(self, loop: _Loop) -> int | None:
        """Return the units that were granted: HSD02, else the service's own; None where they are no whole number."""
        stated = loop.units or (text(loop.service, _SERVICES[loop.service[0]][2]) if loop.service else "")
        whole, _, part = stated.partition(".")
        if not whole.isdecimal() or part.strip("0") or int(whole) > _MOST_UNITS:
            return None
        return int(whole)

    def _take_findings(self) -> tuple[Finding, ...]:
        findings, self._findings = tuple(self._findings), []
        return self._levels.take_findings() + findings

    def _find(self, code: str, place: str, detail: str) -> None:
        self._findings.append(Finding(code, place, detail))


_DETAILS: Final[Mapping[str, Callable[[_Reviews, _Loop, Segment], None]]] = {
    "TRN": _Reviews.take_trn,
    "UM": _Reviews.take_um,
    "HCR": _Reviews.take_hcr,
    "REF": _Reviews.take_ref,
    "DTP": _Reviews.take_dtp,
    "HSD": _Reviews.take_hsd,
    "HI": _Reviews.take_hi,
    **dict.fromkeys(_SERVICES, _Reviews.take_service),
}
