"""The operators: for each, the types it takes, what its value has to look like, and when it is true. Pure.

A test sees only facts that are present and of their type: `conditions` makes everything else false.
`exists` alone also looks at absence, and is spelt out there.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final, cast

from shared.rules.patterns import compiled
from shared.rules.values import FactType, MismatchError, Value, coerce

Operand = Value | tuple[Value, ...]
Test = Callable[[Value, Operand, date], bool]
Shape = Callable[[FactType, object], Operand]

MAX_CHOICES: Final = 1000
MAX_DAYS: Final = 36_500

TEXT: Final[frozenset[FactType]] = frozenset({"string", "code"})
ORDERED: Final[frozenset[FactType]] = frozenset({"integer", "money", "number", "date"})
LISTS: Final[frozenset[FactType]] = frozenset({"list[code]"})
COMPARED: Final[frozenset[FactType]] = TEXT | ORDERED
ALL: Final[frozenset[FactType]] = COMPARED | LISTS | {"boolean"}


@dataclass(frozen=True, slots=True)
class Operator:
    """types: of the facts it applies to. shape: turns a rule's raw value into the operand, or raises ValueError."""

    types: frozenset[FactType]
    shape: Shape
    test: Test


def one(kind: FactType, raw: object) -> Value:
    """Return a single value of the fact's type; for a list fact, one of its elements."""
    wanted: FactType = "code" if kind == "list[code]" else kind
    try:
        value = coerce(wanted, raw)
    except MismatchError as exc:
        raise ValueError(f"{_shown(raw)} is {exc}{_hint(wanted, raw)}") from exc
    if value is None:
        raise ValueError("a value is needed; for a fact that is missing use exists")
    return value


def many(kind: FactType, raw: object) -> Operand:
    """Return a list of one to MAX_CHOICES values."""
    if not isinstance(raw, list | tuple) or not 0 < len(raw) <= MAX_CHOICES:
        raise ValueError(f"a list of 1 to {MAX_CHOICES} values is needed")
    return tuple(one(kind, item) for item in raw)


def pair(kind: FactType, raw: object) -> Operand:
    """Return the two ends of a range, the lower first, both part of it."""
    if not isinstance(raw, list | tuple) or len(raw) != 2:  # noqa: PLR2004 - a pair
        raise ValueError("a list of two values is needed: the lowest and the highest, both included")
    low, high = one(kind, raw[0]), one(kind, raw[1])
    if operator.gt(low, high):
        raise ValueError("the first value is above the second: it would never be true")
    return (low, high)


def days(_kind: FactType, raw: object) -> Operand:
    """Return a range of days counted from the evaluation date, negative before it: [-30, 0] is the last 30 days."""
    low, high = cast("tuple[int, int]", pair("integer", raw))
    if not -MAX_DAYS <= low <= high <= MAX_DAYS:
        raise ValueError(f"days are counted from {-MAX_DAYS} to {MAX_DAYS}")
    return (low, high)


def pattern(_kind: FactType, raw: object) -> Value:
    """Return a pattern from the safe subset."""
    if not isinstance(raw, str):
        raise ValueError("a pattern is text")  # noqa: TRY004 - every shape raises ValueError
    return compiled(raw).pattern


def flag(_kind: FactType, raw: object) -> Value:
    """Return true or false."""
    return one("boolean", raw)


def _shown(raw: object) -> str:
    return repr(raw)[:40]


def _hint(wanted: FactType, raw: object) -> str:
    number = isinstance(raw, int | float) and not isinstance(raw, bool)
    return '; codes are text: put it in quotes, "29"' if wanted == "code" and number else ""


def _compare(function: Callable[..., object]) -> Test:
    return lambda actual, operand, _on: bool(function(actual, operand))


def _between(actual: Value, operand: Operand, _on: date) -> bool:
    low, high = cast("tuple[Value, Value]", operand)
    return bool(operator.le(low, actual)) and bool(operator.le(actual, high))


def _in(actual: Value, operand: Operand, _on: date, *, wanted: bool) -> bool:
    return (actual in cast("tuple[Value, ...]", operand)) is wanted


def _contains_any(actual: Value, operand: Operand, _on: date) -> bool:
    present = cast("tuple[str, ...]", actual)
    return any(code in present for code in cast("tuple[str, ...]", operand))


def _starts_with(actual: Value, operand: Operand, _on: date) -> bool:
    return cast("str", actual).startswith(cast("str", operand))


def _matches(actual: Value, operand: Operand, _on: date) -> bool:
    return compiled(cast("str", operand)).fullmatch(cast("str", actual)) is not None


def _within_days(actual: Value, operand: Operand, on: date) -> bool:
    low, high = cast("tuple[int, int]", operand)
    return low <= (cast("date", actual) - on).days <= high


def _exists(_actual: Value, operand: Operand, _on: date) -> bool:
    return operand is True


OPERATORS: Final[Mapping[str, Operator]] = {
    "eq": Operator(COMPARED | {"boolean"}, one, _compare(operator.eq)),
    "ne": Operator(COMPARED | {"boolean"}, one, _compare(operator.ne)),
    "gt": Operator(ORDERED, one, _compare(operator.gt)),
    "gte": Operator(ORDERED, one, _compare(operator.ge)),
    "lt": Operator(ORDERED, one, _compare(operator.lt)),
    "lte": Operator(ORDERED, one, _compare(operator.le)),
    "between": Operator(ORDERED, pair, _between),
    "in": Operator(COMPARED, many, partial(_in, wanted=True)),
    "not_in": Operator(COMPARED, many, partial(_in, wanted=False)),
    "contains": Operator(LISTS, one, _compare(operator.contains)),
    "contains_any": Operator(LISTS, many, _contains_any),
    "substring": Operator(TEXT, one, _compare(operator.contains)),
    "starts_with": Operator(TEXT, one, _starts_with),
    "matches": Operator(TEXT, pattern, _matches),
    "exists": Operator(ALL, flag, _exists),
    "within_days": Operator(frozenset({"date"}), days, _within_days),
}
