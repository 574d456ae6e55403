"""What can be said of conditions without an event: which never hold, which always do, which imply others. Pure.

Facts are taken one by one, each as free to be anything of its type, missing, or of another type. So a contradiction
that is found is one, whatever comes; one that follows only from how two facts hang together is not found.
"""

from collections import defaultdict
from typing import Final

from shared.rules.columns import (
    OTHER,
    Terms,
    codes_of,
    in_days,
    named_values,
    possible,
    true_of,
    true_of_missing,
    true_of_mistyped,
)
from shared.rules.model import All, AnyOf, Condition, Not, Predicate
from shared.rules.normal_form import Term, conjunctions

PATTERNS: Final = frozenset({"substring", "starts_with", "matches"})
LISTS: Final = frozenset({"contains", "contains_any"})


def never_holds(condition: Condition) -> bool:
    """Whether no event can make the condition true, as far as can be told."""
    found = conjunctions(_asked_at_once(condition))
    return all(not can_hold(terms) for terms, _ in found)


def always_holds(condition: Condition) -> bool:
    """Whether every event makes the condition true, as far as can be told."""
    return never_holds(Not(condition))


def implies(one: Condition, other: Condition) -> bool:
    """Whether whatever makes the first true makes the second true, as far as can be told."""
    return never_holds(All((one, Not(other))))


def dead_parts(condition: Condition) -> int:
    """Return how many of the condition's alternatives can never be true."""
    return sum(not can_hold(terms) for terms, _ in conjunctions(_asked_at_once(condition)))


def shape(condition: Condition) -> frozenset[frozenset[Term]] | None:
    """Return what two conditions have in common that say the same with their parts in another order.

    None if the condition has too many alternatives to tell.
    """
    found = conjunctions(_asked_at_once(condition))
    if any(in_doubt for _, in_doubt in found):
        return None
    return frozenset(frozenset(terms) for terms, _ in found)


def can_hold(terms: Terms) -> bool:
    """Whether there are values that make all terms true; yes, if that cannot be told."""
    by_fact: defaultdict[str, list[Term]] = defaultdict(list)
    for term in terms:
        by_fact[term.predicate.fact].append(term)
    return all(_possible(tuple(said)) for said in by_fact.values())


def _possible(terms: Terms) -> bool:
    if true_of_missing(terms) or true_of_mistyped(terms):
        return True
    there = tuple(term for term in terms if term.predicate.op != "exists")
    if any(not true_of((term,), OTHER) for term in terms if term not in there):
        return False
    days = tuple(in_days(term) for term in there if term.predicate.op == "within_days")
    others = tuple(term for term in there if term.predicate.op != "within_days")
    return (not days or possible(days)) and (not others or _possible_value(others))


def _possible_value(terms: Terms) -> bool:
    """Whether a value can make terms true that all look at it."""
    ops = {term.predicate.op for term in terms}
    if ops & LISTS:
        return _possible_list(terms)
    values = named_values(terms)
    if ops & PATTERNS:  # of a text that rules do not name nobody can tell
        exact = any(term.predicate.op in {"eq", "in"} and not term.negated for term in terms)
        return not exact or any(true_of(terms, value) for value in values)
    if all(isinstance(value, bool) for value in values):
        return any(true_of(terms, value) for value in (True, False))
    if all(isinstance(value, str) for value in values):
        return any(true_of(terms, value) for value in (OTHER, *values))
    return possible(terms)


def _possible_list(terms: Terms) -> bool:
    """Whether a list can have what is wanted of it and nothing of what is not."""
    unwanted = {code for term in terms if term.negated for code in codes_of(term.predicate)}
    return all(set(codes_of(predicate)) - unwanted for predicate, negated in terms if not negated)


def _asked_at_once(condition: Condition) -> Condition:
    """Return the condition as if no fact of it cost a query."""
    if isinstance(condition, Predicate):
        return Predicate(condition.fact, condition.op, condition.value)
    if isinstance(condition, Not):
        return Not(_asked_at_once(condition.of))
    group = All if isinstance(condition, All) else AnyOf
    return group(tuple(_asked_at_once(part) for part in condition.of))
