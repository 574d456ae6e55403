"""Rules of one trigger, answered together: each fact is looked up once, whatever the number of rules that ask it.

One bit of a Python integer stands for each conjunction of each rule. Every fact has a column of masks (`columns`); the
bits that are left when the masks of an event's values are joined are the conjunctions that are true of it. Pure.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from operator import itemgetter
from typing import Any, Final, NamedTuple

from shared.rules.columns import (
    BUDGET_BYTES,
    MISTYPED,
    Column,
    Keyed,
    Listed,
    MaskOf,
    Numbers,
    Range,
    Terms,
    build_listed,
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
FEW_BITS: Final = 8  # a list of as many is searched as fast as a set of them
RANK: Final = itemgetter(0)  # what matches are looked at in the order of

Values = Mapping[str, object]  # coerced facts by name; MISTYPED for one of another type


class Match(NamedTuple):
    """A rule that may fire, and whether it does for certain; if not, it is to be asked. rank: when it is tried."""

    rank: tuple[int, str, int]
    rule: Rule
    certain: bool


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


class Named(NamedTuple):
    """A column of text that has the masks of all values there are: any other's is `otherwise`."""

    fact: str
    mask: MaskOf
    otherwise: int


class Index:
    """The columns of some rules. Immutable but for the masks that it remembers.

    owners: by bit, its rule as a match. starts: by rule, its first bit. doubtful: the bits in doubt.
    """

    __slots__ = (
        "between", "doubtful", "keyed", "listed", "named", "owners", "rules", "size", "starts", "tried"
    )  # fmt: skip

    def __init__(self, rules: Iterable[Rule], declared: Catalogue, budget_bytes: int = BUDGET_BYTES) -> None:
        """rules: of one trigger, in any order. budget_bytes: of the masks of one column."""
        self.rules = tuple(sorted(rules, key=rank))
        self.owners: list[Match] = []
        self.starts: list[int] = []
        uses: defaultdict[Place, defaultdict[Terms, list[int]]] = defaultdict(lambda: defaultdict(list))
        in_doubt: list[int] = []
        for rule in self.rules:
            self.starts.append(len(self.owners))
            match = Match(rank(rule), rule, certain=True)
            for terms, doubtful in conjunctions(rule.when):
                bit = len(self.owners)
                self.owners.append(match)
                if doubtful:
                    in_doubt.append(bit)
                for place, said in _by_place(terms, declared):
                    uses[place][said].append(bit)
        self.size = len(self.owners)
        self.doubtful = frozenset(in_doubt)
        self.named: list[Named] = []
        self.keyed: list[tuple[str, Column]] = []
        self.listed: list[Listed] = []
        self.between: list[Between] = []
        self.tried: list[tuple[Place, Range]] = []
        for place, by_terms in sorted(uses.items(), key=lambda item: -sum(map(len, item[1].values()))):
            self._add(place, by_terms, declared.facts[place.fact].type, most_masks(self.size, budget_bytes))

    def _add(self, place: Place, uses: Mapping[Terms, list[int]], kind: FactType, most: int) -> None:
        match kind:
            case "string" | "code" | "boolean":
                column = Keyed(uses, self.size, most)
                if column.complete:
                    self.named.append(Named(place.fact, column.get, column.otherwise))
                else:
                    self.keyed.append((place.fact, column))
            case "number":
                self.keyed.append((place.fact, Numbers(uses, self.size, most)))
            case "list[code]":
                self.listed.append(build_listed(place.fact, uses, self.size, most))
            case _:
                self._add_range(place, build_range(uses, self.size, most))

    def _add_range(self, place: Place, found: Range) -> None:
        if place.relative or found.doubts:
            self.tried.append((place, found))
        else:
            self.between.append(Between(place.fact, found.points, found.masks, found.missing, found.mistyped))

    def matches(  # noqa: C901, PLR0912 - what every event goes through: a call for each kind would cost as much
        self, values: Values, on: date, live: int
    ) -> list[Match]:
        """Return the rules that may fire, in the order in which they are tried. live: the bits that count."""
        get: Callable[[str], Any] = values.get
        for fact, mask_of_value, otherwise in self.named:
            live &= mask_of_value(get(fact), otherwise)
        for fact, masks in self.keyed:
            live &= masks[get(fact)]
        for fact, missing, mistyped, present, included, excluded in self.listed:
            codes = get(fact)
            if codes is None:
                live &= missing
            elif codes is MISTYPED:
                live &= mistyped
            else:
                for code in codes:
                    present |= included(code, 0)  # noqa: PLW2901 - this list's, from here on
                live &= present
                if excluded is not None:
                    for code in codes:
                        live ^= live & excluded(code, 0)
        for fact, points, between, missing, mistyped in self.between:
            value = get(fact)
            if value is None:
                live &= missing
            elif value is MISTYPED:
                live &= mistyped
            else:
                live &= between[bisect_right(points, value)]
        if not live:
            return []
        return self._owned(self._try(live, get, on) if self.tried else bits_of(live))

    def _try(self, live: int, get: Callable[[str], object], on: date) -> list[int]:
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
        bits = bits_of(live)
        for column, region, key in doubtful:  # last, when the masks of all facts have left few
            open_ = bits if len(bits) <= FEW_BITS else set(bits)
            for bit in column.doubts[region]:
                if bit in open_ and not true_of(column.terms[bit], key):
                    bits.remove(bit)
        return bits

    def _owned(self, bits: Sequence[int]) -> list[Match]:
        """Return the rules of these bits. Those of one rule are beside each other."""
        owners, doubtful = self.owners, self.doubtful
        found: list[Match] = []
        last = None
        for bit in bits:
            match = owners[bit]
            if match is not last and bit not in doubtful:
                found.append(match)
                last = match
        return self._with_doubtful(found, bits) if doubtful else found

    def _with_doubtful(self, certain: list[Match], bits: Iterable[int]) -> list[Match]:
        """Return the matches with those rules that only a bit in doubt speaks for."""
        sure = {id(match) for match in certain}
        asked = {id(match): match for bit in bits if id(match := self.owners[bit]) not in sure}
        return sorted([*certain, *(match._replace(certain=False) for match in asked.values())], key=RANK)

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
