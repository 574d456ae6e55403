"""A condition as alternatives: each a conjunction of predicates and negated predicates. Pure.

Negations are pushed down to the predicates, and `all` is distributed over `any`. That can grow without bound, so it
does not: what would pass the bound is left out of its conjunction, which is then in doubt. So is one with a lazy fact.
A conjunction never leaves out more than that: where it is false, whatever was left out could not make it true.
"""

from collections.abc import Iterable
from itertools import product
from math import prod
from typing import Final, NamedTuple

from shared.rules.model import All, Condition, Not, Predicate

MAX_CONJUNCTIONS: Final = 128  # of one rule


class Term(NamedTuple):
    """A predicate, or its negation: the negation is true of a missing fact wherever the predicate is false of it."""

    predicate: Predicate
    negated: bool


class Conjunction(NamedTuple):
    """True where every term is, if not in doubt; where it is in doubt, nothing more than false where a term is."""

    terms: tuple[Term, ...]
    in_doubt: bool = False


NOTHING_KNOWN: Final = Conjunction((), in_doubt=True)


def conjunctions(condition: Condition) -> tuple[Conjunction, ...]:
    """Return alternatives, at most MAX_CONJUNCTIONS: the condition holds only if one of them is true.

    If a true one is not in doubt, it holds for certain.
    """
    return tuple(dict.fromkeys(_alternatives(condition, negated=False)))


def _alternatives(condition: Condition, *, negated: bool) -> list[Conjunction]:
    if isinstance(condition, Predicate):
        return [NOTHING_KNOWN if condition.lazy else Conjunction((Term(condition, negated),))]
    if isinstance(condition, Not):
        return _alternatives(condition.of, negated=not negated)
    parts = [_alternatives(part, negated=negated) for part in condition.of]
    if isinstance(condition, All) is not negated:
        return _every(parts)
    return _one_of(parts)


def _one_of(parts: Iterable[list[Conjunction]]) -> list[Conjunction]:
    found = [conjunction for part in parts for conjunction in part]
    return found if len(found) <= MAX_CONJUNCTIONS else [NOTHING_KNOWN]


def _every(parts: list[list[Conjunction]]) -> list[Conjunction]:
    """Return the product of the parts, the smallest first: they narrow most and grow least."""
    if all(len(part) == 1 for part in parts):
        return [_joined(part[0] for part in parts)]
    kept = sorted(parts, key=len)
    while prod(len(part) for part in kept) > MAX_CONJUNCTIONS:
        kept.pop()
    left_out = [[NOTHING_KNOWN]] if len(kept) < len(parts) else []
    return [_joined(chosen) for chosen in product(*kept, *left_out)]


def _joined(chosen: Iterable[Conjunction]) -> Conjunction:
    together = list(chosen)
    terms = dict.fromkeys(term for conjunction in together for term in conjunction.terms)
    return Conjunction(tuple(terms), any(conjunction.in_doubt for conjunction in together))
