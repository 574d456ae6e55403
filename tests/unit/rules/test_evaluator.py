import json
from collections.abc import Callable, Mapping
from datetime import date
from random import Random
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rules.engine import Evaluation, RuleEngine, Verdict
from shared.rules.evaluator import PlainEngine, RuleSet, evaluate
from shared.rules.facts import EventFacts, catalogue
from shared.rules.holds import holds
from shared.rules.language import parse_rule
from shared.rules.model import Not, Rule
from shared.runtime.errors import PoisonError, TransientError

ON = date(2026, 2, 3)
DENIED = "claim.denied"
ALWAYS = {"fact": "denial.carc", "op": "exists", "value": True}
DENIAL = {
    "claim": {"payer_id": "87726", "charge_cents": 90_000, "procedures": ["99213", "20610"]},
    "denial": {"carc": "197", "group": "CO", "amount_cents": 60_000, "remarks": []},
}


def rule(name: str, when: object = ALWAYS, **fields: object) -> Rule:
    document = {
        "id": name,
        "version": 1,
        "name": name,
        "trigger": DENIED,
        "when": when,
        "then": [{"action": "notify", "params": {"title": name}}],
        "mode": "live",
    }
    return parse_rule(document | fields)


def denied(*rules: Rule, data: object = DENIAL, on: date = ON) -> Evaluation:
    return evaluate(rules, DENIED, EventFacts(data, on), on)


def fired(evaluation: Evaluation) -> list[str]:
    return [decision.rule_id for decision in evaluation.decisions]


def test_a_rule_that_holds_is_decided_with_its_version_actions_and_evidence() -> None:
    when = {
        "all": [
            {"fact": "denial.amount_cents", "op": "gt", "value": 50_000},
            {"not": {"fact": "denial.group", "op": "eq", "value": "PR"}},
        ]
    }
    (decision,) = denied(rule("over", when, version=7)).decisions
    assert (decision.rule_id, decision.rule_version, decision.mode) == ("over", 7, "live")
    assert (decision.outcome, decision.limited_by) == ("fired", "")
    assert [(action.type, action.params) for action in decision.actions] == [("notify", {"title": "over"})]
    assert decision.explanation == (
        {"fact": "denial.amount_cents", "op": "gt", "value": 50_000, "actual": 60_000, "holds": True},
        {"fact": "denial.group", "op": "eq", "value": "PR", "actual": "CO", "holds": False},
    )


def test_only_rules_of_the_trigger_are_looked_at() -> None:
    other = parse_rule(
        {
            "id": "paid",
            "version": 1,
            "name": "paid",
            "trigger": "claim.paid",
            "when": {"fact": "claim.payer_id", "op": "exists", "value": True},
            "then": [{"action": "notify"}],
            "mode": "live",
        }
    )
    rules = RuleSet([rule("denied"), other])
    facts = EventFacts(DENIAL, ON)
    assert fired(rules.evaluate(DENIED, facts, ON)) == ["denied"]
    assert fired(rules.evaluate("claim.paid", facts, ON)) == ["paid"]
    assert rules.evaluate("claim.submitted", facts, ON) == Evaluation()
    assert rules.evaluate("no.such", facts, ON) == Evaluation()


# Missing facts


def test_a_negative_operator_needs_its_fact_and_a_not_does_not() -> None:
    eq = {"fact": "denial.group", "op": "eq", "value": "PR"}
    rules = [
        rule("eq", eq),
        rule("ne", {"fact": "denial.group", "op": "ne", "value": "PR"}),
        rule("not-in", {"fact": "denial.group", "op": "not_in", "value": ["PR"]}),
        rule("not-eq", {"not": eq}),
        rule("absent", {"fact": "denial.group", "op": "exists", "value": False}),
        rule("present", {"fact": "denial.group", "op": "exists", "value": True}),
    ]
    assert fired(denied(*rules, data={})) == ["absent", "not-eq"]
    assert fired(denied(*rules, data={"denial": {"group": None}})) == ["absent", "not-eq"]
    assert fired(denied(*rules)) == ["ne", "not-eq", "not-in", "present"]


def test_nobody_says_of_a_mistyped_fact_that_it_is_there_or_that_it_is_not() -> None:
    rules = [
        rule("absent", {"fact": "denial.group", "op": "exists", "value": False}),
        rule("present", {"fact": "denial.group", "op": "exists", "value": True}),
    ]
    evaluation = denied(*rules, data={"denial": {"group": 7}})
    assert evaluation == Evaluation((), mismatches=1)


