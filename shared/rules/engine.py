"""What an engine takes and gives. `evaluator.PlainEngine` says what is meant, `indexed.IndexedEngine` does the work."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple, Protocol, TypedDict

from shared.domain.actions import OnError
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
    "windows",  # the count or sum of one of the rule's windows is reached, or nobody is there who counts
    "customer_windows",  # the same of the customer's own windows, over all of its rules
    "switched_off",  # somebody stopped the customer's rules, or one of the actions that this rule asks for
    "chain",  # the event comes from an action of a rule, that one from another, and so on, too often
]


class Evidence(TypedDict):
    """A predicate that made a rule fire, as JSON: under a `not`, one that does not hold. actual: null if missing."""

    fact: str
    op: str
    value: Json
    actual: Json
    holds: bool


class Consulted(TypedDict):
    """A window that was looked at before a rule acted, as JSON: what was used of it, without this time."""

    limit: Literal["rule", "customer"]
    days: int
    used_actions: int
    max_actions: int | None
    used_amount_cents: int
    max_amount_cents: int | None


class Verdict(NamedTuple):
    """Whether a rule may act without a person (`""`), and the windows that say so."""

    limited_by: LimitedBy = ""
    consulted: tuple[Consulted, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What one rule version says about one event. Only `fired` may be acted on without a person.

    limited_by: which limit was reached, for a shadow rule too. explanation: the evidence in the order of the rule's
    text; where an `any` had a choice, the first that decided it; then the limit that was reached. consulted: the
    windows that were looked at. at_stake_cents: the money that limits are about; None if nobody says. on_error: what
    becomes of an action that could not be done.
    """

    rule_id: str
    rule_version: int
    mode: Mode
    outcome: Outcome
    actions: tuple[Action, ...]
    explanation: tuple[Evidence, ...]
    limited_by: LimitedBy = ""
    consulted: tuple[Consulted, ...] = ()
    at_stake_cents: int | None = None
    on_error: OnError = "escalate"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The decisions by priority, and how many facts of the event were not of their declared type.

    mismatches: counts facts that the trigger's rules name, lazy ones only if they were asked for.
    """

    decisions: tuple[Decision, ...] = ()
    mismatches: int = 0


class Allowance(Protocol):
    """What a rule may still do without a person. Counts live where two workers cannot both pass."""

    def verdict(self, rule: Rule, amount_cents: int | None, *, acts: bool) -> Verdict:
        """Return whether the rule may act once more, on this much money (None: unknown); if so, it is counted.

        acts: False for a rule that only shows what it would do: it is told the same and not counted.
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
