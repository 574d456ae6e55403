import time
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.rules.patterns import MAX_PATTERN, MAX_WAYS, compiled, ways
from shared.rules.values import MAX_TEXT


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("99[0-9]{3}", "99213", "992130"),
        (r"J\d{4}", "J0585", "J058"),
        ("A|BC", "BC", "ABC"),
        ("ab|a.*", "abc", "b"),
        ("[^0].*", "10", "01"),
        (r"CO-?\d+", "CO197", "CO-"),
        (r"Z12\.[1-9]{1,2}", "Z12.31", "Z12131"),
        (r"[\w\-]+", "a-b_9", "a b"),
        (".", "é", "éé"),
        (".*", "two\nlines", None),
        (r"\d", "1", "\u0661"),
        ("x{2,}", "xxx", "x"),
        ("x?", "x", "xx"),
        ("Müller.*", "Müller AG", "Muller"),
    ],
)
def test_a_pattern_matches_the_whole_text(pattern: str, yes: str, no: str | None) -> None:
    assert compiled(pattern).fullmatch(yes)
    assert no is None or not compiled(pattern).fullmatch(no)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "x" * (MAX_PATTERN + 1),
        "(a+)+",
        "(?:a|a)*",
        r"(a)\1",
        "(?=a)",
        "(?<!a)b",
        "^a$",
        "a**",
        "a*?",
        "a*+",
        "a{2}{3}",
        "*a",
        "a{3,2}",
        "a{,2}",
        "{2}",
        "[",
        "[]",
        "[z-a]",
        "[a--b]",
        "[[:alpha:]]",
        "a]",
        r"\b",
        r"\A",
        r"\p{L}",
        "\\",
        ".*.*.*x",
        "a?" * 30,
        "[ab]{0,99}[bc]{0,99}[cd]{0,99}",
    ],
)
def test_a_pattern_outside_the_subset_or_over_the_bound_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        compiled(pattern)


def test_ways_multiply_along_an_alternative_and_add_up_between_them() -> None:
    assert ways("abc") == 1
    assert ways("a?b?") == 4
    assert ways("a?|b{2,4}|c{5}") == 2 + 3 + 1
    assert ways(".*x.+") == (MAX_TEXT + 1) ** 2 <= MAX_WAYS


def test_the_costliest_pattern_on_the_longest_text_ends_soon() -> None:
    pattern = compiled("a*a*b")
    begun = time.perf_counter()
    assert not pattern.fullmatch("a" * MAX_TEXT)
    assert time.perf_counter() - begun < 1


SIGNS = st.text(st.sampled_from("ab019.*+?{}[](),|\\-^$ dws&~:é"), max_size=24)


@given(SIGNS)
@example("[a&&b]")
@example("[~~]")
def test_any_text_is_a_bounded_pattern_or_refused_and_never_warns(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            pattern = compiled(text)
        except ValueError:
            return
        assert ways(text) <= MAX_WAYS
        pattern.fullmatch("ab" * 10)