def test_mismatches_are_counted_by_fact_and_stop_no_other_rule() -> None:
    rules = [
        rule("wrong", {"fact": "denial.amount_cents", "op": "gt", "value": 1}),
        rule("wrong-too", {"fact": "denial.amount_cents", "op": "lt", "value": 9}),
        rule("late", {"any": [ALWAYS, {"fact": "claim.charge_cents", "op": "gt", "value": 1}]}),
        rule("right"),
    ]
    data = {"claim": {"charge_cents": "9"}, "denial": {"amount_cents": True, "carc": "29"}}
    evaluation = denied(*rules, data=data)
    assert fired(evaluation) == ["late", "right"]
    assert evaluation.mismatches == 2, "the same, whichever predicate an engine tries first"


# Dates, modes, order


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (date(2026, 1, 31), []),
        (date(2026, 2, 1), ["dated"]),
        (date(2026, 2, 28), ["dated"]),
        (date(2026, 3, 1), []),
    ],
)
def test_a_rule_is_in_effect_from_its_first_day_to_its_last(on: date, expected: list[str]) -> None:
    dated = rule("dated", effective_from="2026-02-01", effective_until="2026-02-28")
    assert fired(denied(dated, on=on)) == expected


def test_the_version_of_the_day_decides() -> None:
    versions = [
        rule("r", version=1, effective_until="2026-02-02"),
        rule("r", version=2, effective_from="2026-02-03"),
    ]
    assert [d.rule_version for d in denied(*versions, on=date(2026, 2, 2)).decisions] == [1]
    assert [d.rule_version for d in denied(*versions, on=date(2026, 2, 3)).decisions] == [2]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"version": 2}),
        ({"effective_until": "2026-02-03"}, {"version": 2, "effective_from": "2026-02-03"}),
        ({"effective_from": "2026-03-01"}, {"version": 2, "effective_from": "2026-01-01", "mode": "off"}),
        ({"effective_until": "2026-02-01"}, {"effective_from": "2026-03-01"}),
    ],
    ids=["open", "one day", "switched off", "one version twice"],
)
def test_two_versions_that_would_both_act_are_refused(
    one: Mapping[str, object], other: Mapping[str, object]
) -> None:
    with pytest.raises(PoisonError, match=r"r, versions \d and \d, are in effect") as refused:
        RuleSet([rule("r", **one), rule("q"), rule("r", **other)])
    assert refused.value.code == "invalid_rule"


def test_a_rule_that_is_off_is_not_looked_at() -> None:
    assert denied(rule("off", mode="off")) == Evaluation()


def test_a_shadow_rule_is_decided_and_marked() -> None:
    (decision,) = denied(rule("quiet", mode="shadow")).decisions
    assert (decision.mode, decision.outcome) == ("shadow", "shadow")
    assert decision.explanation


def test_rules_are_decided_by_priority_and_equals_by_id() -> None:
    rules = [rule("b"), rule("z", priority=10), rule("a"), rule("c", priority=-1)]
    assert fired(denied(*rules)) == ["z", "a", "b", "c"]


def test_stop_ends_the_evaluation_once_the_rule_fires_live() -> None:
    stopper = rule("stop", priority=1, stop=True)
    assert fired(denied(stopper, rule("after"))) == ["stop"]
    silent = rule("stop", {"not": ALWAYS}, priority=1, stop=True)
    assert fired(denied(silent, rule("after"))) == ["after"]
    shadow = rule("stop", priority=1, stop=True, mode="shadow")
    assert fired(denied(shadow, rule("after"))) == ["stop", "after"]


# Limits


@pytest.mark.parametrize(
    ("limits", "amount", "outcome", "limited_by"),
    [
        ({"amount_over_cents": 60_000}, 60_000, "fired", ""),
        ({"amount_over_cents": 60_000}, 60_001, "escalated", "amount_over_cents"),
        ({"amount_over_cents": 60_000}, None, "escalated", "amount_unknown"),
        ({"amount_over_cents": 60_000}, "60", "escalated", "amount_unknown"),
        (
            {"amount_over_cents": 60_000, "amount_fact": "claim.charge_cents"},
            1,
            "escalated",
            "amount_over_cents",
        ),
    ],
    ids=["at the limit", "a cent over", "unknown", "mistyped", "of another fact"],
)
def test_above_its_amount_a_person_decides(
    limits: object, amount: object, outcome: str, limited_by: str
) -> None:
    data = {"claim": {"charge_cents": 90_000}, "denial": {"carc": "197", "amount_cents": amount}}
    (decision,) = denied(rule("r", limits=limits), data=data).decisions
    assert (decision.outcome, decision.limited_by) == (outcome, limited_by)
    assert decision.actions, "what the person decides about"


def test_the_limit_that_was_reached_ends_the_explanation() -> None:
    (decision,) = denied(rule("r", limits={"amount_over_cents": 100})).decisions
    assert decision.explanation[-1] == {
        "fact": "denial.amount_cents",
        "op": "lte",
        "value": 100,
        "actual": 60_000,
        "holds": False,
    }


