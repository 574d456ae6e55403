"""One fact, and which conjunctions it leaves open: a mask for each value, one bit for each conjunction. Pure.

A mask has the bit of every conjunction that says nothing of the fact, or what it says is true of the value. What a
conjunction says of one fact is one tuple of terms (of a list, one term: see `Listed`); `uses` lists by it the bits of
the conjunctions that say so.
"""

import threading
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from math import ceil, inf
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from shared.rules.holds import TESTS
from shared.rules.model import Predicate
from shared.rules.normal_form import Term

if TYPE_CHECKING:
    from shared.rules.operators import Operand
    from shared.rules.values import Value

Terms = tuple[Term, ...]
Uses = Mapping[Terms, Sequence[int]]
MaskOf = Callable[[Any, int], int]  # of a value; the other argument if nobody names it
Key = Any  # what bisect compares: a whole number, a date, or a pair

MISTYPED: Final = object()  # the event has a value of another type
OTHER: Final = object()  # a value that no rule names
ANY_DAY: Final = date(2000, 1, 1)  # no test here asks for the day
ONE_DAY: Final = timedelta(days=1)
BUDGET_BYTES: Final = 4 * 1024 * 1024  # of one column's masks
LEAST_MASKS: Final = 4
OBJECT_BYTES: Final = 32  # of an integer, beside its digits
LISTED_BY_VALUE: Final = frozenset({"eq", "ne", "in", "not_in", "exists"})


