"""Reads a document's fields, or says at which JSON path it is not what a rule has. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import TypeVar, cast

from shared.rules.values import MismatchError, coerce
from shared.runtime.errors import PoisonError, UnreadableError

Name = TypeVar("Name", bound=str)


def invalid(place: str, detail: str) -> PoisonError:
    """Return the error that refuses a rule. place: a JSON path, `$.when.all[0].value`."""
    return UnreadableError(detail, place=place, code="invalid_rule")


def fields(
    raw: object, place: str, *, required: Collection[str], optional: Collection[str] = ()
) -> Mapping[str, object]:
    """Return an object that has all required fields and none that is unknown; null counts as absent."""
    if not isinstance(raw, Mapping):
        raise invalid(place, "an object is needed")
    for name in raw:
        if name not in required and name not in optional:
            raise invalid(f"{place}.{name!s:.60}", "unknown field")
    for name in required:
        if raw.get(name) is None:
            raise invalid(f"{place}.{name}", "is needed")
    return {name: value for name, value in raw.items() if value is not None}


def items(raw: object, place: str, *, least: int = 0, most: int) -> Sequence[object]:
    """Return a list of a bounded length."""
    if not isinstance(raw, list | tuple) or not least <= len(raw) <= most:
        raise invalid(place, f"a list of {least} to {most} is needed")
    return raw


def text(raw: object, place: str, *, most: int) -> str:
    """Return a text of 1 to `most` characters."""
    if not isinstance(raw, str) or not raw.strip() or len(raw) > most:
        raise invalid(place, f"a text of 1 to {most} characters is needed")
    return raw


def whole(raw: object, place: str, *, least: int, most: int) -> int:
    """Return a whole number in a range."""
    if type(raw) is not int or not least <= raw <= most:
        raise invalid(place, f"a whole number from {least} to {most} is needed")
    return raw


def flag(raw: object, place: str) -> bool:
    """Return true or false."""
    if not isinstance(raw, bool):
        raise invalid(place, "true or false is needed")
    return raw


def day(raw: object, place: str) -> date:
    """Return a date."""
    try:
        value = coerce("date", raw)
    except MismatchError as exc:
        raise invalid(place, str(exc)) from exc
    if not isinstance(value, date):
        raise invalid(place, "a date is needed, YYYY-MM-DD")
    return value


def one_of(raw: object, place: str, names: Collection[Name]) -> Name:
    """Return one of `names`."""
    if not isinstance(raw, str) or raw not in names:
        raise invalid(place, f"one of {', '.join(names)} is needed")
    return cast("Name", raw)
