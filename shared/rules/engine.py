"""What an engine takes and gives. `evaluator.PlainEngine` says what is meant, `indexed.IndexedEngine` does the work."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol, TypedDict

from shared.rules.facts import FactSource
from shared.rules.model import Action, Mode, Rule
from shared.rules.values import Json

Outcome = Literal[
    "fired",  # do the actions
    "escalated",  # a limit was reached: a person decides whether the actions are done
    "shadow",  # write it down and do nothing
]
LimitedBy = Literal[
    "",
    "amount_over_cents",  # more money than the rule may act on alone
    "amount_unknown",  # the rule has such a limit, and the event does not say how much is at stake
    "windows",  # the count or sum of a window is reached, or nobody is there who counts
]


class Evidence(TypedDict):
    """A predicate that made a rule fire, as JSON: under a `not`, one that does not hold. actual: null if missing."""

    fact: str
    op: str
    value: Json
    actual: Json
    holds: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What one rule version says about one event. Only `fired` may be acted on without a person.

    limited_by: which limit was reached, for a shadow rule too. explanation: the evidence in the order of the rule's
    text; where an `any` had a choice, the first that decided it; then the limit that was reached.
    """

    rule_id: str
    rule_version: int
    mode: Mode
    outcome: Outcome
    actions: tuple[Action, ...]
    explanation: tuple[Evidence, ...]
    limited_by: LimitedBy = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The decisions by priority, and how many facts of the event were not of their declared type.

    mismatches: counts facts that the trigger's rules name, lazy ones only if they were asked for.
    """

    decisions: tuple[Decision, ...] = ()
    mismatches: int = 0


class Allowance(Protocol):
    """What is left of a rule's limits per window. Counts live where two workers cannot both pass."""

    def covers(self, rule: Rule, amount_cents: int | None) -> bool:
        """Whether the rule may act once more, on this much money (None: unknown), within all of its windows.

        Raises:
            TransientError: the counts could not be read. Nack.
        """
        ...


class CompiledRules(Protocol):
    """One customer's rules, ready for events. Immutable: build another when a rule changes, and share it at will."""

    def evaluate(
        self, trigger: str, facts: FactSource, on: date, *, allowance: Allowance | None = None
    ) -> Evaluation:
        """Decide one event as of a day. Total: what is wrong in an event's facts makes a predicate false.

        Raises:
            TransientError: a lazy fact or the allowance could not be had for now. Nack.
        """
        ...


class RuleEngine(Protocol):
    """Turns rules into their compiled form."""

    def compile(self, rules: Iterable[Rule], since: CompiledRules | None = None) -> CompiledRules:
        """Compile rules in any order. since: what they were before; what did not change may be taken from it.

        Raises:
            PoisonError: two versions of a rule are in effect on the same day (`invalid_rule`).
        """
        ...