def test_a_shadow_rule_says_which_limit_it_would_have_reached() -> None:
    (decision,) = denied(rule("r", mode="shadow", limits={"amount_over_cents": 1})).decisions
    assert (decision.outcome, decision.limited_by) == ("shadow", "amount_over_cents")


class Counter:
    """An allowance of so many actions, that remembers what it was asked."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.asked: list[tuple[str, int | None, bool]] = []

    def verdict(self, rule: Rule, amount_cents: int | None, *, acts: bool) -> Verdict:
        self.asked.append((rule.id, amount_cents, acts))
        if not rule.limits.windows:
            return Verdict()
        self.left -= 1
        return Verdict("windows" if self.left < 0 else "")


def test_a_window_is_counted_by_the_allowance_and_closed_without_one() -> None:
    rules = RuleSet([rule("free"), rule("r", limits={"windows": [{"days": 1, "max_actions": 1}]})])
    counter = Counter(1)

    def outcomes(allowance: Counter | None) -> list[str]:
        evaluation = rules.evaluate(DENIED, EventFacts(DENIAL, ON), ON, allowance=allowance)
        return [decision.outcome for decision in evaluation.decisions]

    assert outcomes(counter) == ["fired", "fired"]
    assert outcomes(counter) == ["fired", "escalated"]
    assert counter.asked == [("free", 60_000, True), ("r", 60_000, True)] * 2
    assert outcomes(None) == ["fired", "escalated"]


def test_a_rule_that_only_shows_what_it_would_do_does_not_act_on_the_allowance() -> None:
    counter = Counter(1)
    quiet = rule("r", mode="shadow")
    evaluate([quiet], DENIED, EventFacts(DENIAL, ON), ON, allowance=counter)
    assert counter.asked == [("r", 60_000, False)]


# Lazy facts


STREAK = {"fact": "payer.denials_in_a_row", "op": "gte", "value": 3}


@pytest.mark.parametrize(
    ("when", "asked"),
    [
        ({"all": [STREAK, {"not": ALWAYS}]}, 0),
        ({"any": [STREAK, ALWAYS]}, 0),
        ({"all": [{"any": [STREAK]}, {"not": ALWAYS}]}, 0),
        ({"any": [{"not": {"all": [STREAK]}}, ALWAYS]}, 0),
        ({"all": [STREAK, ALWAYS]}, 1),
        ({"any": [STREAK, {"not": ALWAYS}]}, 1),
        ({"all": [STREAK, STREAK, {"not": {"not": STREAK}}]}, 1),
    ],
)
def test_a_query_is_made_only_if_the_rest_leaves_it_open_and_once(when: object, asked: int) -> None:
    calls: list[None] = []

    def streak() -> object:
        calls.append(None)
        return 3

    facts = EventFacts(DENIAL, ON, {"payer.denials_in_a_row": streak})
    evaluate([rule("a", when), rule("b", when), rule("off", STREAK, mode="off")], DENIED, facts, ON)
    assert len(calls) == asked


def test_a_database_that_is_away_is_not_an_answer() -> None:
    def away() -> object:
        raise TransientError("unavailable")

    with pytest.raises(TransientError):
        evaluate([rule("r", STREAK)], DENIED, EventFacts({}, ON, {"payer.denials_in_a_row": away}), ON)


# Evidence


def test_evidence_is_what_decided_in_the_order_of_the_text() -> None:
    when = {
        "all": [
            {"fact": "denial.remarks", "op": "exists", "value": True},
            {
                "any": [
                    {"fact": "denial.carc", "op": "eq", "value": "29"},
                    {"fact": "denial.carc", "op": "in", "value": ["197", "50"]},
                    ALWAYS,
                ]
            },
            {"not": {"all": [ALWAYS, {"fact": "claim.status", "op": "eq", "value": "paid"}]}},
            {"not": {"any": [{"not": ALWAYS}, {"fact": "denial.group", "op": "eq", "value": "PR"}]}},
        ]
    }
    (decision,) = denied(rule("r", when)).decisions
    assert [(seen["fact"], seen["op"], seen["actual"], seen["holds"]) for seen in decision.explanation] == [
        ("denial.remarks", "exists", [], True),
        ("denial.carc", "in", "197", True),
        ("claim.status", "eq", None, False),
        ("denial.carc", "exists", "197", True),
        ("denial.group", "eq", "CO", False),
    ]


def test_evidence_is_json_and_bounded() -> None:
    when = {
        "all": [
            {"fact": "claim.procedures", "op": "contains", "value": "0"},
            {"fact": "claim.service_on", "op": "within_days", "value": [-30, 0]},
        ]
    }
    data = {"claim": {"procedures": [str(code) for code in range(1000)], "service_on": "2026-02-01"}}
    (decision,) = denied(rule("r", when), data=data).decisions
    procedures, service = json.loads(json.dumps(decision.explanation))
    assert procedures["actual"] == [*(str(code) for code in range(20)), "and 980 more"]
    assert service == {
        "fact": "claim.service_on",
        "op": "within_days",
        "value": [-30, 0],
        "actual": "2026-02-01",
        "holds": True,
    }


# Whatever comes


def predicate_of(draw: st.DrawFn, name: str) -> dict[str, object]:
    match catalogue().facts[name].type:
        case "money" | "integer" | "number":
            op, value = draw(st.sampled_from([("eq", 1), ("gt", 5), ("between", [0, 9]), ("not_in", [1, 2])]))
        case "date":
            op, value = draw(
                st.sampled_from([("lte", "2026-02-03"), ("within_days", [-9, 0]), ("ne", "2026-02-01")])
            )
        case "list[code]":
            op, value = draw(st.sampled_from([("contains", "a"), ("contains_any", ["b", "1"])]))
        case _:
            op, value = draw(
                st.sampled_from(
                    [("eq", "a"), ("ne", "a"), ("matches", "a|1.*"), ("substring", "a"), ("in", ["a", "b"])]
                )
            )
    return {"fact": name, "op": op, "value": value}


@st.composite
def predicates(draw: st.DrawFn) -> dict[str, object]:
    carried = sorted(name for name, fact in catalogue().facts.items() if DENIED in fact.triggers)
    name = draw(st.sampled_from(carried))
    if draw(st.integers(0, 4)) == 0:
        return {"fact": name, "op": "exists", "value": draw(st.booleans())}
    return predicate_of(draw, name)


def group(name: Literal["all", "any"]) -> Callable[[list[object]], object]:
    return lambda parts: {name: parts}


CONDITIONS: st.SearchStrategy[object] = st.recursive(
    predicates(),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(group("all"))
        | st.lists(inner, min_size=1, max_size=3).map(group("any"))
        | inner.map(lambda part: {"not": part})
    ),
    max_leaves=6,
)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(max_size=4)
    | st.sampled_from(["a", "b", "1", "2026-02-03", "2026-02-01", 1, 7])
    | st.lists(st.sampled_from(["a", "b", 1, None]), max_size=3)
)


@st.composite
def event_data(draw: st.DrawFn) -> dict[str, object]:
    data: dict[str, dict[str, object]] = {}
    for fact in catalogue().facts.values():
        if DENIED in fact.triggers and draw(st.booleans()):
            parent, child = fact.path
            data.setdefault(parent, {})[child] = draw(VALUES)
    return dict(data)


@given(CONDITIONS, event_data(), VALUES)
def test_not_is_the_complement(when: object, data: object, streak: object) -> None:
    condition = rule("r", when).when
    facts = EventFacts(data, ON, {"payer.denials_in_a_row": lambda: streak})
    assert holds(Not(condition), facts, ON) is not holds(condition, facts, ON)
    assert holds(Not(Not(condition)), facts, ON) is holds(condition, facts, ON)


@given(CONDITIONS, CONDITIONS, event_data())
def test_all_and_any_are_each_others_mirror(one: object, other: object, data: object) -> None:
    facts = EventFacts(data, ON)
    both = rule("r", {"not": {"all": [one, other]}}).when
    either = rule("r", {"any": [{"not": one}, {"not": other}]}).when
    assert holds(both, facts, ON) is holds(either, facts, ON)


JSON = st.recursive(
    VALUES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["claim", "denial", "payer", "carc", "amount_cents", "id"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(st.lists(CONDITIONS, min_size=1, max_size=4), event_data() | JSON)
def test_evaluation_ends_with_decisions_of_json_whatever_the_event_says(
    conditions: list[object], data: object
) -> None:
    rules = [rule(f"r-{index}", when) for index, when in enumerate(conditions)]
    evaluation = denied(*rules, data=data)
    for decision in evaluation.decisions:
        assert decision.explanation
        json.dumps(decision.explanation, allow_nan=False).encode()


@given(st.lists(CONDITIONS, min_size=2, max_size=4), event_data(), st.randoms(use_true_random=False))
def test_the_order_of_rules_changes_nothing(conditions: list[object], data: object, random: Random) -> None:
    rules = [
        rule(f"r-{index}", when, priority=index % 2, stop=index == 1) for index, when in enumerate(conditions)
    ]
    shuffled = random.sample(rules, len(rules))
    assert denied(*shuffled, data=data) == denied(*rules, data=data)


def test_the_plain_engine_is_an_engine() -> None:
    engine: RuleEngine = PlainEngine()
    compiled = engine.compile([rule("r")])
    assert fired(compiled.evaluate(DENIED, EventFacts(DENIAL, ON), ON)) == ["r"]
