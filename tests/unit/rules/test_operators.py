"""The meaning table: for each operator, what it says of which fact."""

import json
from datetime import date
from decimal import Decimal

import pytest

from shared.rules.facts import Catalogue, EventFacts, read_catalogue
from shared.rules.holds import holds
from shared.rules.language import parse_rule
from shared.rules.operators import OPERATORS
from shared.runtime.errors import PoisonError

ON = date(2026, 2, 3)
NAN, INF = float("nan"), float("inf")

# One fact of each type, so that the table below can speak of types.
TYPES = {
    "text": "string",
    "code": "code",
    "count": "integer",
    "price_cents": "money",
    "rate": "number",
    "day_on": "date",
    "urgent": "boolean",
    "codes": "list[code]",
}


def typed() -> Catalogue:
    entry = {"unit": None, "description": ".", "source": ".", "lazy": False, "triggers": ["claim.paid"]}
    facts = {f"claim.{name}": {"type": kind, **entry} for name, kind in TYPES.items()}
    return read_catalogue(json.dumps({"triggers": {"claim.paid": {"amount": None}}, "facts": facts}))


DECLARED = typed()


def says(fact: str, op: str, value: object, *, of: object) -> bool:
    """Whether `{fact, op, value}` holds of an event in which the fact is `of`."""
    when = {"fact": f"claim.{fact}", "op": op, "value": value}
    rule = parse_rule(
        {
            "id": "r",
            "version": 1,
            "name": "r",
            "trigger": "claim.paid",
            "when": when,
            "then": [{"action": "notify"}],
            "mode": "live",
        },
        DECLARED,
    )
    return holds(rule.when, EventFacts({"claim": {fact: of}}, ON, declared=DECLARED), ON)


TABLE: list[tuple[str, str, object, list[object], list[object]]] = [
    # fact, operator, value of the rule; true of these; false of these
    ("text", "eq", "Ä", ["Ä"], ["ä", "A\u0308", "Ä ", 1]),
    ("code", "eq", "29", ["29"], ["029", "29 ", 29, 29.0, ["29"]]),
    ("count", "eq", 1, [1, 1.0, Decimal(1)], [0, True, "1", 1.5]),
    ("count", "eq", 0, [0, -0.0], [False, "", "0"]),
    ("price_cents", "eq", 2**53 + 1, [2**53 + 1], [2**53, 2**53 + 2]),
    ("rate", "eq", 0.1, [0.1, Decimal("0.1"), Decimal("0.10")], [Decimal("0.1000000000000001"), NAN, "0.1"]),
    ("day_on", "eq", "2026-02-03", ["2026-02-03"], ["2026-02-04", "2026-2-3", "2026-02-03T00:00:00Z"]),
    ("urgent", "eq", True, [True], [False, 1, "true"]),
    ("urgent", "eq", False, [False], [True, 0, ""]),
    ("text", "ne", "a", ["b", "A"], ["a", 7]),
    ("count", "ne", 1, [0, 2], [1, 1.0, True, NAN]),
    ("urgent", "ne", True, [False], [True, 0]),
    ("count", "gt", 10, [11, 2**62], [10, 9, -(2**62), "11", True, 2**64]),
    ("count", "gte", 10, [10, 11], [9, 9.0]),
    ("price_cents", "lt", 100, [99, -(2**62), 0], [100, INF, -INF, NAN, "99", False]),
    ("price_cents", "lte", 100, [100, 99], [101, 100.5]),
    ("rate", "gt", 0.25, [0.250001, 1, Decimal("0.26")], [0.25, NAN, INF, True]),
    ("day_on", "gt", "2026-02-03", ["2026-02-04", "9999-12-31"], ["2026-02-03", "0001-01-01"]),
    ("day_on", "lte", "2026-02-03", ["2026-02-03", "2026-02-02"], ["2026-02-04", "never"]),
    ("count", "between", [1, 3], [1, 2, 3], [0, 4, True, "2"]),
    ("rate", "between", [0, 1], [0, 1, 0.5], [-0.1, 1.1, NAN]),
    ("day_on", "between", ["2026-01-01", "2026-01-31"], ["2026-01-01", "2026-01-31"], ["2025-12-31"]),
    ("code", "in", ["29", "50"], ["29", "50"], ["2", "295", 29, ["29"]]),
    ("count", "in", [1, 3], [1, 3, 3.0], [2, True]),
    ("day_on", "in", ["2026-02-03"], ["2026-02-03"], ["2026-02-04"]),
    ("code", "not_in", ["29", "50"], ["97", "\uff12\uff19"], ["29", 97, ["97"]]),
    ("count", "not_in", [1, 3], [2], [1, False, "2"]),
    (
        "codes",
        "contains",
        "25",
        [["25"], ["59", "25"], ["25", None]],
        [[], ["2", "5"], ["259"], "25", ["25", 59]],
    ),
    (
        "codes",
        "contains_any",
        ["25", "59"],
        [["59"], ["59", "25", "x"]],
        [[], ["x"], "59", [["59"]], {"59": 1}],
    ),
    ("text", "substring", "ae", ["Michael", "aetna"], ["AETNA", "a e", ["ae"]]),
    ("code", "substring", "健", ["健康"], ["康"]),
    ("text", "starts_with", "Blue", ["Blue", "Blue Cross"], ["blue cross", "The Blue", 1]),
    ("code", "starts_with", "99", ["99213", "99"], ["9", 99213]),
    ("code", "matches", "99[0-9]{3}", ["99213"], ["992130", "x99213", "99213\n", 99213]),
    ("text", "matches", "Caf.", ["Café"], ["Cafe\u0301"]),
    ("day_on", "within_days", [0, 14], ["2026-02-03", "2026-02-17"], ["2026-02-02", "2026-02-18", 20260203]),
    ("day_on", "within_days", [-30, -1], ["2026-01-04", "2026-02-02"], ["2026-01-03", "2026-02-03"]),
    ("text", "exists", True, ["x"], [7]),
    ("count", "exists", True, [0], ["0", True]),
    ("urgent", "exists", True, [False], [0]),
    ("codes", "exists", True, [[], ["x"], [None]], ["x", {}]),
    ("text", "exists", False, ["", "  "], ["x", 7, []]),
    ("rate", "exists", False, [NAN, INF, Decimal("NaN")], [0, "NaN"]),
    ("codes", "exists", False, [], [[], ["x"], "x"]),
]

