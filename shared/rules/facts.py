"""Facts: what rules may ask. Declared once in `schemas/rules/facts.json`, coerced once, computed only when asked."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final, Literal, Protocol, cast

from shared.rules.values import FactType, MismatchError, Value, coerce

Counts = Literal["days_since", "days_until"]

DECLARED: Final = Path(__file__).resolve().parents[2] / "schemas" / "rules" / "facts.json"


@dataclass(frozen=True, slots=True)
class Derived:
    """A number of days between a date fact and the evaluation date, whatever the event itself says."""

    origin: str
    counts: Counts

    def days(self, origin: date, on: date) -> int:
        """Return the days; negative when `origin` lies on the other side of `on`."""
        return (on - origin).days if self.counts == "days_since" else (origin - on).days


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing a rule may ask. name: also its path in the event's data. triggers: the events that carry it.

    lazy: costs a query; asked for at most once per event, and only if the cheaper predicates leave the rule open.
    """

    name: str
    type: FactType
    triggers: frozenset[str]
    unit: str = ""
    description: str = ""
    source: str = ""
    lazy: bool = False
    derived: Derived | None = None
    path: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", tuple(self.name.split(".")))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All facts by name, and for each trigger the fact that says how much money is at stake (None: none does)."""

    facts: Mapping[str, Fact]
    amounts: Mapping[str, str | None]


@cache
def catalogue() -> Catalogue:
    """Return the facts as declared, read from disk once."""
    return read_catalogue(DECLARED.read_text(encoding="utf-8"))


def read_catalogue(text: str) -> Catalogue:
    """Return a catalogue from JSON of the form of `schemas/rules/facts.json`; the file's own test checks that form."""
    declared = json.loads(text)
    amounts = {trigger: entry["amount"] for trigger, entry in declared["triggers"].items()}
    return Catalogue({name: _fact(name, entry) for name, entry in declared["facts"].items()}, amounts)


def _fact(name: str, entry: Mapping[str, object]) -> Fact:
    return Fact(
        name=name,
        type=cast("FactType", entry["type"]),
        triggers=frozenset(cast("list[str]", entry["triggers"])),
        unit=str(entry["unit"] or ""),
        description=str(entry["description"]),
        source=str(entry["source"]),
        lazy=bool(entry["lazy"]),
        derived=_derived(cast("Mapping[str, str] | None", entry.get("derived"))),
    )


def _derived(entry: Mapping[str, str] | None) -> Derived | None:
    return Derived(entry["from"], cast("Counts", entry["as"])) if entry else None


class FactSource(Protocol):
    """Answers an engine's questions about one event."""

    @property
    def mismatches(self) -> AbstractSet[str]:
        """The facts asked so far whose value was not of the declared type."""
        ...

    def get(self, name: str) -> Value | None:
        """Return the fact's value; None if it is missing, of another type, or not declared.

        Raises:
            TransientError: a lazy fact could not be computed for now. Nack.
        """
        ...


class RememberedFacts(ABC):
    """Coerces each fact once and remembers the answer. Not for sharing between threads: one event, one evaluation."""

    __slots__ = ("_catalogue", "_mismatches", "_on", "_seen")

    def __init__(self, on: date, declared: Catalogue | None = None) -> None:
        self._catalogue = declared or catalogue()
        self._on = on
        self._seen: dict[str, Value | None] = {}
        self._mismatches: set[str] = set()

    @property
    def mismatches(self) -> AbstractSet[str]:
        """The facts asked so far whose value was not of the declared type."""
        return self._mismatches

    def get(self, name: str) -> Value | None:
        """Return the fact's value; None if it is missing, of another type, or not declared.

        Raises:
            TransientError: a lazy fact could not be computed for now. Nack.
        """
        if name in self._seen:
            return self._seen[name]
        fact = self._catalogue.facts.get(name)
        value = self._seen[name] = self._coerced(fact) if fact else None
        return value

    def _coerced(self, fact: Fact) -> Value | None:
        try:
            return coerce(fact.type, self._raw(fact))
        except MismatchError:
            self._mismatches.add(fact.name)
            return None

    def _days(self, derived: Derived) -> int | None:
        origin = self.get(derived.origin)
        if derived.origin in self._mismatches:
            raise MismatchError(derived.origin)
        return derived.days(origin, self._on) if isinstance(origin, date) else None

    @abstractmethod
    def _raw(self, fact: Fact) -> object:
        """Return the fact as its source has it; None if it has not."""


class EventFacts(RememberedFacts):
    """The facts of one event: from its decoded JSON data, the evaluation date, and `lazy`, each called once at most.

    A lazy fact comes from `lazy` alone and a derived one from its date alone: what the data says of them is ignored.
    """

    __slots__ = ("_data", "_lazy")

    def __init__(
        self,
        data: object,
        on: date,
        lazy: Mapping[str, Callable[[], object]] | None = None,
        *,
        declared: Catalogue | None = None,
    ) -> None:
        super().__init__(on, declared)
        self._data = data
        self._lazy = {} if lazy is None else lazy

    def _raw(self, fact: Fact) -> object:
        if fact.lazy:
            compute = self._lazy.get(fact.name)
            return compute() if compute else None
        if fact.derived:
            return self._days(fact.derived)
        return self._at(fact.path)

    def _at(self, path: tuple[str, ...]) -> object:
        found = self._data
        for step in path:
            if not isinstance(found, Mapping):
                return None
            found = found.get(step)
        return found


class GivenFacts(RememberedFacts):
    """Facts given by name, as in a rule's examples. A derived fact may be given, or follows from its date."""

    __slots__ = ("_given",)

    def __init__(self, given: Mapping[str, object], on: date, *, declared: Catalogue | None = None) -> None:
        super().__init__(on, declared)
        self._given = given

    def _raw(self, fact: Fact) -> object:
        if fact.derived and fact.name not in self._given:
            return self._days(fact.derived)
        return self._given.get(fact.name)
