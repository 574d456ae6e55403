from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rules.values import (
    COERCIONS,
    MAX_ITEMS,
    MAX_NUMBER,
    MAX_TEXT,
    FactType,
    MismatchError,
    Value,
    as_json,
    coerce,
)

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("string", "Aetna", "Aetna"),
        ("string", "Sécurité 健康 🩺", "Sécurité 健康 🩺"),
        ("string", " x ", " x "),
        ("code", "0029", "0029"),
        ("code", "é", "é"),
        ("integer", 7, 7),
        ("integer", -7, -7),
        ("integer", 7.0, 7),
        ("integer", Decimal("7.00"), 7),
        ("integer", MAX_NUMBER, MAX_NUMBER),
        ("money", 12_345, 12_345),
        ("money", 1e3, 1000),
        ("number", 1, Decimal(1)),
        ("number", 0.1, Decimal("0.1")),
        ("number", Decimal("0.1"), Decimal("0.1")),
        ("date", "2026-02-03", date(2026, 2, 3)),
        ("date", date(2026, 2, 3), date(2026, 2, 3)),
        ("boolean", True, True),
        ("boolean", False, False),
        ("list[code]", [], ()),
        ("list[code]", ["25", "59", "25"], ("25", "59", "25")),
        ("list[code]", ("25",), ("25",)),
        ("list[code]", ["25", None, "", "  "], ("25",)),
    ],
)
def test_a_value_of_its_type_is_kept(kind: FactType, raw: object, value: Value) -> None:
    coerced = coerce(kind, raw)
    assert coerced == value
    assert type(coerced) is type(value)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        *((kind, None) for kind in COERCIONS),
        ("string", ""),
        ("string", " \t"),
        ("code", ""),
        ("date", ""),
        ("number", NAN),
        ("number", INF),
        ("number", -INF),
        ("number", Decimal("NaN")),
        ("number", Decimal("sNaN")),
        ("number", Decimal("-Infinity")),
        ("money", NAN),
        ("integer", INF),
        ("integer", Decimal("Infinity")),
    ],
)
def test_null_blank_and_what_is_no_number_are_missing(kind: FactType, raw: object) -> None:
    assert coerce(kind, raw) is None


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("string", 29),
        ("string", ["29"]),
        ("string", "x" * (MAX_TEXT + 1)),
        ("string", "a\0b"),
        ("string", "\ud800"),
        ("code", 29),
        ("code", True),
        ("integer", True),
        ("integer", "7"),
        ("integer", 7.5),
        ("integer", Decimal("7.5")),
        ("integer", MAX_NUMBER + 1),
        pytest.param("integer", 10**5000, id="integer of 5001 digits"),
        ("integer", 1e300),
        ("integer", Decimal("1E+999999")),
        ("money", False),
        ("money", "12.50"),
        ("money", 12.5),
        ("number", True),
        ("number", "1"),
        ("number", 10**400),
        ("number", Decimal("-1E+999999")),
        ("date", "2026-02-30"),
        ("date", "2026-2-3"),
        ("date", "20260203"),
        ("date", "2026-W06-2"),
        ("date", "2026-02-03T00:00:00Z"),
        ("date", "٢٠٢٦-٠٢-٠٣"),
        ("date", 1_770_076_800),
        ("date", datetime(2026, 2, 3, tzinfo=UTC)),
        ("boolean", 1),
        ("boolean", 0),
        ("boolean", "true"),
        ("list[code]", "25"),
        ("list[code]", {"25": 1}),
        ("list[code]", ["25", 59]),
        ("list[code]", [["25"]]),
        ("list[code]", ["x"] * (MAX_ITEMS + 1)),
    ],
)
def test_a_value_of_another_type_is_a_mismatch(kind: FactType, raw: object) -> None:
    with pytest.raises(MismatchError):
        coerce(kind, raw)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.dates()
    | st.datetimes()
    | st.binary(max_size=4)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(COERCIONS)), ANYTHING)
def test_coercion_answers_or_says_mismatch_whatever_comes(kind: FactType, raw: object) -> None:
    try:
        value = coerce(kind, raw)
    except MismatchError:
        return
    if value is not None:
        assert coerce(kind, value) == value
        assert coerce(kind, as_json(value)) == value or kind == "number"


def test_only_facts_values_have_a_form_in_json() -> None:
    assert as_json((date(2026, 2, 3), Decimal("1.50"), Decimal(2), True, None, "x")) == [
        "2026-02-03",
        1.5,
        2,
        True,
        None,
        "x",
    ]
    with pytest.raises(TypeError):
        as_json({"a": 1})