ROWS = [
    pytest.param(fact, op, value, actual, truth, id=f"{row}-{fact} {op}-{truth}{column}")
    for row, (fact, op, value, true, false) in enumerate(TABLE)
    for truth, actuals in ((True, true), (False, false))
    for column, actual in enumerate(actuals)
]


@pytest.mark.parametrize(("fact", "op", "value", "actual", "truth"), ROWS)
def test_the_meaning_table(fact: str, op: str, value: object, actual: object, truth: bool) -> None:  # noqa: FBT001
    assert says(fact, op, value, of=actual) is truth


def test_the_table_speaks_of_every_operator() -> None:
    assert {op for _, op, *_ in TABLE} == set(OPERATORS)


@pytest.mark.parametrize("row", TABLE, ids=[f"{index}-{row[1]}" for index, row in enumerate(TABLE)])
def test_a_null_fact_makes_every_operator_false_but_exists_false(
    row: tuple[str, str, object, list[object], list[object]],
) -> None:
    fact, op, value, *_ = row
    assert says(fact, op, value, of=None) is (op == "exists" and value is False)


REFUSED: list[tuple[str, str, object]] = [
    ("code", "eq", 29),
    ("code", "eq", True),
    ("code", "eq", ["29"]),
    ("code", "eq", ""),
    ("code", "gt", "29"),
    ("code", "contains", "2"),
    ("code", "in", []),
    ("code", "in", "29"),
    ("code", "in", ["29", 50]),
    ("code", "in", ["29", None]),
    ("code", "in", ["x"] * 1001),
    ("code", "matches", "(a+)+"),
    ("code", "matches", 99),
    ("code", "starts_with", " "),
    ("code", "within_days", [0, 1]),
    ("count", "eq", True),
    ("count", "eq", "1"),
    ("count", "eq", 1.5),
    ("count", "gt", 2**63),
    ("count", "between", [1]),
    ("count", "between", [1, 2, 3]),
    ("count", "between", [3, 1]),
    ("count", "between", 1),
    ("count", "matches", "1"),
    ("count", "substring", "1"),
    ("price_cents", "gt", "12.50"),
    ("price_cents", "gt", 12.5),
    ("rate", "gt", NAN),
    ("rate", "lt", INF),
    ("day_on", "eq", "03/02/2026"),
    ("day_on", "within_days", 14),
    ("day_on", "within_days", [14, 0]),
    ("day_on", "within_days", [0, 0.5]),
    ("day_on", "within_days", [0, 40_000]),
    ("day_on", "within_days", ["0", "1"]),
    ("urgent", "eq", 1),
    ("urgent", "in", [True]),
    ("urgent", "gt", False),
    ("codes", "eq", "25"),
    ("codes", "ne", ["25"]),
    ("codes", "contains", ["25"]),
    ("codes", "contains", 25),
    ("codes", "contains_any", "25"),
    ("codes", "substring", "2"),
    ("text", "exists", "yes"),
    ("text", "exists", 1),
]


@pytest.mark.parametrize(
    ("fact", "op", "value"), REFUSED, ids=[f"{row}-{fact} {op}" for row, (fact, op, _) in enumerate(REFUSED)]
)
def test_a_value_of_the_wrong_type_in_a_rule_is_refused_with_its_place(
    fact: str, op: str, value: object
) -> None:
    with pytest.raises(PoisonError, match=r"^\$\.when\.(op|value): ") as refused:
        says(fact, op, value, of=None)
    assert refused.value.code == "invalid_rule"


def test_an_unquoted_code_is_told_how_to_write_it() -> None:
    with pytest.raises(PoisonError, match='put it in quotes, "29"'):
        says("code", "eq", 29, of=None)
