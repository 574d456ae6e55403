from datetime import date
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rules.documents import from_yaml
from shared.rules.evaluator import RuleSet, evaluate
from shared.rules.examples import check_examples
from shared.rules.explain import explain
from shared.rules.facts import EventFacts, GivenFacts
from shared.rules.language import parse_rule
from shared.rules.loader import Draft, load_rule, read_pack
from shared.rules.model import Rule

STARTERS = read_pack()
ON = date(2026, 2, 3)


def starter(name: str) -> Rule:
    return next(draft.rule for draft in STARTERS if draft.rule.id == name)


def test_there_are_eight_starter_rules() -> None:
    assert [draft.rule.id for draft in STARTERS] == [
        "authorization-expiring-reauth",
        "authorization-renewed-tell",
        "authorization-status-check",
        "denial-over-amount",
        "payer-change-tell",
        "risky-claim-hold",
        "three-denials-in-a-row",
        "underpayment-against-contract",
    ]


@pytest.mark.parametrize("draft", STARTERS, ids=lambda draft: draft.rule.id)
def test_a_starter_rule_keeps_its_examples(draft: Draft) -> None:
    assert check_examples(draft.rule) == []
    assert len(draft.rule.examples) >= 3
    assert draft.rule.description
    assert draft.rule.source


@pytest.mark.parametrize("draft", STARTERS, ids=lambda draft: draft.rule.id)
def test_a_starter_rule_is_silent_on_an_empty_event(draft: Draft) -> None:
    assert not evaluate([draft.rule], draft.rule.trigger, EventFacts({}, ON), ON).decisions


def test_an_underpayment_is_limited_by_what_is_short_and_not_by_the_charge() -> None:
    facts = GivenFacts({"claim.charge_cents": 9_000_000, "claim.underpaid_cents": 4000}, ON)
    (decision,) = evaluate([starter("underpayment-against-contract")], "claim.paid", facts, ON).decisions
    assert decision.outcome == "fired"
    assert [action.type for action in decision.actions] == ["submit_appeal"]
    facts = GivenFacts({"claim.underpaid_cents": 1_000_001}, ON)
    (decision,) = evaluate([starter("underpayment-against-contract")], "claim.paid", facts, ON).decisions
    assert (decision.outcome, decision.limited_by) == ("escalated", "amount_over_cents")


def test_one_denial_can_be_worth_a_task_and_the_third_in_a_row() -> None:
    rules = RuleSet(draft.rule for draft in STARTERS)
    data = {"claim": {"payer_id": "87726"}, "denial": {"amount_cents": 60_000, "group": "CO", "carc": "50"}}
    facts = EventFacts(data, ON, {"payer.denials_in_a_row": lambda: 3})
    decided = rules.evaluate("claim.denied", facts, ON)
    assert [decision.rule_id for decision in decided.decisions] == [
        "three-denials-in-a-row",
        "denial-over-amount",
    ]


AMOUNTS = st.none() | st.integers(0, 100_000) | st.just("12")


@given(st.randoms(use_true_random=False), AMOUNTS, st.none() | st.integers(0, 5))
def test_the_order_of_rule_files_changes_nothing(random: Random, amount: object, streak: object) -> None:
    rules = [draft.rule for draft in STARTERS]

    def decided(tried: list[Rule]) -> object:
        facts = EventFacts(
            {"denial": {"amount_cents": amount}}, ON, {"payer.denials_in_a_row": lambda: streak}
        )
        return RuleSet(tried).evaluate("claim.denied", facts, ON)

    assert decided(random.sample(rules, len(rules))) == decided(rules)


def test_the_guides_rule_is_a_rule_that_keeps_its_examples() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")
    (document,) = from_yaml(guide.split("```yaml\n")[1].split("```")[0])
    rule = load_rule(document)
    assert check_examples(rule) == []
    given_facts = {"denial.carc": "29", "claim.days_since_service": 121, "claim.payer_id": "acme-health"}
    assert str(explain(rule, GivenFacts(given_facts, ON), ON)) in guide


# What check_examples finds


def checked(*examples: dict[str, object], when: object = None) -> list[str]:
    rule = parse_rule(
        {
            "id": "r",
            "version": 1,
            "name": "r",
            "trigger": "claim.denied",
            "when": when or {"fact": "denial.carc", "op": "eq", "value": "29"},
            "then": [{"action": "notify"}],
            "mode": "off",
            "examples": list(examples),
        }
    )
    return [f"{failure.index}: {failure.problem}" for failure in check_examples(rule)]


YES: dict[str, object] = {"given": {"denial.carc": "29"}, "expect": "fires"}
NO: dict[str, object] = {"given": {"denial.carc": "30"}, "expect": "does_not_fire"}


def test_examples_that_hold_fail_nothing_whatever_the_mode() -> None:
    assert checked(YES, NO) == []


def test_an_example_that_does_not_hold_is_found() -> None:
    wrong = {**NO, "given": {"denial.carc": "29"}}
    assert checked(YES, wrong, {**YES, "given": {}}) == [
        "1: fires and should not",
        "2: does not fire and should",
    ]


def test_a_rule_with_one_kind_of_example_is_not_shown_to_tell_apart() -> None:
    assert checked(YES) == ["-1: no example of does_not_fire"]
    assert checked() == ["-1: no example of fires", "-1: no example of does_not_fire"]


def test_a_rule_about_days_needs_examples_that_say_which() -> None:
    when = {"fact": "claim.service_on", "op": "within_days", "value": [-30, 0]}
    recent: dict[str, object] = {"given": {"claim.service_on": "2026-02-01"}, "expect": "fires"}
    assert checked(recent, {**recent, "on": "2026-04-01", "expect": "does_not_fire"}, when=when) == [
        "0: the rule asks about dates: say `on` which day"
    ]


def test_a_failure_shows_the_condition() -> None:
    rule = parse_rule(
        {
            "id": "r",
            "version": 1,
            "name": "r",
            "trigger": "claim.denied",
            "when": {"fact": "denial.carc", "op": "eq", "value": "29"},
            "then": [{"action": "notify"}],
            "mode": "live",
            "examples": [{"given": {"denial.carc": "30"}, "expect": "fires"}, NO],
        }
    )
    (failure,) = check_examples(rule)
    assert failure.explanation == "✗ denial.carc eq 29 (is 30)"