def mask_of(bits: Iterable[int], size: int) -> int:
    """Return the mask that has these bits. size: of all masks of the set, in bits."""
    field = bytearray(size // 8 + 1)
    for bit in bits:
        field[bit >> 3] |= 1 << (bit & 7)
    return int.from_bytes(field, "little")


def mask_where(is_true: Callable[[Terms], bool], uses: Uses, size: int) -> int:
    """Return the mask of the conjunctions whose terms are true."""
    return mask_of((bit for terms, bits in uses.items() if is_true(terms) for bit in bits), size)


def silent_mask(uses: Uses, size: int) -> int:
    """Return the mask of the conjunctions that say nothing of the fact."""
    return ((1 << size) - 1) ^ mask_where(lambda _: True, uses, size)


def most_masks(size: int, budget_bytes: int = BUDGET_BYTES) -> int:
    """Return how many masks of `size` bits one column may keep."""
    return max(LEAST_MASKS, budget_bytes // (size // 8 + OBJECT_BYTES))


def true_of(terms: Terms, value: object) -> bool:
    """Whether all terms are true of a value that is there."""
    return all(
        TESTS[predicate.op](cast("Value", value), predicate.value, ANY_DAY) is not negated
        for predicate, negated in terms
    )


def true_of_missing(terms: Terms) -> bool:
    """Whether all terms are true of a fact that is missing."""
    return all(
        (predicate.op == "exists" and predicate.value is False) is not negated for predicate, negated in terms
    )


def true_of_mistyped(terms: Terms) -> bool:
    """Whether all terms are true of a value of another type: every predicate is false of one."""
    return all(negated for _, negated in terms)


class Column(dict[object, int]):
    """Masks by value, `None` for a missing one. Made when first asked for; the oldest are dropped beyond a bound.

    Safe under threads: a mask is read in one step, and kept under a lock.
    """

    __slots__ = ("_lock", "_most", "_silent", "_size")

    def __init__(self, uses: Uses, size: int, most: int) -> None:
        """size: bits of a mask. most: masks to remember."""
        super().__init__()
        self._size = size
        self._most = most
        self._lock = threading.Lock()
        self._silent = silent_mask(uses, size)
        self[None] = self._silent | mask_where(true_of_missing, uses, size)
        self[MISTYPED] = self._silent | mask_where(true_of_mistyped, uses, size)

    def _keep(self, value: object, mask: int) -> int:
        with self._lock:
            if len(self) > self._most:
                for oldest in list(self)[2 : 2 + self._most // 2]:  # the first two are kept for good
                    del self[oldest]
            self[value] = mask
        return mask


class Keyed(Column):
    """Of text, codes, and true or false: a value either is one that rules name, or is tried by their patterns.

    complete: the masks of all values that rules name are there, and any other's is `otherwise`.
    """

    __slots__ = ("_flips", "_tried", "complete", "otherwise")

    def __init__(self, uses: Uses, size: int, most: int) -> None:
        super().__init__(uses, size, most)
        by_value = {terms: bits for terms, bits in uses.items() if _by_value(terms)}
        self._tried = [(terms, bits) for terms, bits in uses.items() if terms not in by_value]
        self._flips: defaultdict[object, list[int]] = defaultdict(list)
        self.otherwise = self._silent | mask_where(lambda terms: true_of(terms, OTHER), by_value, size)
        for terms, bits in by_value.items():
            otherwise = true_of(terms, OTHER)
            for value in named_values(terms):
                if true_of(terms, value) is not otherwise:
                    self._flips[value].extend(bits)
        self.complete = not self._tried and len(self._flips) <= most
        if self.complete:
            for value in self._flips:
                self[value] = self._mask(value)
            self._flips.clear()

    def _mask(self, value: object) -> int:
        tried = (bit for terms, bits in self._tried if true_of(terms, value) for bit in bits)
        return self.otherwise ^ mask_of([*self._flips.get(value, ()), *tried], self._size)

    def __missing__(self, value: object) -> int:
        if value not in self._flips and not self._tried:
            return self.otherwise  # not kept: there is no end of values that nobody names
        return self._keep(value, self._mask(value))


class Elements(dict[str, int]):
    """Masks by code of a list: the bits of the conjunctions that name it. All of them, or those last asked for.

    Safe under threads: a mask is read in one step, and kept under a lock; beyond a bound all are dropped.
    """

    __slots__ = ("_bits", "_lock", "_most", "_size", "mask")

    def __init__(self, bits: Mapping[str, Sequence[int]], size: int, most: int) -> None:
        """mask: returns a code's mask, or what it is given for one that nobody names."""
        super().__init__()
        self._bits = bits
        self._size = size
        self._most = most
        self._lock = threading.Lock()
        self.mask: MaskOf = self._made
        if len(bits) <= most:
            self.update((code, mask_of(named, size)) for code, named in bits.items())
            self.mask = self.get
            self._bits = {}

    def _made(self, code: object, otherwise: int) -> int:
        known = self.get(cast("str", code))
        if known is not None:
            return known
        bits = self._bits.get(cast("str", code))
        if bits is None:
            return otherwise  # not kept: there is no end of codes that nobody names
        mask = mask_of(bits, self._size)
        with self._lock:
            if len(self) >= self._most:
                self.clear()
            self[cast("str", code)] = mask
        return mask


class Listed(NamedTuple):
    """Of lists of codes: a list leaves open `present`, what its codes include, and not what they exclude.

    So of one conjunction there is at most one term here that an element makes true; a second one is in a second column.
    A code opens no conjunction that wants the list to be missing.
    included, excluded: a code's mask, or the other argument for one that no rule names; excluded: None where no term
    excludes a code.
    """

    fact: str
    missing: int
    mistyped: int
    present: int
    included: MaskOf
    excluded: MaskOf | None


def build_listed(fact: str, uses: Uses, size: int, most: int) -> Listed:
    """Return the column of a list. most: masks to remember of either kind."""
    included: defaultdict[str, list[int]] = defaultdict(list)
    excluded: defaultdict[str, list[int]] = defaultdict(list)
    for terms, bits in uses.items():
        # What wants the list to be missing stays closed, whatever codes come.
        possible = true_of(tuple(term for term in terms if term.predicate.op == "exists"), ())
        for predicate, negated in terms:
            for code in codes_of(predicate):
                if negated:
                    excluded[code].extend(bits)
                elif possible:
                    included[code].extend(bits)
    silent = silent_mask(uses, size)
    return Listed(
        fact,
        missing=silent | mask_where(true_of_missing, uses, size),
        mistyped=silent | mask_where(true_of_mistyped, uses, size),
        present=silent | mask_where(lambda terms: true_of(terms, ()), uses, size),
        included=Elements(included, size, most).mask,
        excluded=Elements(excluded, size, most).mask if excluded else None,
    )


class Numbers(Column):
    """Of numbers with fractions, which have no next one: each is looked up, none is kept."""

    __slots__ = ("_range",)

    def __init__(self, uses: Uses, size: int, most: int) -> None:
        super().__init__(uses, size, most)
        self._range = build_range(
            {tuple(_paired(term) for term in terms): bits for terms, bits in uses.items()}, size
        )

    def __missing__(self, value: object) -> int:
        return self._range.masks[bisect_right(self._range.points, (value, 0))]


class Range(NamedTuple):
    """Of whole numbers and dates: `masks[i]` is that of values from `points[i - 1]` to before `points[i]`.

    doubts: for each mask the bits that are true of some of its values only; empty if there are none. terms: by bit,
    to try those.
    """

    points: list[Key]
    masks: list[int]
    missing: int
    mistyped: int
    doubts: list[tuple[int, ...]]
    terms: Mapping[int, Terms]


def build_range(uses: Uses, size: int, most: int | None = None) -> Range:
    """Return the masks between the points at which a term changes. most: masks to make; None for all it takes."""
    silent = silent_mask(uses, size)
    changes: defaultdict[Key, list[int]] = defaultdict(list)
    start: list[int] = []
    for terms, bits in uses.items():
        for point, true in _steps(terms):
            if point is not None:
                changes[point].extend(bits)
            elif true:
                start.extend(bits)
    points = sorted(changes)
    step = 1 if most is None else ceil((len(points) + 1) / most)
    masks, doubts = _sweep(silent | mask_of(start, size), [changes[point] for point in points], step, size)
    return Range(
        points=points[step - 1 :: step],
        masks=masks,
        missing=silent | mask_where(true_of_missing, uses, size),
        mistyped=silent | mask_where(true_of_mistyped, uses, size),
        doubts=doubts if step > 1 else [],
        terms={bit: terms for terms, bits in uses.items() for bit in bits} if step > 1 else {},
    )


def _sweep(
    first: int, changes: Sequence[Sequence[int]], step: int, size: int
) -> tuple[list[int], list[tuple[int, ...]]]:
    """Return a mask and its doubts for every `step` regions, from the lowest values to the highest."""
    field = bytearray(first.to_bytes(size // 8 + 1, "little"))
    masks: list[int] = []
    doubts: list[tuple[int, ...]] = []
    for at in range(0, len(changes) + 1, step):
        if at:
            _flip(field, changes[at - 1])
        within = [bit for change in changes[at : at + step - 1] for bit in change]
        mask = int.from_bytes(field, "little")
        masks.append(mask | mask_of(within, size) if within else mask)
        doubts.append(tuple(set(within)))
        _flip(field, within)
    return masks, doubts


def _flip(field: bytearray, bits: Iterable[int]) -> None:
    for bit in bits:
        field[bit >> 3] ^= 1 << (bit & 7)


def _steps(terms: Terms) -> Iterator[tuple[Key | None, bool]]:
    """Yield what is true of the lowest values, under None, and then each point from which on the truth is another."""
    points = sorted({point for term in terms for point in _points(term.predicate)})
    true = true_of(terms, _below(points[0]) if points else OTHER)
    yield None, true
    for point in points:
        if true_of(terms, point) is not true:
            true = not true
            yield point, true


def possible(terms: Terms) -> bool:
    """Whether a number or a date can make all terms true, each of which compares with one."""
    if any(isinstance(value, Decimal) for value in named_values(terms)):
        terms = tuple(_paired(term) for term in terms)
    return any(true for _, true in _steps(terms))


def _points(predicate: Predicate) -> Iterator[Key]:
    """Yield where the predicate may change: at a value, or at the next one after it."""
    low: Key
    high: Key
    match predicate.op:
        case "exists":
            return
        case "between":
            low, high = cast("tuple[Key, Key]", predicate.value)
            ends = [(low, high)]
        case "in" | "not_in":
            ends = [(value, value) for value in cast("tuple[Key, ...]", predicate.value)]
        case _:
            ends = [(predicate.value, predicate.value)]
    for low, high in ends:
        yield low
        following = _after(high)
        if following is not None:
            yield following


def _after(value: Key) -> Key | None:
    """Return the next value, or None after the last day there is."""
    if isinstance(value, tuple):
        return (value[0], 1)
    if isinstance(value, date):
        return value + ONE_DAY if value < date.max else None
    return value + 1


def _below(value: Key) -> Key:
    """Return what is below every value that is not the lowest of all."""
    if isinstance(value, tuple):
        return (-inf, 0)
    return date.min if isinstance(value, date) else -inf


def in_days(term: Term) -> Term:
    """Return a `within_days` as a range of whole days between the evaluation and the date."""
    predicate = term.predicate
    return Term(Predicate(predicate.fact, "between", predicate.value), term.negated)


def _paired(term: Term) -> Term:
    """Return the term over pairs (value, 0), so that (value, 1) can stand for what comes right after it."""
    predicate = term.predicate
    if predicate.op == "exists":
        return term
    operand: Any = predicate.value
    paired = tuple((v, 0) for v in operand) if isinstance(operand, tuple) else (operand, 0)
    return Term(Predicate(predicate.fact, predicate.op, cast("Operand", paired)), term.negated)


def _by_value(terms: Terms) -> bool:
    return all(term.predicate.op in LISTED_BY_VALUE for term in terms)


def named_values(terms: Terms) -> set[object]:
    """Return the values that terms name one by one."""
    found: set[object] = set()
    for predicate, _ in terms:
        if predicate.op != "exists":
            found.update(predicate.value if isinstance(predicate.value, tuple) else (predicate.value,))
    return found


def codes_of(predicate: Predicate) -> tuple[str, ...]:
    """Return the codes that a predicate of a list names."""
    if predicate.op == "exists":
        return ()
    operand = predicate.value
    return cast("tuple[str, ...]", operand if isinstance(operand, tuple) else (operand,))
