"""Rules of one trigger that name a code, kept apart by it: an event asks only those that name one of its own. Pure.

Of a hundred thousand rules most name a payer, a procedure or a reason. Each of those is in one segment for every code
by which it can fire; a rule with an alternative that names none is not routed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, NamedTuple, cast

from shared.rules.facts import Catalogue
from shared.rules.model import Rule
from shared.rules.normal_form import Term, conjunctions
from shared.rules.segment import Match, Segment, Values

MOST: Final = 4  # codes by which one rule can fire
CODED: Final = frozenset({"string", "code", "list[code]"})
NAMING: Final = frozenset({"eq", "in", "contains", "contains_any"})


class Code(NamedTuple):
    """A value that an event has, or one of a list that it has."""

    fact: str
    value: str


@dataclass(frozen=True, slots=True)
class Routes:
    """Segments by fact and code. common: in how many terms each code was when they were made. count: rules now."""

    declared: Catalogue
    common: Mapping[Code, int]
    segments: Mapping[str, Mapping[str, Segment]]
    count: int

    @classmethod
    def of(cls, rules: Sequence[Rule], declared: Catalogue, budget_bytes: int) -> "tuple[Routes, list[Rule]]":
        """Return the routes of these rules, and the rules that have none."""
        ways = [_ways(rule, declared) for rule in rules]
        common = Counter(code for way in ways for terms in way for codes in terms for code in codes)
        by_code: defaultdict[str, defaultdict[str, list[Rule]]] = defaultdict(lambda: defaultdict(list))
        others = []
        for rule, way in zip(rules, ways, strict=True):
            chosen = _chosen(way, common)
            if not chosen:
                others.append(rule)
            for code in chosen:
                by_code[code.fact][code.value].append(rule)
        segments = {
            fact: {value: Segment.of(named, declared, budget_bytes) for value, named in by_value.items()}
            for fact, by_value in by_code.items()
        }
        return cls(declared, common, segments, len(rules) - len(others)), others

    def matches(self, values: Values, on: date) -> list[Match]:
        """Return the rules that may fire, in no order; one may be there twice."""
        found: list[Match] = []
        for fact, by_value in self.segments.items():
            value = values.get(fact)
            for code in value if isinstance(value, tuple) else (value,):
                segment = by_value.get(cast("str", code))
                if segment is not None:
                    found += segment.index.matches(values, on, segment.live)
        return found

    def without(self, rules: Iterable[Rule]) -> "Routes":
        """Return the routes without these; what has none does not matter. No mask is made anew."""
        gone: defaultdict[Code, list[Rule]] = defaultdict(list)
        for rule in rules:
            for code in _chosen(_ways(rule, self.declared), self.common):
                gone[code].append(rule)
        segments = {fact: dict(by_value) for fact, by_value in self.segments.items()}
        dropped: set[int] = set()
        for code, named in gone.items():
            before = segments.get(code.fact, {}).get(code.value)
            if before is None:
                continue
            dropped.update(id(rule) for rule in named if before.index.bits_of_rule(rule))
            segments[code.fact][code.value] = before.without(named)
        return replace(self, segments=segments, count=self.count - len(dropped)) if dropped else self

    def rules(self) -> Iterator[Rule]:
        """Yield the rules that are still there, each once."""
        seen: set[int] = set()
        for by_value in self.segments.values():
            for segment in by_value.values():
                for rule in segment.rules():
                    if id(rule) not in seen:
                        seen.add(id(rule))
                        yield rule


def _ways(rule: Rule, declared: Catalogue) -> list[list[tuple[Code, ...]]]:
    """Return, for each alternative of a rule, the codes of each of its terms that takes one of them to be true."""
    return [
        [codes for term in terms if (codes := _codes(term, declared))] for terms, _ in conjunctions(rule.when)
    ]


def _codes(term: Term, declared: Catalogue) -> tuple[Code, ...]:
    predicate = term.predicate
    if term.negated or predicate.op not in NAMING or declared.facts[predicate.fact].type not in CODED:
        return ()
    values = predicate.value if isinstance(predicate.value, tuple) else (predicate.value,)
    return tuple(Code(predicate.fact, cast("str", value)) for value in values)


def _chosen(ways: Sequence[Sequence[tuple[Code, ...]]], common: Mapping[Code, int]) -> set[Code]:
    """Return the codes under which to keep a rule, the rarest of each alternative; none if that does not work."""
    if not all(ways):
        return set()
    rarest = (min(terms, key=lambda codes: sum(common[code] for code in codes)) for terms in ways)
    chosen = {code for codes in rarest for code in codes}
    return chosen if len(chosen) <= MOST else set()
