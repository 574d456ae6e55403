"""`when`: read from a document, checked against the facts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.rules.facts import Catalogue, Fact
from shared.rules.model import All, AnyOf, Condition, Not, Predicate
from shared.rules.operators import OPERATORS
from shared.rules.reading import fields, invalid, items, one_of

MAX_DEPTH: Final = 16
MAX_PARTS: Final = 100


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule's conditions may name: the facts that its trigger carries."""

    declared: Catalogue
    trigger: str

    def fact(self, raw: object, place: str) -> Fact:
        """Return a declared fact.

        Raises:
            PoisonError: there is no such fact, or the trigger never carries it, so that it would always be missing.
        """
        fact = self.declared.facts.get(raw) if isinstance(raw, str) else None
        if fact is None:
            raise invalid(place, "not a declared fact")
        if self.trigger not in fact.triggers:
            raise invalid(place, f"{self.trigger} does not carry {fact.name}")
        return fact


def parse_condition(raw: object, place: str, scope: Scope, *, depth: int = 0) -> Condition:
    """Return the condition at `place`.

    Raises:
        PoisonError: not a condition (`invalid_rule`, with the JSON path).
    """
    if depth >= MAX_DEPTH:
        raise invalid(place, f"nested deeper than {MAX_DEPTH}")
    if not isinstance(raw, Mapping):
        raise invalid(place, "a condition is needed: all, any, not, or a fact with an operator and a value")
    if "fact" in raw:
        return _predicate(raw, place, scope)
    return _group(raw, place, scope, depth + 1)


def _group(raw: Mapping[str, object], place: str, scope: Scope, depth: int) -> Condition:
    if len(raw) != 1:
        raise invalid(place, "one of all, any, not is needed, alone")
    kind = one_of(next(iter(raw)), place, ("all", "any", "not"))
    below = f"{place}.{kind}"
    if kind == "not":
        return Not(parse_condition(raw[kind], below, scope, depth=depth))
    parts = tuple(
        parse_condition(part, f"{below}[{index}]", scope, depth=depth)
        for index, part in enumerate(items(raw[kind], below, least=1, most=MAX_PARTS))
    )
    return All(parts) if kind == "all" else AnyOf(parts)


def _predicate(raw: Mapping[str, object], place: str, scope: Scope) -> Predicate:
    entry = fields(raw, place, required=("fact", "op", "value"))
    fact = scope.fact(entry["fact"], f"{place}.fact")
    name = one_of(entry["op"], f"{place}.op", OPERATORS)
    operator = OPERATORS[name]
    if fact.type not in operator.types:
        raise invalid(f"{place}.op", f"{name} does not apply to {fact.name}, which is {fact.type}")
    try:
        operand = operator.shape(fact.type, entry["value"])
    except ValueError as exc:
        raise invalid(f"{place}.value", f"{fact.name} is {fact.type}: {exc}") from exc
    return Predicate(fact.name, name, operand, fact.lazy)
