"""A rule, parsed: frozen values that an engine may keep, share and pickle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from shared.domain.actions import OnError
from shared.domain.spending import Window
from shared.rules.operators import Operand

ActionType = Literal[
    "create_task",
    "submit_appeal",
    "submit_reauth_request",
    "hold_claim",
    "escalate",
    "notify",
    "check_claim_status",
    "check_authorization_status",
]
Mode = Literal["live", "shadow", "off"]
Expectation = Literal["fires", "does_not_fire"]


@dataclass(frozen=True, slots=True)
class Predicate:
    """`{fact, op, value}`. lazy: the fact costs a query."""

    fact: str
    op: str
    value: Operand
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    """True when `of` is not; so true of a missing fact wherever `of` needs one."""

    of: "Condition"

    @property
    def lazy(self) -> bool:
        """Whether it can cost a query."""
        return self.of.lazy


@dataclass(frozen=True, slots=True)
class All:
    """True when every one of `of` is. cheap_first: the same in the order in which engines try them."""

    of: "tuple[Condition, ...]"
    cheap_first: "tuple[Condition, ...]" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cheap_first", _cheap_first(self.of))

    @property
    def lazy(self) -> bool:
        """Whether it can cost a query."""
        return any(part.lazy for part in self.of)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True when at least one of `of` is. cheap_first: the same in the order in which engines try them."""

    of: "tuple[Condition, ...]"
    cheap_first: "tuple[Condition, ...]" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cheap_first", _cheap_first(self.of))

    @property
    def lazy(self) -> bool:
        """Whether it can cost a query."""
        return any(part.lazy for part in self.of)


Condition = Predicate | All | AnyOf | Not


def _cheap_first(parts: tuple[Condition, ...]) -> tuple[Condition, ...]:
    return tuple(sorted(parts, key=lambda part: part.lazy))


@dataclass(frozen=True, slots=True)
class Action:
    """What to do when the rule fires. params: as stated; `rule.schema.json` says what each action takes."""

    type: ActionType
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a rule may do without a person. amount_fact: the money at stake, which limits are about; None: none is."""

    windows: tuple[Window, ...] = ()
    amount_over_cents: int | None = None
    amount_fact: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where a rule comes from: the payer's policy or our own."""

    document: str
    section: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """What a rule is meant to do on given facts. on: the evaluation date, for rules that ask about dates."""

    given: Mapping[str, object]
    expect: Expectation
    on: date | None = None
    because: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule. Both ends of `effective_from..effective_until` are in effect; None is open.

    priority: higher first; equals by id. stop: once it fires live, no later rule is looked at.
    """

    id: str
    version: int
    name: str
    trigger: str
    when: Condition
    then: tuple[Action, ...]
    mode: Mode
    description: str = ""
    priority: int = 0
    stop: bool = False
    limits: Limits = Limits()
    on_error: OnError = "escalate"
    effective_from: date | None = None
    effective_until: date | None = None
    source: Source | None = None
    examples: tuple[Example, ...] = ()

    def in_effect(self, on: date) -> bool:
        """Whether the rule applies on a day, whatever its mode."""
        begun = self.effective_from is None or self.effective_from <= on
        return begun and (self.effective_until is None or on <= self.effective_until)
