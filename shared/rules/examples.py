"""A rule carries examples of what it is meant to do; here they are held against what it does. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from shared.rules.evaluator import predicates
from shared.rules.explain import explain
from shared.rules.facts import Catalogue, GivenFacts
from shared.rules.holds import holds
from shared.rules.model import Example, Rule

DEFAULT_ON: Final = date(2026, 1, 1)  # any day will do for a rule that asks about none


@dataclass(frozen=True, slots=True)
class Failure:
    """An example that a rule does not keep. index: 0-based place. explanation: the condition in ✓ and ✗."""

    rule_id: str
    rule_version: int
    index: int
    problem: str
    explanation: str = ""


def check_examples(rule: Rule, declared: Catalogue | None = None) -> list[Failure]:
    """Return the examples that the rule's condition does not keep; empty if it keeps all.

    Asks the condition alone: mode, effective dates and limits do not change what a rule is meant for. A rule without
    both kinds of example is not shown to tell anything apart, which is a failure too (index -1).
    """
    failures = [
        failure
        for index, example in enumerate(rule.examples)
        if (failure := _check(rule, index, example, declared)) is not None
    ]
    return failures + list(_missing_kinds(rule))


def _check(rule: Rule, index: int, example: Example, declared: Catalogue | None) -> Failure | None:
    if example.on is None and any(leaf.op == "within_days" for leaf in predicates(rule.when)):
        return Failure(rule.id, rule.version, index, "the rule asks about dates: say `on` which day")
    on = example.on or rule.effective_from or DEFAULT_ON
    facts = GivenFacts(example.given, on, declared=declared)
    if holds(rule.when, facts, on) is (example.expect == "fires"):
        return None
    problem = "fires and should not" if example.expect == "does_not_fire" else "does not fire and should"
    return Failure(rule.id, rule.version, index, problem, str(explain(rule, facts, on)))


def _missing_kinds(rule: Rule) -> Iterator[Failure]:
    shown = {example.expect for example in rule.examples}
    for kind in ("fires", "does_not_fire"):
        if kind not in shown:
            yield Failure(rule.id, rule.version, -1, f"no example of {kind}")
