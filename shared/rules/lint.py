"""What is wrong with rules, or looks so, before they act: each finding with a place and what to do about it. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final, Literal

from shared.domain.commands import PORTAL_ACTIONS
from shared.rules.evaluator import rank
from shared.rules.examples import check_examples
from shared.rules.model import All, AnyOf, Condition, Not, Predicate, Rule
from shared.rules.reason import always_holds, dead_parts, implies, never_holds, shape

if TYPE_CHECKING:
    from shared.rules.normal_form import Term

Severity = Literal["error", "warning", "note"]
Code = Literal[
    "invalid-rule",  # it does not load: its shape, a fact that is not declared, a value of another type
    "two-versions",  # two versions of a rule are in effect on the same day
    "example",  # an example is not kept, or one of a kind is missing
    "contradiction",  # the condition is never true
    "dead-alternative",  # a part of an `any` is never true
    "tautology",  # the condition is always true
    "duplicate",  # another rule says the same and does the same
    "shadowed",  # another rule with `stop` always comes first
    "cycle",  # rules set each other off without end
    "expired",  # the last day in effect is over
    "needs-its-fact",  # `ne` and `not_in` are false of a missing fact, and `not` is true of one
]
OUTCOMES: Final = frozenset({"action.succeeded", "action.failed", "action.escalated"})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one rule. place: a JSON path in its document. fix: what to do."""

    code: Code
    severity: Severity
    rule_id: str
    rule_version: int
    place: str
    problem: str
    fix: str


def lint(rules: Sequence[Rule], on: date) -> list[Finding]:
    """Return what is to be said of these rules together, as of a day. Examples are asked for of each."""
    found = [finding for rule in rules for finding in _alone(rule, on)]
    found += _pairs([rule for rule in rules if rule.mode != "off"])
    found += _cycles([rule for rule in rules if rule.mode == "live"])
    return sorted(found, key=lambda one: (one.rule_id, one.rule_version, one.place, one.code))


def _alone(rule: Rule, on: date) -> Iterator[Finding]:
    def finding(code: Code, severity: Severity, place: str, problem: str, fix: str) -> Finding:
        return Finding(code, severity, rule.id, rule.version, place, problem, fix)

    for failure in check_examples(rule):
        place = f"$.examples[{failure.index}]" if failure.index >= 0 else "$.examples"
        yield finding("example", "error", place, failure.problem, "change the example or the condition")
    if never_holds(rule.when):
        problem = "the condition is never true, whatever the event says"
        yield finding("contradiction", "error", "$.when", problem, "look at what is asked of one fact twice")
    elif always_holds(rule.when):
        problem = "the condition is always true, even of an empty event"
        yield finding("tautology", "error", "$.when", problem, "say when the rule is meant to fire")
    elif dead := dead_parts(rule.when):
        problem = f"{dead} of the condition's alternatives can never be true"
        yield finding("dead-alternative", "warning", "$.when", problem, "leave them out")
    if rule.effective_until is not None and rule.effective_until < on and rule.mode != "off":
        problem = f"the rule was in effect until {rule.effective_until}"
        yield finding("expired", "warning", "$.effective_until", problem, "set another day, or mode: off")
    for place, leaf in leaves(rule.when):
        if leaf.op in {"ne", "not_in"}:
            problem = f"{leaf.op} is false where {leaf.fact} is missing"
            positive = "eq" if leaf.op == "ne" else "in"
            yield finding(
                "needs-its-fact", "note", place, problem, f"use not: {positive} if it should be true then"
            )


def leaves(condition: Condition, place: str = "$.when") -> Iterator[tuple[str, Predicate]]:
    """Yield every predicate with its place in the document."""
    match condition:
        case Predicate():
            yield place, condition
        case Not(of=part):
            yield from leaves(part, f"{place}.not")
        case All(of=parts) | AnyOf(of=parts):
            kind = "all" if isinstance(condition, All) else "any"
            for nth, part in enumerate(parts):
                yield from leaves(part, f"{place}.{kind}[{nth}]")


def _pairs(rules: Sequence[Rule]) -> Iterator[Finding]:
    by_trigger: defaultdict[str, list[Rule]] = defaultdict(list)
    for rule in sorted(rules, key=rank):
        by_trigger[rule.trigger].append(rule)
    for tried in by_trigger.values():
        yield from _duplicates(tried)
        for nth, rule in enumerate(tried):
            if rule.stop and rule.mode == "live":
                yield from _shadowed(rule, tried[nth + 1 :])


def _duplicates(rules: Sequence[Rule]) -> Iterator[Finding]:
    alike: defaultdict[frozenset[frozenset[Term]], list[Rule]] = defaultdict(list)
    for rule in rules:
        says = shape(rule.when)
        if rule.mode != "live" or says is None:
            continue
        known = alike[says]
        twin = next((one for one in known if one.id != rule.id and _same_days(one, rule)), None)
        if twin is not None and twin.then == rule.then:
            problem = f"{twin.id} asks the same and does the same: both act"
            yield _of(rule, "duplicate", "warning", "$.when", problem, "keep one of them")
        known.append(rule)


def _shadowed(first: Rule, later: Iterable[Rule]) -> Iterator[Finding]:
    for rule in later:
        if rule.id != first.id and _covers(first, rule) and implies(rule.when, first.when):
            problem = f"{first.id} fires whenever this would, comes first and stops"
            fix = f"give it a higher priority than {first.priority}, or narrow {first.id}"
            yield _of(rule, "shadowed", "error", "$.priority", problem, fix)


def _of(rule: Rule, code: Code, severity: Severity, place: str, problem: str, fix: str) -> Finding:
    return Finding(code, severity, rule.id, rule.version, place, problem, fix)


def _same_days(one: Rule, other: Rule) -> bool:
    begins = max(one.effective_from or date.min, other.effective_from or date.min)
    return begins <= min(one.effective_until or date.max, other.effective_until or date.max)


def _covers(one: Rule, other: Rule) -> bool:
    """Whether the first is in effect on every day on which the second is."""
    return (one.effective_from or date.min) <= (other.effective_from or date.min) and (
        one.effective_until or date.max
    ) >= (other.effective_until or date.max)


def _cycles(rules: Sequence[Rule]) -> Iterator[Finding]:
    """Yield each rule that can set itself off again, through others or not."""
    follows = {
        rule.id: {other.id for other in rules if other.trigger in OUTCOMES and _sets_off(rule, other)}
        for rule in rules
    }
    for rule in rules:
        path = _way_back(rule.id, follows)
        if path:
            problem = f"what it does can set it off again: {' → '.join(path)}"
            fix = "ask for action.rule_id or action.type, so that the chain ends"
            yield _of(rule, "cycle", "error", "$.then", problem, fix)


def _sets_off(rule: Rule, other: Rule) -> bool:
    """Whether the outcome of an action of the first can fire the second."""
    comes_from = Predicate("action.rule_id", "eq", rule.id)
    return any(
        not never_holds(All((other.when, comes_from, Predicate("action.type", "eq", action.type))))
        for action in rule.then
        if action.type in PORTAL_ACTIONS
    )


def _way_back(start: str, follows: dict[str, set[str]]) -> Sequence[str]:
    """Return a shortest way from a rule back to itself, or nothing."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for following in sorted(follows[way[-1]]):
            if following == start:
                return (*way, start)
            if following not in seen:
                seen.add(following)
                ways.append((*way, following))
    return ()


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Return those for which rules are not applied."""
    return [finding for finding in findings if finding.severity == "error"]
