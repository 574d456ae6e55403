"""Why a rule does or does not fire: every predicate beside what the event said. Slow, and asks every fact."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from shared.rules.engine import Evidence
from shared.rules.facts import FactSource
from shared.rules.holds import holds, observed, predicate_holds
from shared.rules.model import AnyOf, Condition, Not, Predicate, Rule
from shared.rules.values import Json


@dataclass(frozen=True, slots=True)
class Explained:
    """A group (`all`, `any`, `not`) with its parts, or a predicate. mistyped: the event's value is of another type."""

    kind: str
    holds: bool
    parts: tuple["Explained", ...] = ()
    evidence: Evidence | None = None
    mistyped: bool = False

    def __str__(self) -> str:
        return "\n".join(_lines(self, 0))


def explain(rule: Rule, facts: FactSource, on: date) -> Explained:
    """Return the rule's condition as a tree of what holds; `str()` of it is the tree in ✓ and ✗.

    Raises:
        TransientError: a lazy fact could not be computed for now.
    """
    return _explained(rule.when, facts, on)


def _explained(condition: Condition, facts: FactSource, on: date) -> Explained:
    if isinstance(condition, Predicate):
        true = predicate_holds(condition, facts, on)
        seen = observed(condition, facts, holds=true)
        return Explained("predicate", true, evidence=seen, mistyped=condition.fact in facts.mismatches)
    if isinstance(condition, Not):
        part = _explained(condition.of, facts, on)
        return Explained("not", not part.holds, (part,))
    kind = "any" if isinstance(condition, AnyOf) else "all"
    return Explained(
        kind, holds(condition, facts, on), tuple(_explained(part, facts, on) for part in condition.of)
    )


def _lines(node: Explained, depth: int) -> Iterator[str]:
    yield f"{'  ' * depth}{'✓' if node.holds else '✗'} {_said(node)}"
    for part in node.parts:
        yield from _lines(part, depth + 1)


def _said(node: Explained) -> str:
    if node.evidence is None:
        return node.kind
    seen = node.evidence
    actual = "of another type" if node.mistyped else _plain(seen["actual"])
    return f"{seen['fact']} {seen['op']} {_plain(seen['value'])} (is {actual})"


def _plain(value: Json) -> str:
    match value:
        case None:
            return "missing"
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{', '.join(_plain(item) for item in value)}]"
        case _:
            return str(value)
