"""Lint: what it finds, and that what it calls a contradiction never matches and a tautology always does."""

import importlib.util
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.rules.facts import catalogue
from shared.rules.holds import holds
from shared.rules.language import parse_rule
from shared.rules.lint import Finding, errors, lint
from shared.rules.loader import read_pack
from shared.rules.model import Rule
from shared.rules.reason import always_holds, implies, never_holds

ON = date(2026, 2, 3)


def _generated() -> ModuleType:
    """Return the generators of rules and events; tests are no package."""
    path = Path(__file__).with_name("test_indexed.py")
    spec = importlib.util.spec_from_file_location("generated_rules", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATED = _generated()


def carc(op: str = "eq", value: object = "29") -> dict[str, object]:
    return {"fact": "denial.carc", "op": op, "value": value}


def amount(op: str, value: object) -> dict[str, object]:
    return {"fact": "denial.amount_cents", "op": op, "value": value}


def rule(name: str, when: object = None, **fields: object) -> Rule:
    document: dict[str, object] = {
        "id": name,
        "version": 1,
        "name": name,
        "trigger": "claim.denied",
        "when": when or carc(),
        "then": [{"action": "notify", "params": {"title": name}}],
        "mode": "live",
    }
    return parse_rule(document | fields)


def found(*rules: Rule) -> list[tuple[str, str, str]]:
    """Return code, rule and place of what is found, but for examples: these rules have none."""
    return [(f.code, f.rule_id, f.place) for f in lint(rules, ON) if f.code != "example"]


def condition(when: object) -> Rule:
    return rule("r", when)


@pytest.mark.parametrize(
    "when",
    [
        {"all": [carc(), carc(value="50")]},
        {"all": [carc(), {"not": carc("in", ["29", "50"])}]},
        {"all": [carc(), carc("exists", False)]},
        {"all": [amount("gt", 5), amount("lt", 6)]},
        {"all": [amount("between", [1, 3]), amount("gt", 3)]},
        {"all": [carc(), carc("starts_with", "5")]},
        {"all": [{"fact": "claim.service_on", "op": "within_days", "value": [0, 3]},
                 {"fact": "claim.service_on", "op": "within_days", "value": [4, 9]}]},
        {"all": [{"fact": "denial.remarks", "op": "contains", "value": "N1"},
                 {"not": {"fact": "denial.remarks", "op": "contains_any", "value": ["N1", "N2"]}}]},
        {"all": [{"fact": "payer.denial_rate_change", "op": "gt", "value": 0.5},
                 {"fact": "payer.denial_rate_change", "op": "lt", "value": 0.5}]},
        {"not": {"any": [carc("exists", True), {"not": carc("exists", True)}]}},
    ],
)  # fmt: skip
def test_a_contradiction_is_found_and_so_is_its_opposite(when: object) -> None:
    assert never_holds(condition(when).when)
    assert always_holds(condition({"not": when}).when)
    assert found(condition(when)) == [("contradiction", "r", "$.when")]
    assert ("tautology", "r", "$.when") in found(condition({"not": when}))


@pytest.mark.parametrize(
    "when",
    [
        {"all": [amount("gt", 5), amount("lt", 7)]},
        {"all": [{"fact": "payer.denial_rate_change", "op": "gt", "value": 5},
                 {"fact": "payer.denial_rate_change", "op": "lt", "value": 6}]},
        {"all": [carc("starts_with", "1"), carc("matches", "2.*")]},  # nobody can tell
        {"any": [carc("exists", True), carc("exists", False)]},
        {"all": [{"fact": "denial.remarks", "op": "contains", "value": "N1"},
                 {"not": {"fact": "denial.remarks", "op": "contains", "value": "N2"}}]},
    ],
)  # fmt: skip
def test_what_can_be_true_and_false_is_left_alone(when: object) -> None:
    assert not never_holds(condition(when).when)
    assert not always_holds(condition(when).when)


@settings(max_examples=400)
@given(GENERATED.CONDITIONS, st.lists(GENERATED.events(), min_size=1, max_size=5))
def test_a_contradiction_never_holds_and_a_tautology_always_does(
    when: object, happened: list[Mapping[str, object]]
) -> None:
    one = GENERATED.parsed("r", when).when
    for event in happened:
        true = holds(one, GENERATED.Asked(event).facts, GENERATED.ON)
        assert not (true and never_holds(one))
        assert true or not always_holds(one)


@settings(max_examples=200)
@given(GENERATED.CONDITIONS, GENERATED.CONDITIONS, st.lists(GENERATED.events(), min_size=1, max_size=3))
def test_what_implies_another_never_holds_without_it(
    one: object, other: object, happened: list[Mapping[str, object]]
) -> None:
    first, second = GENERATED.parsed("r", {"all": [one, other]}).when, GENERATED.parsed("s", one).when
    if implies(first, second):
        for event in happened:
            facts = GENERATED.Asked(event).facts
            assert not holds(first, facts, GENERATED.ON) or holds(second, facts, GENERATED.ON)


def test_more_of_the_same_implies_less() -> None:
    one, other = rule("r", {"all": [carc(), amount("gt", 500)]}), rule("s", carc("in", ["29", "50"]))
    assert implies(one.when, other.when)
    assert not implies(other.when, one.when)


def test_a_part_that_can_never_be_true_is_found() -> None:
    when = {"any": [carc(), {"all": [carc(value="50"), carc(value="97")]}]}
    assert found(rule("r", when)) == [("dead-alternative", "r", "$.when")]


def test_two_rules_that_say_the_same_in_another_order_are_found() -> None:
    then = [{"action": "notify", "params": {"title": "t"}}]
    one = rule("a", {"all": [carc(), amount("gt", 5)]}, then=then)
    other = rule("b", {"all": [amount("gt", 5), carc()]}, then=then)
    assert found(one, other) == [("duplicate", "b", "$.when")]
    assert found(one, rule("b", {"all": [amount("gt", 5), carc()]})) == []
    for mode in ("off", "shadow"):
        assert found(one, rule("b", {"all": [carc(), amount("gt", 5)]}, then=then, mode=mode)) == []


def test_two_rules_with_too_many_alternatives_to_compare_are_not_called_the_same() -> None:
    then = [{"action": "notify", "params": {"title": "t"}}]

    def one_of(first: int, count: int) -> object:
        return {"any": [amount("eq", cents) for cents in range(first, first + count)]}

    one = rule("a", {"all": [one_of(0, 12), one_of(6, 14)]}, then=then)
    other = rule("b", {"all": [one_of(0, 12), one_of(6, 15)]}, then=then)
    assert not [finding for finding in found(one, other) if finding[0] == "duplicate"]


def test_a_rule_behind_one_that_stops_is_found() -> None:
    first = rule("a", carc("in", ["29", "50"]), stop=True, priority=1)
    behind = rule("b", {"all": [carc(), amount("gt", 5)]})
    assert found(first, behind) == [("shadowed", "b", "$.priority")]
    assert found(rule("a", carc("in", ["29"]), stop=True, mode="shadow", priority=1), behind) == []
    assert found(first, rule("b", amount("gt", 5))) == []
    assert found(rule("a", stop=True, priority=1, effective_from="2026-01-01"), behind) == []
    assert found(first, rule("b", {"all": [carc(), amount("gt", 5)]}, priority=2)) == []


def again(name: str, asks: str, does: str) -> Rule:
    when = {"all": [{"fact": "action.type", "op": "eq", "value": asks}]}
    return rule(name, when, trigger="action.failed", then=[{"action": does}])


def test_rules_that_set_each_other_off_are_found() -> None:
    one = again("one", "check_claim_status", "submit_reauth_request")
    two = again("two", "submit_reauth_request", "check_claim_status")
    assert found(one, two) == [("cycle", "one", "$.then"), ("cycle", "two", "$.then")]
    assert any("one → two → one" in finding.problem for finding in lint([one, two], ON))
    assert found(one) == []
    assert found(again("self", "check_claim_status", "check_claim_status")) == [("cycle", "self", "$.then")]


def test_a_rule_whose_days_are_over_is_found() -> None:
    assert found(rule("r", effective_until="2026-02-02")) == [("expired", "r", "$.effective_until")]
    assert found(rule("r", effective_until="2026-02-03")) == []


def test_an_operator_that_needs_its_fact_is_pointed_at_with_its_place() -> None:
    when = {"all": [amount("gt", 5), {"not": {"any": [carc("ne", "29"), carc("exists", True)]}}]}
    assert found(rule("r", when)) == [("needs-its-fact", "r", "$.when.all[1].not.any[0]")]


def test_examples_that_are_not_kept_are_errors() -> None:
    broken = rule("r", examples=[{"given": {"denial.carc": "50"}, "expect": "fires"}])
    places = [(f.place, f.severity) for f in lint([broken], ON) if f.code == "example"]
    assert places == [("$.examples", "error"), ("$.examples[0]", "error")]


def test_nothing_is_wrong_with_the_starter_rules() -> None:
    findings: list[Finding] = lint([draft.rule for draft in read_pack()], ON)
    assert errors(findings) == []
    assert {finding.severity for finding in findings} <= {"note"}


def test_every_fact_can_be_reasoned_about() -> None:
    for fact in catalogue().facts.values():
        trigger = min(fact.triggers)
        exists = {"fact": fact.name, "op": "exists", "value": True}
        assert not never_holds(rule("r", exists, trigger=trigger).when)
