"""Dates as DTP segments and their like write them. Pure: no I/O.

Source: ASC X12 005010, data element 1250 (D8: a day, RD8: from a day to a day, DT: a day with a time).
"""

from datetime import date

from shared.formats.x12.elements import Segment, day, element

Period = tuple[date | None, date | None]


def period(dtp: Segment) -> Period:
    """Return the first and last day that a DTP states; of a single day that one twice, and (None, None) for no date."""
    first, _, last = element(dtp, 3).partition("-")
    begins = day(first[:8])
    return begins, day(last[:8]) if last else begins


def first_day(dtp: Segment) -> date | None:
    """Return the first day that a DTP states; None where that is no date."""
    return period(dtp)[0]
