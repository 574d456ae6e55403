import copy
import pickle
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.spending import Window
from shared.rules.conditions import MAX_DEPTH
from shared.rules.language import parse_rule
from shared.rules.model import Action, All, AnyOf, Example, Limits, Not, Predicate, Source
from shared.runtime.errors import PoisonError

DOCUMENT: dict[str, object] = {
    "id": "timely-filing-appeal",
    "version": 3,
    "name": "Timely filing",
    "description": "Appeal in time.",
    "trigger": "claim.denied",
    "when": {
        "all": [
            {"fact": "denial.carc", "op": "eq", "value": "29"},
            {"any": [{"fact": "claim.days_since_service", "op": "lte", "value": 365}]},
            {"not": {"fact": "payer.denials_in_a_row", "op": "gt", "value": 10}},
        ]
    },
    "then": [{"action": "submit_appeal", "params": {"template": "timely_filing"}}, {"action": "notify"}],
    "mode": "shadow",
    "priority": -5,
    "stop": True,
    "limits": {"windows": [{"days": 1, "max_actions": 20}], "amount_over_cents": 500_000},
    "on_error": "log",
    "effective_from": "2026-01-01",
    "effective_until": "2026-12-31",
    "source": {"document": "Provider manual", "section": "7.2", "link": "https://payer.example/manual"},
    "examples": [
        {"given": {"denial.carc": "29", "claim.days_since_service": None}, "expect": "does_not_fire"},
        {"given": {"denial.carc": "29"}, "expect": "fires", "on": "2026-02-03", "because": "in time"},
    ],
}

MINIMAL = {name: DOCUMENT[name] for name in ("id", "version", "name", "trigger", "when", "then", "mode")}


def changed(path: str, value: object) -> dict[str, object]:
    """Return the document with `value` at a dotted path; a number is an index."""
    document = copy.deepcopy(DOCUMENT)
    *parents, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    found: object = document
    for step in parents:
        found = found[step]  # type: ignore[index] # the paths below are of containers
    found[last] = value  # type: ignore[index] # as above
    return document


def test_a_document_is_read_whole() -> None:
    rule = parse_rule(DOCUMENT)
    assert (rule.id, rule.version, rule.name, rule.trigger) == (
        "timely-filing-appeal",
        3,
        "Timely filing",
        "claim.denied",
    )
    assert rule.when == All(
        (
            Predicate("denial.carc", "eq", "29"),
            AnyOf((Predicate("claim.days_since_service", "lte", 365),)),
            Not(Predicate("payer.denials_in_a_row", "gt", 10, lazy=True)),
        )
    )
    assert rule.then == (Action("submit_appeal", {"template": "timely_filing"}), Action("notify"))
    assert (rule.mode, rule.priority, rule.stop, rule.on_error) == ("shadow", -5, True, "log")
    assert rule.limits == Limits((Window(1, 20),), 500_000, "denial.amount_cents")
    assert (rule.effective_from, rule.effective_until) == (date(2026, 1, 1), date(2026, 12, 31))
    assert rule.source == Source("Provider manual", "7.2", "https://payer.example/manual")
    assert rule.examples[1] == Example({"denial.carc": "29"}, "fires", date(2026, 2, 3), "in time")


def test_what_a_document_leaves_out_has_its_default() -> None:
    rule = parse_rule(MINIMAL)
    assert (rule.priority, rule.stop, rule.on_error, rule.limits) == (
        0,
        False,
        "escalate",
        Limits(amount_fact="denial.amount_cents"),
    )
    assert (rule.effective_from, rule.effective_until, rule.source, rule.examples) == (None, None, None, ())
    assert parse_rule({**MINIMAL, "description": None, "limits": None}) == rule


def test_a_rule_survives_pickling() -> None:
    rule = parse_rule(DOCUMENT)
    assert pickle.loads(pickle.dumps(rule)) == rule  # noqa: S301 - our own bytes


def test_a_rule_does_not_change_with_the_document_it_came_from() -> None:
    document = copy.deepcopy(DOCUMENT)
    rule = parse_rule(document)
    document["then"][0]["params"]["template"] = "other"  # type: ignore[index] # a list of objects
    assert rule.then[0].params == {"template": "timely_filing"}


