"""The plain evaluator: rule by rule, predicate by predicate. What it decides is what the language means. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Final

from shared.rules.engine import Allowance, CompiledRules, Decision, Evaluation, Outcome, Verdict
from shared.rules.facts import FactSource
from shared.rules.holds import evidence, holds, observed
from shared.rules.model import Condition, Not, Predicate, Rule
from shared.rules.reading import invalid

NOTHING: Final = Evaluation()


@dataclass(frozen=True, slots=True)
class Plan:
    """One trigger's rules in the order in which they are tried. eager: the facts they name that cost no query."""

    rules: tuple[Rule, ...]
    eager: tuple[str, ...]

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> "Plan":
        """Return the plan of one trigger's rules, whatever their order."""
        ordered = tuple(sorted(rules, key=rank))
        named = dict.fromkeys(
            leaf.fact for rule in ordered for leaf in predicates(rule.when) if not leaf.lazy
        )
        return cls(ordered, tuple(named))

    def evaluate(self, facts: FactSource, on: date, allowance: Allowance | None) -> Evaluation:
        """Decide one event by these rules, as `RuleSet.evaluate` says."""
        for name in self.eager:  # so that mismatches do not depend on which rules were decided early
            facts.get(name)
        decisions = []
        for rule in self.rules:
            if rule.in_effect(on) and holds(rule.when, facts, on):
                decisions.append(decide(rule, facts, on, allowance))
                if rule.stop and rule.mode == "live":
                    break
        return Evaluation(tuple(decisions), len(facts.mismatches))


class RuleSet:
    """One customer's rules, indexed by trigger. Immutable: safe to share between threads, built anew on a change.

    Raises PoisonError (`invalid_rule`) if two versions of a rule are in effect on the same day: both would act.
    """

    __slots__ = ("_plans",)

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        given = tuple(rules)
        check_versions(given)
        self._plans = {trigger: Plan.of(tried) for trigger, tried in by_trigger(given).items()}

    def evaluate(
        self, trigger: str, facts: FactSource, on: date, *, allowance: Allowance | None = None
    ) -> Evaluation:
        """Decide one event as of a day. Total: what is wrong in an event's facts makes a predicate false.

        allowance: counts against limits per window. Without one, a rule that has such limits is escalated.
        Raises:
            TransientError: a lazy fact or the allowance could not be had for now. Nack.
        """
        plan = self._plans.get(trigger)
        return NOTHING if plan is None else plan.evaluate(facts, on, allowance)


class PlainEngine:
    """Compiles rules into a `RuleSet`."""

    def compile(self, rules: Iterable[Rule], since: CompiledRules | None = None) -> RuleSet:  # noqa: ARG002 - the port's
        """Compile rules in any order. since: not used, everything is made anew.

        Raises:
            PoisonError: two versions of a rule are in effect on the same day (`invalid_rule`).
        """
        return RuleSet(rules)


def evaluate(
    rules: Sequence[Rule],
    trigger: str,
    facts: FactSource,
    on: date,
    *,
    allowance: Allowance | None = None,
) -> Evaluation:
    """Decide one event by rules that are not kept. The pipeline keeps a `RuleSet` instead, whose errors these are."""
    return RuleSet(rules).evaluate(trigger, facts, on, allowance=allowance)


def decide(rule: Rule, facts: FactSource, on: date, allowance: Allowance | None = None) -> Decision:
    """Return what a rule whose condition holds wants, within its limits.

    Raises:
        TransientError: the amount at stake or the allowance could not be had for now. Nack.
    """
    limits = rule.limits
    amount = facts.get(limits.amount_fact) if limits.amount_fact else None
    at_stake = amount if isinstance(amount, int) else None
    limited_by, consulted = _verdict(rule, at_stake, allowance)
    outcome: Outcome = "shadow" if rule.mode == "shadow" else "escalated" if limited_by else "fired"
    explanation = tuple(evidence(rule.when, facts, on))
    if limited_by in {"amount_over_cents", "amount_unknown"} and limits.amount_over_cents is not None:
        limit = Predicate(limits.amount_fact or "", "lte", limits.amount_over_cents)
        explanation = (*explanation, observed(limit, facts, holds=False))
    return Decision(
        rule.id,
        rule.version,
        rule.mode,
        outcome,
        rule.then,
        explanation,
        limited_by,
        consulted,
        at_stake,
        rule.on_error,
    )


def _verdict(rule: Rule, at_stake_cents: int | None, allowance: Allowance | None) -> Verdict:
    limits = rule.limits
    if limits.amount_over_cents is not None:
        if at_stake_cents is None:
            return Verdict("amount_unknown")
        if at_stake_cents > limits.amount_over_cents:
            return Verdict("amount_over_cents")
    if allowance is not None:
        return allowance.verdict(rule, at_stake_cents, acts=rule.mode == "live")
    return Verdict("windows" if limits.windows else "")


def check_versions(rules: Iterable[Rule]) -> None:
    """Return if no two versions of a rule, whatever their mode, are in effect on the same day.

    Raises:
        PoisonError: two are (`invalid_rule`); names them.
    """
    by_id: defaultdict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        by_id[rule.id].append(rule)
    for versions in by_id.values():
        for one, other in combinations(versions, 2):
            if _overlap(one, other):
                where = f"{one.id}, versions {one.version} and {other.version}"
                raise invalid("$.effective_from", f"{where}, are in effect on the same day")


def _overlap(one: Rule, other: Rule) -> bool:
    first, last = date.min, date.max
    begins = max(one.effective_from or first, other.effective_from or first)
    return one.version == other.version or begins <= min(
        one.effective_until or last, other.effective_until or last
    )


def rank(rule: Rule) -> tuple[int, str, int]:
    """Return what rules are tried in the order of."""
    return -rule.priority, rule.id, rule.version


def by_trigger(rules: Iterable[Rule]) -> Mapping[str, list[Rule]]:
    """Return the rules that are looked at, by trigger."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.mode != "off":
            found.setdefault(rule.trigger, []).append(rule)
    return found


def predicates(condition: Condition) -> Iterator[Predicate]:
    """Yield every predicate of a condition, in the order of its text."""
    if isinstance(condition, Predicate):
        yield condition
    elif isinstance(condition, Not):
        yield from predicates(condition.of)
    else:
        for part in condition.of:
            yield from predicates(part)
