"""What a raw JSON value means once its type is declared. Coerced once, at the edge; pure.

Missing and mistyped are kept apart: `None` is missing, `MismatchError` says there is something of another kind.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Final, Literal

FactType = Literal["string", "code", "integer", "money", "number", "date", "boolean", "list[code]"]
Value = str | int | Decimal | date | bool | tuple[str, ...]
Json = str | int | float | bool | list["Json"] | dict[str, "Json"] | None

MAX_TEXT: Final = 512  # characters; names in X12 are at most 60, and a longer text is not a name or a code
MAX_ITEMS: Final = 10_000
MAX_NUMBER: Final = 2**63 - 1  # what a BIGINT column and every JSON reader of ours can hold


class MismatchError(ValueError):
    """A value is present and not of the declared type."""


def coerce(kind: FactType, raw: object) -> Value | None:
    """Return `raw` as a fact of type `kind`, or None if it is missing: null, blank text, NaN or infinite.

    Numbers with a zero fraction are integers, as JSON Schema has it; a text of digits is not, and `True` is not 1.
    Raises:
        MismatchError: it is something else. In an event, count it; in a rule, refuse the rule.
    """
    return None if raw is None else COERCIONS[kind](raw)


def as_json(value: object) -> Json:
    """Return a coerced value in the form it has in a rule document."""
    match value:
        case None | bool() | str() | int():
            return value
        case date():
            return value.isoformat()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case tuple():
            return [as_json(item) for item in value]
        case _:
            raise TypeError(f"{type(value).__name__} is not a fact's value")


def _text(raw: object) -> str | None:
    if not isinstance(raw, str) or len(raw) > MAX_TEXT or not _storable(raw):
        raise MismatchError(f"not text of at most {MAX_TEXT} characters")
    return None if not raw or raw.isspace() else raw


def _storable(text: str) -> bool:
    """Whether PostgreSQL takes it: no NUL, no half of a surrogate pair. An explanation goes into the audit trail."""
    if "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _integer(raw: object) -> int | None:
    number = _number(raw)
    if number is not None and number != number.to_integral_value():
        raise MismatchError("not a whole number")
    return None if number is None else int(number)


def _whole(raw: object) -> int | None:
    if type(raw) is int and -MAX_NUMBER <= raw <= MAX_NUMBER:
        return raw
    return _integer(raw)


def _number(raw: object) -> Decimal | None:
    """Return an exact decimal: 0.1 in an event and 0.1 in a rule are the same number, whichever reader made them."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal):
        raise MismatchError("not a number")
    if isinstance(raw, float):
        if not isfinite(raw):
            return None
        raw = Decimal(repr(raw))
    elif isinstance(raw, Decimal) and not raw.is_finite():
        return None
    if not -MAX_NUMBER <= raw <= MAX_NUMBER:
        raise MismatchError("a number of more than 63 bits")
    return Decimal(raw)


def _date(raw: object) -> date | None:
    if isinstance(raw, date) and not isinstance(raw, datetime):
        return raw
    if not isinstance(raw, str):
        raise MismatchError("not a date, YYYY-MM-DD")
    return _iso_date(raw) if raw and not raw.isspace() else None


def _iso_date(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as exc:
        raise MismatchError("not a date, YYYY-MM-DD") from exc
    if day.isoformat() != text:  # Python reads the week and basic forms of ISO 8601 too
        raise MismatchError("not a date, YYYY-MM-DD")
    return day


def _boolean(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise MismatchError("not true or false")
    return raw


def _codes(raw: object) -> tuple[str, ...]:
    """Return the codes without blanks and nulls; one item of another type makes the whole list unusable."""
    if not isinstance(raw, list | tuple) or len(raw) > MAX_ITEMS:
        raise MismatchError(f"not a list of at most {MAX_ITEMS} codes")
    return tuple(code for item in raw if item is not None and (code := _text(item)) is not None)


COERCIONS: Final[Mapping[FactType, Callable[[object], Value | None]]] = {
    "string": _text,
    "code": _text,
    "integer": _whole,
    "money": _whole,
    "number": _number,
    "date": _date,
    "boolean": _boolean,
    "list[code]": _codes,
}
