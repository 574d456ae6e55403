"""Rules of one trigger, answered together: each fact is looked up once, whatever the number of rules that ask it.

One bit of a Python integer stands for each conjunction of each rule. Every fact has a column of masks (`columns`); the
bits that are left when the masks of an event's values are joined are the conjunctions that are true of it. Pure.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, NamedTuple, cast

from shared.rules.columns import (
    BUDGET_BYTES,
    MISTYPED,
    Column,
    Keyed,
    Listed,
    Numbers,
    Range,
    Terms,
    build_range,
    in_days,
    mask_of,
    most_masks,
    true_of,
)
from shared.rules.evaluator import rank
from shared.rules.facts import Catalogue
from shared.rules.model import Rule
from shared.rules.normal_form import Term, conjunctions
from shared.rules.values import FactType

SMALL: Final = 1 << 2048  # a mask from which bits are taken one by one, and so
FEW: Final = 32  # many from any mask
COLUMNS: Final[Mapping[FactType, type[Column]]] = {
    "string": Keyed,
    "code": Keyed,
    "boolean": Keyed,
    "list[code]": Listed,
    "number": Numbers,
}

Values = Mapping[str, object]  # coerced facts by name; MISTYPED for one of another type
Match = tuple[Rule, bool]  # a rule that may fire, and whether it does for certain; if not, it is to be asked


class Place(NamedTuple):
    """A column: of a fact, of a date's distance from the evaluation, or of the nth term about one list."""

    fact: str
    relative: bool = False
    nth: int = 0


class Between(NamedTuple):
    """A column of whole numbers or dates whose masks are exact: as of `Range`, laid out for the loop over them."""

    fact: str
    points: list[Any]
    masks: list[int]
    missing: int
    mistyped: int


class Index:
    """The columns of some rules. Immutable but for the masks that it remembers.

    owners: by bit, its rule as a certain match. starts: by rule, its first bit. certain: the bits not in doubt.
    """

    __slots__ = ("between", "certain", "exact", "keyed", "owners", "rules", "size", "starts", "tried")

    def __init__(self, rules: Iterable[Rule], declared: Catalogue, budget_bytes: int = BUDGET_BYTES) -> None:
        """rules: of one trigger, in any order. budget_bytes: of the masks of one column."""
        self.rules = tuple(sorted(rules, key=rank))
        self.owners: list[Match] = []
        self.starts: list[int] = []
        uses: defaultdict[Place, defaultdict[Terms, list[int]]] = defaultdict(lambda: defaultdict(list))
        in_doubt: list[int] = []
        for rule in self.rules:
            self.starts.append(len(self.owners))
            match = (rule, True)
            for terms, doubtful in conjunctions(rule.when):
                bit = len(self.owners)
                self.owners.append(match)
                if doubtful:
                    in_doubt.append(bit)
                for place, said in _by_place(terms, declared):
                    uses[place][said].append(bit)
        self.size = len(self.owners)
        self.exact = not in_doubt
        self.certain = ((1 << self.size) - 1) ^ mask_of(in_doubt, self.size)
        self.keyed: list[tuple[str, Column]] = []
        self.between: list[Between] = []
        self.tried: list[tuple[Place, Range]] = []
        for place, by_terms in sorted(uses.items(), key=lambda item: -sum(map(len, item[1].values()))):
            self._add(place, by_terms, declared.facts[place.fact].type, most_masks(self.size, budget_bytes))

    def _add(self, place: Place, uses: Mapping[Terms, list[int]], kind: FactType, most: int) -> None:
        if kind in COLUMNS:
            self.keyed.append((place.fact, COLUMNS[kind](uses, self.size, most)))
            return
        found = build_range(uses, self.size, most)
        if place.relative or found.doubts:
            self.tried.append((place, found))
        else:
            self.between.append(Between(place.fact, found.points, found.masks, found.missing, found.mistyped))

    def matches(self, values: Values, on: date, live: int) -> list[Match]:
        """Return the rules that may fire, in the order in which they are tried. live: the bits that count."""
        get = values.get
        for fact, masks in self.keyed:
            live &= masks[get(fact)]
        for fact, points, between, missing, mistyped in self.between:
            value = get(fact)
            if value is None:
                live &= missing
            elif value is MISTYPED:
                live &= mistyped
            else:
                live &= between[bisect_right(points, cast("Any", value))]
        if self.tried and live:
            live = self._try(live, get, on)
        return self._owned(live) if live else []

    def _try(self, live: int, get: Callable[[str], object], on: date) -> int:
        doubtful: list[tuple[Range, int, object]] = []
        for place, column in self.tried:
            value: Any = get(place.fact)
            if value is None:
                live &= column.missing
            elif value is MISTYPED:
                live &= column.mistyped
            else:
                key = (value - on).days if place.relative else value
                region = bisect_right(column.points, key)
                live &= column.masks[region]
                if column.doubts:
                    doubtful.append((column, region, key))
        for column, region, key in doubtful:  # last, when the masks of all facts have left few
            for bit in bits_of(live & column.doubts[region]):
                if not true_of(column.terms[bit], key):
                    live ^= 1 << bit
        return live

    def _owned(self, live: int) -> list[Match]:
        """Return the rules of these bits. Those of one rule are beside each other."""
        owners = self.owners
        found: list[Match] = []
        last = None
        for bit in bits_of(live if self.exact else live & self.certain):
            match = owners[bit]
            if match is not last:
                found.append(match)
                last = match
        return found if self.exact else self._with_doubtful(found, live & ~self.certain)

    def _with_doubtful(self, certain: list[Match], doubtful: int) -> list[Match]:
        """Return the matches with those rules that only a bit in doubt speaks for."""
        asked = {id(match): match[0] for bit in bits_of(doubtful) for match in (self.owners[bit],)}
        for match in certain:
            asked.pop(id(match), None)
        return sorted([*certain, *((rule, False) for rule in asked.values())], key=rank_of)

    def bits_of_rule(self, rule: Rule) -> range:
        """Return the bits of a rule of this index; of any other, none."""
        at = bisect_left(self.rules, rank(rule), key=rank)
        if at == len(self.rules) or self.rules[at] is not rule:
            return range(0)
        return range(self.starts[at], self.starts[at + 1] if at + 1 < len(self.starts) else self.size)


