"""What JSON we take, and where in it something is wrong."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.json_text import MAX_DEPTH, parse
from shared.runtime.errors import UnreadableError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


def holds_nul(value: object) -> bool:
    match value:
        case str():
            return "\0" in value
        case list():
            return any(map(holds_nul, value))
        case dict():
            return any(map(holds_nul, [*value.keys(), *value.values()]))
        case _:
            return False


def place(body: bytes) -> str:
    with pytest.raises(UnreadableError) as raised:
        parse(body)
    return raised.value.place


def test_numbers_are_exact() -> None:
    assert parse(b'{"value": 0.1, "big": 12345678901234567890.10}') == {
        "value": Decimal("0.1"),
        "big": Decimal("12345678901234567890.10"),
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "$"),
        (b"{", "$"),
        (b'{"a": 1} 2', "$"),
        (b'{"entry": [1, {"resource": {"id": }}]}', "$.entry[1].resource.id"),
        (b'{"entry": [1, {"resource": nul}]}', "$.entry[1].resource"),
        (b'{"a": {"b": 1}, "c": "unclosed', "$.c"),
        (b'{"item": [{"net": {"value": NaN}}]}', "$.item[0].net.value"),
        (b'{"item": [{"net": -Infinity}]}', "$.item[0].net"),
        (b'{"item": [{"net": 1, "net": 2}]}', "$.item[0].net"),
        (b'{"a": {"id": 1}, "b": {"id": 1}, "b": 2}', "$.b"),
        (b'{"note": ["x", "a\\u0000b"]}', "$.note[1]"),
        (b'{"note": "\\ud800"}', "$.note"),
        (b'{"JANE DOE": {"x": }}', "$.*.x"),
        (b'{"value": 1e99999999999999999999}', "$"),
        (b'{"value": ' + b"1" * 5_000 + b"}", "$"),
        (b'{"a": "\xff"}', "byte 7"),
        (b"\xff\xfe{\0}\0", "byte 0"),
    ],
)
def test_what_is_wrong_has_a_place(body: bytes, expected: str) -> None:
    assert place(body) == expected


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse(b'{"note": "\\ud83d\\ude00"}') == {"note": "😀"}


def test_a_fault_far_into_a_large_text_is_placed_by_its_character() -> None:
    body = b'{"a": [' + b'{"b": 1}, ' * 200_000 + b"x]}"
    assert place(body).startswith("character ")


@pytest.mark.parametrize("pair", [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_nesting_is_bounded(pair: tuple[bytes, bytes]) -> None:
    opening, closing = pair
    levels = opening.count(b"[") + opening.count(b"{")
    most = MAX_DEPTH // levels
    parse(opening * most + b"1" + closing * most)
    assert place(opening * (most + 1) + b"1" + closing * (most + 1)) == "$"
    assert place(opening * 200_000) == "$"


def test_brackets_in_text_are_not_nesting() -> None:
    text = '[{"' * 100
    assert parse(json.dumps({"a": [text, "\\", '"', text]}).encode()) == {"a": [text, "\\", '"', text]}


@given(value=VALUES, ascii_only=st.booleans())
def test_what_was_written_is_what_is_read_unless_it_cannot_be_stored(
    value: object, *, ascii_only: bool
) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    if holds_nul(value):
        assert place(body)
    else:
        assert parse(body) == value


@given(st.binary(max_size=200) | st.text('{}[]",:\\au0d8 1-.eE\n', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        parse(body)
    except UnreadableError as error:
        assert error.place  # noqa: PT017 - both are fine, and nothing else is
