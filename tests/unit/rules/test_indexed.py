"""The indexed engine decides as the plain one does, on whatever rules and events."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from types import BuiltinMethodType
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.rules.engine import Evaluation, RuleEngine
from shared.rules.evaluator import Plan as PlainPlan
from shared.rules.evaluator import RuleSet
from shared.rules.facts import Catalogue, EventFacts, Fact
from shared.rules.indexed import IndexedEngine, IndexedRules, Making, Plan
from shared.rules.language import parse_rule
from shared.rules.model import Rule
from shared.rules.normal_form import MAX_CONJUNCTIONS, conjunctions
from shared.rules.segment import Segment, bits_of
from shared.rules.values import FactType
from shared.runtime.errors import PoisonError

ON: Final = date(2026, 2, 3)
DENIED: Final = "claim.denied"
PAID: Final = "claim.paid"
TYPES: Final[Mapping[str, FactType]] = {
    "a.text": "string",
    "a.code": "code",
    "a.count": "integer",
    "a.cents": "money",
    "a.share": "number",
    "a.day": "date",
    "a.flag": "boolean",
    "a.codes": "list[code]",
    "b.count": "integer",
    "b.codes": "list[code]",
    "b.text": "string",
}
LAZY: Final = frozenset({"b.count", "b.codes", "b.text"})
DECLARED: Final = Catalogue(
    {name: Fact(name, kind, frozenset({DENIED, PAID}), lazy=name in LAZY) for name, kind in TYPES.items()},
    {DENIED: "a.cents", PAID: None},
)
TIGHT: Final = Making(
    DECLARED, budget_bytes=1, few=0
)  # four masks a column: the rest is found out bit by bit
WIDE: Final = Making(DECLARED, few=0)
SPLIT: Final = Making(DECLARED, few=0, largest=3)
USUAL: Final = Making(DECLARED)

WORDS: Final = st.sampled_from(["a", "b", "ab", "A", "1", "é", "e\u0301", "\U0001f4a9", "aab"])
NUMBERS: Final = st.sampled_from([-1, 0, 1, 2, 3, 7, 2**63 - 1, -(2**63) + 1])
FRACTIONS: Final = NUMBERS | st.sampled_from([0.1, 0.5, 1.0, 1e-9, -0.0])
DAYS: Final = st.sampled_from(
    ["0001-01-01", "2026-02-01", "2026-02-02", "2026-02-03", "2026-02-10", "9999-12-31"]
)
OPERANDS: Final[Mapping[FactType, st.SearchStrategy[object]]] = {
    "string": WORDS,
    "code": WORDS,
    "integer": NUMBERS,
    "money": NUMBERS,
    "number": FRACTIONS,
    "date": DAYS,
    "boolean": st.booleans(),
    "list[code]": WORDS,
}
OPS: Final[Mapping[FactType, Sequence[str]]] = {
    "string": ["eq", "ne", "in", "not_in", "substring", "starts_with", "matches"],
    "code": ["eq", "ne", "in", "not_in", "matches"],
    "integer": ["eq", "ne", "gt", "gte", "lt", "lte", "between", "in", "not_in"],
    "money": ["eq", "ne", "gt", "gte", "lt", "lte", "between", "in", "not_in"],
    "number": ["eq", "ne", "gt", "gte", "lt", "lte", "between", "in", "not_in"],
    "date": ["eq", "ne", "gt", "gte", "lt", "lte", "between", "in", "not_in", "within_days"],
    "boolean": ["eq", "ne"],
    "list[code]": ["contains", "contains_any"],
}


ANY_FACT: Final = st.sampled_from(list(TYPES))


@st.composite
def predicates(draw: st.DrawFn, facts: st.SearchStrategy[str]) -> object:
    name = draw(facts)
    kind = TYPES[name]
    if draw(st.integers(0, 5)) == 0:
        return {"fact": name, "op": "exists", "value": draw(st.booleans())}
    op = draw(st.sampled_from(OPS[kind]))
    match op:
        case "in" | "not_in" | "contains_any":
            value: object = draw(st.lists(OPERANDS[kind], min_size=1, max_size=3))
        case "between":
            value = sorted([draw(OPERANDS[kind]), draw(OPERANDS[kind])])  # type: ignore[type-var]
        case "within_days":
            value = sorted([draw(st.integers(-9, 9)), draw(st.integers(-9, 9))])
        case "matches":
            value = draw(st.sampled_from(["a", "a.*", r"\d", "[ab]+", "é|A"]))
        case _:
            value = draw(OPERANDS[kind])
    return {"fact": name, "op": op, "value": value}


def _group(kind: str, parts: list[object]) -> object:
    return {kind: parts}


def _grouped(leaves: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=4).map(partial(_group, "all"))
            | st.lists(inner, min_size=1, max_size=4).map(partial(_group, "any"))
            | inner.map(lambda part: {"not": part})
        ),
        max_leaves=10,
    )


# Of whatever facts, and of one: what a rule says of one fact more than once shares a column.
CONDITIONS: Final = _grouped(predicates(ANY_FACT)) | ANY_FACT.flatmap(
    lambda name: _grouped(predicates(st.just(name)))
)
ANYTHING: Final = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(max_size=3)
    | WORDS
    | NUMBERS
    | DAYS
    | st.lists(WORDS | st.none(), max_size=4)
    | st.lists(st.integers(), max_size=1)
    | st.sampled_from([2**200, Decimal("1E+400"), Decimal("NaN"), "x" * 600, "\0", "\ud800", "", " ", {}])
)


@st.composite
def events(draw: st.DrawFn) -> Mapping[str, object]:
    """Return raw values by fact: most of the declared type, some missing, some anything."""
    found: dict[str, object] = {}
    for name, kind in TYPES.items():
        right = st.lists(WORDS, max_size=4) if kind == "list[code]" else OPERANDS[kind]
        chosen = draw(st.integers(0, 9))
        if chosen:
            found[name] = draw(right if chosen > 2 else ANYTHING)
    return found


def parsed(name: str, when: object, **fields: object) -> Rule:
    document = {
        "id": name,
        "version": 1,
        "name": name,
        "trigger": DENIED,
        "when": when,
        "then": [{"action": "notify", "params": {"title": name}}],
        "mode": "live",
    }
    return parse_rule(document | fields, DECLARED)


@st.composite
def rule_sets(draw: st.DrawFn, *, name: str = "r", most: int = 8) -> list[Rule]:
    conditions = draw(st.lists(CONDITIONS, min_size=1, max_size=most))
    return [
        parsed(
            f"{name}-{index}",
            when,
            trigger=draw(st.sampled_from([DENIED, DENIED, DENIED, PAID])),
            mode=draw(st.sampled_from(["live", "live", "shadow", "off"])),
            priority=draw(st.integers(-1, 1)),
            stop=draw(st.integers(0, 9)) == 0,
            limits={"amount_over_cents": 2, "amount_fact": "a.cents"},
            effective_from=draw(st.sampled_from(["2026-01-01", "2026-02-03", "2026-02-04"])),
        )
        for index, when in enumerate(conditions)
    ]


class Asked:
    """An event's facts, and which of the lazy ones were asked for."""

    def __init__(self, event: Mapping[str, object]) -> None:
        self.lazily: list[str] = []
        data: dict[str, dict[str, object]] = {}
        for name, value in event.items():
            parent, _, child = name.partition(".")
            data.setdefault(parent, {})[child] = value
        lazy = {name: self._asking(name, event.get(name)) for name in LAZY}
        self.facts = EventFacts(data, ON, lazy, declared=DECLARED)

    def _asking(self, name: str, value: object) -> Callable[[], object]:
        def ask() -> object:
            self.lazily.append(name)
            return value

        return ask


