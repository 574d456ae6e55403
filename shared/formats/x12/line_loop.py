"""One SVC loop of an 835: a service line, while its segments come. Pure: no I/O.

Source: 005010X221A1 and 004010X091A1, loop 2110 (service payment).
"""

from datetime import date
from typing import Final

from shared.domain.claims import Adjustment, ServiceLine
from shared.formats.x12.elements import Segment, amount, components, text

LINE_DATES: Final = frozenset({"472", "150"})  # the day of service, or the first of several


class LineLoop:
    """An SVC loop while its segments come."""

    __slots__ = ("adjustments", "allowed_cents", "place", "remarks", "service_on", "svc")

    def __init__(self, svc: Segment, place: str) -> None:
        self.svc = svc
        self.place = place
        self.allowed_cents: int | None = None
        self.service_on: date | None = None
        self.adjustments: list[Adjustment] = []
        self.remarks: list[str] = []

    def close(self, component: str) -> ServiceLine:
        """Return the line. Its revenue code stands in where it names no procedure.

        Raises:
            ElementError: its charge or payment is no amount.
        """
        svc = self.svc
        identifier = components(svc, 1, component)
        procedure, *modifiers = identifier[1:6] or identifier
        return ServiceLine(
            procedure=procedure or text(svc, 4),
            charge_cents=amount(svc, 2),
            paid_cents=amount(svc, 3),
            allowed_cents=self.allowed_cents,
            modifiers=tuple(filter(None, modifiers)),
            units=text(svc, 5),
            service_on=self.service_on,
            adjustments=tuple(self.adjustments),
            remarks=tuple(self.remarks),
        )
