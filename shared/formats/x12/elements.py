"""Elements of X12 segments as values: amounts, dates, codes, text. Pure: no I/O.

A segment is the list that splitting it gives: `segment[0]` is its id, `segment[4]` its fourth element.
Source: ASC X12 005010, data element types R, N0, DT, ID and AN.
"""

import re
from datetime import date
from functools import lru_cache
from typing import Final

from shared.domain.money import cents
from shared.formats.code_sets import is_code

Segment = list[str]

MAX_TEXT: Final = 500  # the guides end at 80 characters; beyond this an element is a lost separator
_CENTS: Final = 2
_QUALIFIER: Final = 2
_MAX_DIGITS: Final = 15
_REAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:E[+-]?[0-9]{1,3})?").fullmatch


class ElementError(Exception):
    """An element that cannot mean what it should. Readers turn it into an UnreadableError, with the segment's place.

    element: such as `CLP04`. detail: never quotes its content.
    """

    def __init__(self, element: str, detail: str) -> None:
        super().__init__(element)
        self.element = element
        self.detail = detail


def element(segment: Segment, position: int) -> str:
    """Return the element at a position, without the spaces around it; empty if it was left out."""
    return segment[position].strip() if position < len(segment) else ""


def text(segment: Segment, position: int) -> str:
    """Return an element that may be left out.

    Raises:
        ElementError: it is longer than any real one.
    """
    value = segment[position].strip() if position < len(segment) else ""
    if len(value) > MAX_TEXT:
        raise ElementError(_name(segment, position), "longer than any real one")
    return value


def required(segment: Segment, position: int) -> str:
    """Return an element that must be there.

    Raises:
        ElementError: it is not, or is longer than any that is.
    """
    value = text(segment, position)
    if not value:
        raise ElementError(_name(segment, position), "missing")
    return value


def code(segment: Segment, position: int) -> str:
    """Return an opaque code, such as a claim adjustment reason.

    Raises:
        ElementError: it is missing, or not one to five letters and digits.
    """
    value = segment[position] if position < len(segment) else ""
    if not is_code(value):
        value = value.strip()
        if not is_code(value):
            raise ElementError(_name(segment, position), "not a code" if value else "missing")
    return value


def components(segment: Segment, position: int, separator: str) -> list[str]:
    """Return the components of an element. Some senders write another separator than ISA16 announces.

    Each composite that we read begins with a code of two characters, so that theirs is the third.
    Raises:
        ElementError: the element is longer than any real one.
    """
    value = text(segment, position)
    if separator not in value and len(value) > _QUALIFIER and not value[_QUALIFIER].isalnum():
        separator = value[_QUALIFIER]
    return value.split(separator)


def amount(segment: Segment, position: int) -> int:
    """Return a monetary amount in cents.

    Raises:
        ElementError: it is missing, not a number, or larger than any real remittance.
    """
    value = segment[position] if position < len(segment) else ""
    usual = _usual_amount(value)
    return _odd_amount(value.strip(), _name(segment, position)) if usual is None else usual


def optional_amount(segment: Segment, position: int) -> int:
    """Return a monetary amount in cents, and 0 where it was left out.

    Raises:
        ElementError: it is there, and not an amount.
    """
    return amount(segment, position) if element(segment, position) else 0


@lru_cache(maxsize=4096)
def day(value: str) -> date | None:
    """Return a date as X12 writes it: CCYYMMDD, or YYMMDD in the interchange header; None if it is neither."""
    digits = value if len(value) != len("YYMMDD") else "20" + value
    if len(digits) != len("CCYYMMDD") or not digits.isdecimal():
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


# Amounts repeat, within a file and across files: looking one up costs a third of working it out.
@lru_cache(maxsize=16384)
def _usual_amount(value: str) -> int | None:
    """Return an amount in its usual forms, "34" and "34.5" and "34.50", in cents; None for any other."""
    whole, _, part = value.partition(".")
    if len(part) <= _CENTS and len(value) <= _MAX_DIGITS and whole.isdecimal() and value.isascii():
        if not part:
            return int(whole) * 100
        if part.isdecimal():
            return int(whole + part) if len(part) == _CENTS else int(whole + part) * 10
    return None


def _odd_amount(value: str, name: str) -> int:
    if not value:
        raise ElementError(name, "missing")
    if not _REAL(value):
        raise ElementError(name, "not an amount")
    try:
        return cents(value)
    except (ValueError, ArithmeticError) as exc:
        raise ElementError(name, "not an amount") from exc


def _name(segment: Segment, position: int) -> str:
    return f"{segment[0]}{position:02d}"