def decided(rules: RuleSet | IndexedRules, event: Mapping[str, object]) -> tuple[Evaluation, list[str]]:
    asked = Asked(event)
    evaluation = rules.evaluate(DENIED, asked.facts, ON)
    return Evaluation(evaluation.decisions), asked.lazily


def segments(indexed: IndexedRules) -> Sequence[Segment]:
    plan = indexed._plans[DENIED]
    assert isinstance(plan, Plan)
    return plan.segments


def assert_same(indexed: IndexedRules, rules: Sequence[Rule], event: Mapping[str, object]) -> None:
    oracle, needed = decided(RuleSet(rules), event)
    found, asked = decided(indexed, event)
    assert found == oracle
    assert set(asked) <= set(needed), "no query that the plain evaluator would not have made"
    assert len(asked) == len(set(asked)), "no query twice"


@settings(max_examples=300)
@given(rule_sets(), st.lists(events(), min_size=1, max_size=4), st.sampled_from([TIGHT, WIDE, SPLIT, USUAL]))
def test_it_decides_as_the_plain_evaluator(
    rules: list[Rule], happened: list[Mapping[str, object]], making: Making
) -> None:
    indexed = IndexedRules(rules, making)
    for event in [*happened, *happened]:  # a second time from what it remembers
        assert_same(indexed, rules, event)