def test_what_costs_a_query_is_tried_last_and_written_where_it_was() -> None:
    rule = parse_rule(
        changed(
            "when.all",
            [
                {"fact": "payer.denials_in_a_row", "op": "gte", "value": 3},
                {"fact": "denial.carc", "op": "eq", "value": "29"},
            ],
        )
    )
    assert isinstance(rule.when, All)
    assert [part.lazy for part in rule.when.of] == [True, False]
    assert [part.lazy for part in rule.when.cheap_first] == [False, True]


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("id", "Timely Filing", "$.id"),
        ("id", "x" * 65, "$.id"),
        ("id", "", "$.id"),
        ("version", 0, "$.version"),
        ("version", True, "$.version"),
        ("version", "3", "$.version"),
        ("name", None, "$.name"),
        ("trigger", "claim.eaten", "$.trigger"),
        ("trigger", ["claim.denied"], "$.trigger"),
        ("trigger", "claim.submitted", "$.when.all[0].fact"),
        ("mode", False, "$.mode"),
        ("mode", "on", "$.mode"),
        ("priority", 1.5, "$.priority"),
        ("stop", "yes", "$.stop"),
        ("on_error", "retry", "$.on_error"),
        ("colour", "red", "$.colour"),
        ("effective_from", "01.01.2026", "$.effective_from"),
        ("effective_from", "", "$.effective_from"),
        ("effective_until", "2025-12-31", "$.effective_until"),
        ("source", {"section": "7"}, "$.source.document"),
        ("source.page", 3, "$.source.page"),
        ("then", [], "$.then"),
        ("then", {"action": "notify"}, "$.then"),
        ("then.0.action", "launch_rocket", "$.then[0].action"),
        ("then.0.params", ["x"], "$.then[0].params"),
        ("then.0.extra", 1, "$.then[0].extra"),
        ("when", None, "$.when"),
        ("when", [], "$.when"),
        ("when", {}, "$.when"),
        ("when", {"all": [], "any": []}, "$.when"),
        ("when", {"none": []}, "$.when"),
        ("when", {3: []}, "$.when"),
        ("when.all", [], "$.when.all"),
        ("when.all", {"fact": "denial.carc"}, "$.when.all"),
        ("when.all.0.fact", "denial.shoe_size", "$.when.all[0].fact"),
        ("when.all.0.fact", "claim.risk_score", "$.when.all[0].fact"),
        ("when.all.0.fact", 7, "$.when.all[0].fact"),
        ("when.all.0.op", "~", "$.when.all[0].op"),
        ("when.all.0.op", "gt", "$.when.all[0].op"),
        ("when.all.0.value", 29, "$.when.all[0].value"),
        ("when.all.0.value", None, "$.when.all[0].value"),
        ("when.all.0.note", "x", "$.when.all[0].note"),
        ("when.all.1.any.0.value", "365", "$.when.all[1].any[0].value"),
        ("when.all.2.not.value", 10.5, "$.when.all[2].not.value"),
        ("limits.windows.0.days", 0, "$.limits.windows[0].days"),
        ("limits.windows.0", {"days": 1}, "$.limits.windows[0]"),
        ("limits.amount_over_cents", -1, "$.limits.amount_over_cents"),
        ("limits.amount_over_cents", 12.5, "$.limits.amount_over_cents"),
        ("limits.amount_fact", "denial.carc", "$.limits.amount_fact"),
        ("limits.amount_fact", "claim.underpaid_cents", "$.limits.amount_fact"),
        ("examples.0.expect", "maybe", "$.examples[0].expect"),
        ("examples.0.given", {"denial.carc": 29}, "$.examples[0].given['denial.carc']"),
        ("examples.0.given", {"denial.shoe_size": 1}, "$.examples[0].given['denial.shoe_size']"),
        ("examples.0.given", {"claim.risk_score": 1}, "$.examples[0].given['claim.risk_score']"),
        ("examples.0.given", [], "$.examples[0].given"),
        ("examples.0.on", "today", "$.examples[0].on"),
    ],
    ids=str,
)
def test_what_is_not_a_rule_is_refused_with_its_json_path(path: str, value: object, place: str) -> None:
    with pytest.raises(PoisonError) as refused:
        parse_rule(changed(path, value))
    assert refused.value.code == "invalid_rule"
    assert str(refused.value).startswith(f"{place}: ")


@pytest.mark.parametrize("document", [None, [], "rule", 3, {}])
def test_what_is_no_object_or_empty_is_refused(document: object) -> None:
    with pytest.raises(PoisonError, match=r"^\$"):
        parse_rule(document)


def test_an_amount_limit_needs_an_amount() -> None:
    document = {
        **MINIMAL,
        "trigger": "authorization.expiring",
        "when": {"fact": "authorization.days_left", "op": "lte", "value": 7},
        "limits": {"amount_over_cents": 1},
    }
    with pytest.raises(
        PoisonError, match=r"^\$\.limits\.amount_over_cents: authorization.expiring carries no amount"
    ):
        parse_rule(document)


def nested(depth: int) -> object:
    condition: object = {"fact": "denial.carc", "op": "eq", "value": "29"}
    for _ in range(depth):
        condition = {"not": condition}
    return condition


def test_conditions_nest_to_a_bound() -> None:
    parse_rule(changed("when", nested(MAX_DEPTH - 1)))
    for depth in (MAX_DEPTH, 100_000):
        with pytest.raises(PoisonError, match="nested deeper"):
            parse_rule({**MINIMAL, "when": nested(depth)})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["all", "any", "not", "fact", "op", "value", "action", "params", "given"])
            | st.text(max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


def refusal(document: object) -> PoisonError | None:
    try:
        parse_rule(document)
    except PoisonError as exc:
        return exc
    return None


@given(st.dictionaries(st.sampled_from(sorted(DOCUMENT)), JSON))
def test_any_document_is_a_rule_or_an_invalid_one(changes: dict[str, object]) -> None:
    error = refusal({**DOCUMENT, **changes})
    assert error is None or (error.code == "invalid_rule" and str(error).startswith("$"))
