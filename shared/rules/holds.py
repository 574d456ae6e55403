"""Whether a condition holds of an event's facts, and which predicates made it so. Pure and total."""

from collections.abc import Iterator
from datetime import date
from typing import Final

from shared.rules.engine import Evidence
from shared.rules.facts import FactSource
from shared.rules.model import All, AnyOf, Condition, Not, Predicate
from shared.rules.operators import OPERATORS
from shared.rules.values import Json, Value, as_json

TESTS: Final = {name: operator.test for name, operator in OPERATORS.items()}
MAX_SHOWN: Final = 20  # elements of a list in an explanation


def holds(condition: Condition, facts: FactSource, on: date) -> bool:
    """Return the condition's truth, trying what costs a query last."""
    if isinstance(condition, Predicate):
        return predicate_holds(condition, facts, on)
    if isinstance(condition, Not):
        return not holds(condition.of, facts, on)
    if isinstance(condition, All):
        return all(holds(part, facts, on) for part in condition.cheap_first)
    return any(holds(part, facts, on) for part in condition.cheap_first)


def predicate_holds(predicate: Predicate, facts: FactSource, on: date) -> bool:
    """Return the predicate's truth: false of a fact that is missing or of another type, but for `exists: false`.

    Of a fact of another type both `exists` are false: something is there, and nobody can say what.
    """
    actual = facts.get(predicate.fact)
    if actual is None:
        absent = predicate.op == "exists" and predicate.value is False
        return absent and predicate.fact not in facts.mismatches
    return TESTS[predicate.op](actual, predicate.value, on)


def evidence(condition: Condition, facts: FactSource, on: date) -> Iterator[Evidence]:
    """Yield the predicates that made the condition come out as it did, in the order of its text.

    Asks for no fact that `holds` did not ask for.
    """
    if isinstance(condition, Predicate):
        yield observed(condition, facts, holds=predicate_holds(condition, facts, on))
    elif isinstance(condition, Not):
        yield from evidence(condition.of, facts, on)
    else:
        for part in _decisive(condition, facts, on):
            yield from evidence(part, facts, on)


def _decisive(group: All | AnyOf, facts: FactSource, on: date) -> tuple[Condition, ...]:
    """Return the one part that settled the group, or every part if it took all of them."""
    settles = isinstance(group, AnyOf)
    for part in group.cheap_first:
        if holds(part, facts, on) is settles:
            return (part,)
    return group.of


def observed(predicate: Predicate, facts: FactSource, *, holds: bool) -> Evidence:
    """Return a predicate beside what the event said."""
    return Evidence(
        fact=predicate.fact,
        op=predicate.op,
        value=as_json(predicate.value),
        actual=shown(facts.get(predicate.fact)),
        holds=holds,
    )


def shown(value: Value | None) -> Json:
    """Return a fact's value as JSON, a long list shortened to its first elements and the number of the others."""
    if isinstance(value, tuple) and len(value) > MAX_SHOWN:
        return [*value[:MAX_SHOWN], f"and {len(value) - MAX_SHOWN} more"]
    return as_json(value)