@settings(max_examples=100)
@given(rule_sets(), events())
def test_mismatches_of_facts_that_cost_nothing_are_counted_alike(
    rules: list[Rule], event: Mapping[str, object]
) -> None:
    without_lazy = {name: value for name, value in event.items() if name not in LAZY}
    plain, indexed = Asked(without_lazy), Asked(without_lazy)
    expected = RuleSet(rules).evaluate(DENIED, plain.facts, ON)
    assert IndexedRules(rules, WIDE).evaluate(DENIED, indexed.facts, ON) == expected


@settings(max_examples=100)
@given(rule_sets(most=12), st.lists(events(), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_neither_order_nor_pickling_changes_anything(
    rules: list[Rule], happened: list[Mapping[str, object]], random: Random
) -> None:
    shuffled = random.sample(rules, len(rules))
    indexed = IndexedRules(shuffled, WIDE)
    copied = pickle.loads(pickle.dumps(indexed))  # noqa: S301 - our own
    for event in happened:
        assert_same(indexed, rules, event)
        assert_same(copied, rules, event)


@settings(max_examples=100)
@given(
    rule_sets(most=10),
    st.lists(rule_sets(most=3), min_size=1, max_size=5),
    st.lists(events(), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
    st.sampled_from([WIDE, SPLIT, USUAL]),
)
def test_edited_and_built_anew_are_one(
    rules: list[Rule],
    edits: list[list[Rule]],
    happened: list[Mapping[str, object]],
    random: Random,
    making: Making,
) -> None:
    current = {rule.id: rule for rule in rules}
    indexed = IndexedRules(rules, making)
    for edit in edits:
        gone = random.sample(sorted(current), min(len(current), random.randint(0, 2)))
        for name in gone:
            del current[name]
        current |= {rule.id: rule for rule in edit}
        indexed = indexed.edited(edit, [(name, 1) for name in gone])
        for event in happened:
            assert_same(indexed, list(current.values()), event)


@settings(max_examples=50)
@given(rule_sets(most=20), rule_sets(most=3), events())
def test_the_engine_takes_over_what_did_not_change(
    rules: list[Rule], changed: list[Rule], event: Mapping[str, object]
) -> None:
    engine = IndexedEngine()
    before = engine.compile(rules[:0], None)
    known = IndexedRules(rules, WIDE)
    assert isinstance(before, IndexedRules)
    after = {rule.id: rule for rule in rules} | {rule.id: rule for rule in changed}
    assert_same(engine.compile(after.values(), known), list(after.values()), event)
    assert_same(engine.compile(rules, engine.compile(after.values(), known)), rules, event)


@pytest.mark.parametrize(
    "missing",
    [
        {"fact": "a.codes", "op": "exists", "value": False},
        {"not": {"fact": "a.codes", "op": "exists", "value": True}},
    ],
)
@pytest.mark.parametrize("making", [TIGHT, WIDE, USUAL])
def test_a_code_opens_no_rule_that_wants_its_list_to_be_missing(missing: object, making: Making) -> None:
    named = {"fact": "a.codes", "op": "contains", "value": "a"}
    rules = [parsed("r", {"all": [named, {"any": [missing, {"fact": "a.code", "op": "eq", "value": "b"}]}]})]
    indexed = IndexedRules(rules, making)
    for event in ({"a.codes": ["a"]}, {"a.codes": ["a"], "a.code": "b"}, {"a.code": "b"}, {"a.codes": ["c"]}):
        assert_same(indexed, rules, event)


def test_an_edit_leaves_the_others_masks_as_they_are() -> None:
    rules = [parsed(f"r-{n}", {"fact": "a.count", "op": "eq", "value": n}) for n in range(100)]
    before = IndexedRules(rules, WIDE)
    after = before.edited([parsed("r-7", {"fact": "a.count", "op": "eq", "value": 500})])
    assert segments(after)[0].index is segments(before)[0].index
    assert [rule.id for _, rule, _ in after.matches(DENIED, {"a.count": 500}, ON)] == ["r-7"]
    assert after.matches(DENIED, {"a.count": 7}, ON) == []
    assert [rule.id for _, rule, _ in before.matches(DENIED, {"a.count": 7}, ON)] == ["r-7"]


def test_many_edits_leave_few_segments() -> None:
    rules = [parsed(f"r-{n}", {"fact": "a.count", "op": "eq", "value": n}) for n in range(200)]
    indexed = IndexedRules(rules, WIDE)
    for n in range(600):
        indexed = indexed.edited([parsed(f"r-{n % 200}", {"fact": "a.count", "op": "gte", "value": n})])
        assert len(segments(indexed)) <= 4
        assert sum(segment.count for segment in segments(indexed)) == 200
    assert len(indexed.matches(DENIED, {"a.count": 1000}, ON)) == 200


def test_edited_rules_keep_their_place_among_the_others() -> None:
    rules = [parsed(f"r-{n:02}", at_least(n)) for n in range(50)]
    edited = IndexedRules(rules, WIDE).edited([parsed("r-25", at_least(0)), parsed("r-07", at_least(1))])
    assert len(segments(edited)) == 2
    assert [rule.id for _, rule, _ in edited.matches(DENIED, {"a.count": 9}, ON)] == [
        *(f"r-{n:02}" for n in range(10)),
        "r-25",
    ]


def test_rules_keep_their_order_when_most_of_the_first_ones_are_gone() -> None:
    rules = [parsed(f"r-{n:02}", at_least(0), priority=50 - n) for n in range(12)]
    edited = IndexedRules(rules, SPLIT).edited([], [("r-00", 1), ("r-01", 1)])
    assert len(segments(edited)) > 1
    assert [rule.id for _, rule, _ in edited.matches(DENIED, {"a.count": 9}, ON)] == [
        f"r-{n:02}" for n in range(2, 12)
    ]


def at_least(least: int) -> object:
    return {"fact": "a.count", "op": "gte", "value": least}


def test_two_versions_that_would_both_act_are_refused() -> None:
    always = {"fact": "a.count", "op": "exists", "value": True}
    indexed = IndexedRules([parsed("r", always), parsed("s", always)], WIDE)
    with pytest.raises(PoisonError, match="r, versions 1 and 2, are in effect on the same day"):
        indexed.edited([parsed("r", always, version=2)])
    with pytest.raises(PoisonError, match="are in effect on the same day"):
        IndexedRules([parsed("r", always), parsed("r", always)], WIDE)
    replaced = indexed.edited([parsed("r", always, version=2)], [("r", 1)])
    assert [rule.version for _, rule, _ in replaced.matches(DENIED, {"a.count": 1}, ON)] == [2, 1]


def coded(name: str, code: str, least: int = 0, **fields: object) -> Rule:
    when = {
        "all": [
            {"fact": "a.code", "op": "eq", "value": code},
            {"fact": "a.count", "op": "gte", "value": least},
        ]
    }
    return parsed(name, when, **fields)


def plan(indexed: IndexedRules) -> Plan:
    made = indexed._plans[DENIED]
    assert isinstance(made, Plan)
    return made


def test_of_many_rules_those_that_name_a_code_are_asked_by_it_alone() -> None:
    rules = [coded(f"r-{n:02}", str(n % 5)) for n in range(20)]
    either = {
        "any": [
            {"fact": "a.code", "op": "in", "value": ["1", "2"]},
            {"fact": "a.codes", "op": "contains", "value": "x"},
        ]
    }
    rules.append(parsed("z-either", either))
    rules.append(parsed("z-no-code", {"fact": "a.count", "op": "gte", "value": 0}, priority=9))
    indexed = IndexedRules(rules, SPLIT)
    routes = plan(indexed).routes
    assert routes is not None
    assert routes.count == 21
    assert [segment.count for segment in segments(indexed)] == [1]
    assert {value: segment.count for value, segment in routes.segments["a.code"].items()} == {
        "0": 4, "1": 5, "2": 5, "3": 4, "4": 4
    }  # fmt: skip
    found = indexed.matches(DENIED, {"a.code": "1", "a.codes": ("x", "x"), "a.count": 1}, ON)
    assert [match.rule.id for match in found] == ["z-no-code", "r-01", "r-06", "r-11", "r-16", "z-either"]


def test_what_is_added_to_many_rules_is_routed_once_it_is_a_quarter() -> None:
    rules = [coded(f"r-{n:02}", str(n % 5)) for n in range(20)]
    indexed = IndexedRules(rules, SPLIT).edited([], [("r-01", 1), ("r-06", 1)])
    before = plan(indexed).routes
    assert before is not None
    assert before.count == 18
    indexed = indexed.edited([coded("s-0", "1"), coded("s-1", "1")])
    assert plan(indexed).routes is before
    assert plan(indexed).count == 20
    indexed = indexed.edited([coded(f"s-{n}", "1") for n in range(2, 7)])
    after = plan(indexed).routes
    assert after is not None
    assert after.count == plan(indexed).count == 25
    found = [match.rule.id for match in indexed.matches(DENIED, {"a.code": "1", "a.count": 1}, ON)]
    assert found == ["r-11", "r-16", "s-0", "s-1", "s-2", "s-3", "s-4", "s-5", "s-6"]


def test_threads_share_a_set() -> None:
    begins = [{"fact": "a.text", "op": "starts_with", "value": letter} for letter in "abcdefgh"]
    atleast = [{"fact": "a.count", "op": "gte", "value": n} for n in range(8)]
    rules = [parsed(f"r-{n}", {"all": [begins[n], atleast[n]]}) for n in range(8)]
    indexed = IndexedRules(rules, TIGHT)  # so that masks are dropped and made again all the time

    def play(seed: int) -> None:
        random = Random(seed)  # noqa: S311 - a seeded one
        for _ in range(300):
            event = {
                "a.text": random.choice("abcdefghij") + str(random.randint(0, 9)),
                "a.count": random.randint(0, 9),
            }
            assert decided(indexed, event) == decided(RuleSet(rules), event)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(play, range(8)))


# Bounds


def nested(width: int, depth: int) -> object:
    return {
        "all": [
            {"any": [{"fact": "a.count", "op": "eq", "value": 10 * n + at} for at in range(width)]}
            for n in range(depth)
        ]
    }


def test_what_would_expand_without_bound_does_not() -> None:
    huge = parsed("huge", nested(10, 12))  # 10^12 alternatives
    assert len(conjunctions(huge.when)) <= MAX_CONJUNCTIONS
    assert all(conjunction.in_doubt for conjunction in conjunctions(huge.when))
    wide = parsed("wide", {"any": [nested(10, 2), nested(10, 2)]})
    assert len(conjunctions(wide.when)) <= MAX_CONJUNCTIONS
    rules = [huge, wide, parsed("not", {"not": nested(10, 12)})]
    for value in (0, 5, 15, 119, 120, None):
        assert_same(IndexedRules(rules, WIDE), rules, {"a.count": value})


def test_what_it_remembers_is_bounded() -> None:
    whens = [
        {"fact": "a.text", "op": "matches", "value": "x.*"},
        {"fact": "a.codes", "op": "contains", "value": "a"},
    ]
    rules = [parsed(f"r-{n}", when) for n, when in enumerate(whens)]
    indexed = IndexedRules(rules, TIGHT)
    for n in range(1000):
        event = {"a.text": f"x{n}", "a.codes": [str(n), "a" if n % 2 else "b"]}
        assert_same(indexed, rules, event)
    (segment,) = segments(indexed)
    assert all(len(column) <= 5 for _, column in segment.index.keyed)


def test_values_that_no_rule_names_are_not_remembered() -> None:
    indexed = IndexedRules([parsed("r", {"fact": "a.text", "op": "eq", "value": "a"})], WIDE)
    for n in range(100):
        assert indexed.matches(DENIED, {"a.text": f"x{n}"}, ON) == []
    (segment,) = segments(indexed)
    (column,) = segment.index.named
    assert isinstance(column.mask, BuiltinMethodType)
    masks = column.mask.__self__
    assert isinstance(masks, dict)
    assert len(masks) == 3, "of no value, of one of another type, and of the one that is named"


def test_thresholds_beyond_the_bound_are_found_out_one_by_one() -> None:
    rules = [parsed(f"r-{n:03}", {"fact": "a.count", "op": "gte", "value": n}) for n in range(200)]
    days = [parsed(f"d-{n:03}", {"fact": "a.day", "op": "within_days", "value": [-n, n]}) for n in range(100)]
    indexed = IndexedRules([*rules, *days], TIGHT)
    (segment,) = segments(indexed)
    assert all(len(column.masks) <= 4 for _, column in segment.index.tried)
    for count in (-1, 0, 1, 77, 199, 200):
        values = {"a.count": count, "a.day": ON + timedelta(days=50)}
        assert len(indexed.matches(DENIED, values, ON)) == min(max(count + 1, 0), 200) + 50


@given(st.sets(st.integers(0, 20_000)))
def test_bits_are_read_back(bits: set[int]) -> None:
    assert bits_of(sum(1 << bit for bit in bits)) == sorted(bits)


def test_few_rules_are_not_indexed() -> None:
    rules = [parsed(f"r-{n}", {"fact": "a.count", "op": "gte", "value": n}) for n in range(10)]
    few = IndexedRules(rules[:3], USUAL)
    assert isinstance(few._plans[DENIED], PlainPlan)
    many = few.edited(rules)
    assert not isinstance(many._plans[DENIED], PlainPlan)
    none = many.edited([], [(rule.id, 1) for rule in rules])
    assert none._plans == {}
    for indexed, count in ((few, 3), (many, 10), (none, 0), (none.edited(rules[:2]), 2)):
        assert_same(indexed, rules[:count], {"a.count": 100})


def test_it_is_an_engine() -> None:
    engine: RuleEngine = IndexedEngine()
    assert engine.compile([]).evaluate(DENIED, Asked({}).facts, ON) == Evaluation()