@dataclass(frozen=True, slots=True)
class Segment:
    """An index and which of its rules are still there. live: their bits. count: how many rules."""

    index: Index
    live: int
    count: int

    @classmethod
    def of(cls, rules: Iterable[Rule], declared: Catalogue, budget_bytes: int = BUDGET_BYTES) -> "Segment":
        """Return the segment of these rules of one trigger. budget_bytes: of the masks of one column."""
        index = Index(rules, declared, budget_bytes)
        return cls(index, (1 << index.size) - 1, len(index.rules))

    @property
    def mostly_gone(self) -> bool:
        """Whether more rules are gone than there."""
        return 2 * self.count < len(self.index.rules)

    def rules(self) -> Iterator[Rule]:
        """Yield the rules that are still there."""
        for at, rule in enumerate(self.index.rules):
            if self.live >> self.index.starts[at] & 1:
                yield rule

    def without(self, rules: Iterable[Rule]) -> "Segment":
        """Return the segment without these; what is not in it does not matter. No mask is made anew."""
        gone = [bits for rule in rules if (bits := self.index.bits_of_rule(rule))]
        dropped = mask_of((bit for bits in gone for bit in bits), self.index.size)
        return replace(self, live=self.live & ~dropped, count=self.count - len(gone)) if gone else self


def rank_of(match: Match) -> tuple[int, str, int]:
    """Return what matches are looked at in the order of."""
    return rank(match[0])


def bits_of(mask: int) -> list[int]:
    """Return the places of the bits that are set, the lowest first."""
    if mask >= SMALL and mask.bit_count() > FEW:
        half = mask.bit_length() // 2
        high = mask >> half
        return bits_of(mask ^ (high << half)) + [half + bit for bit in bits_of(high)]
    found = []
    while mask:
        bit = mask.bit_length() - 1
        found.append(bit)
        mask ^= 1 << bit
    found.reverse()
    return found


def _by_place(terms: Terms, declared: Catalogue) -> Iterator[tuple[Place, Terms]]:
    places: defaultdict[Place, list[Term]] = defaultdict(list)
    for term in terms:
        place = Place(term.predicate.fact)
        if term.predicate.op == "within_days":
            place, term = place._replace(relative=True), in_days(term)  # noqa: PLW2901 - the same, counted in days
        elif declared.facts[place.fact].type == "list[code]":
            place = _next_of(place, term, places)
        places[place].append(term)
    for place, said in places.items():
        yield place, tuple(said)


def _next_of(place: Place, term: Term, places: Mapping[Place, list[Term]]) -> Place:
    """Return where a term about a list goes: to the first column that holds none that an element makes true."""
    if term.negated or term.predicate.op == "exists":
        return place
    while any(not said.negated and said.predicate.op != "exists" for said in places.get(place, ())):
        place = place._replace(nth=place.nth + 1)
    return place
