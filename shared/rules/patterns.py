r"""Patterns of `matches`: full-match, over a subset of regular expressions whose worst cost is known beforehand.

A pattern is one or more alternatives, `|` between them, each a row of single characters with a count. Characters:
letters and digits, `.`, `\d` `\s` `\w`, classes such as `[A-Z0-9]` or `[^0]`, punctuation behind a `\`.
Counts: `?`, `*`, `+`, `{3}`, `{2,5}`, `{2,}`.

There are no groups, so counts cannot nest, and no anchors, look-around or back-references. What is left is slow only
where counts compete for the same text; the number of ways to share it is a product, and that product is bounded here.
"""

import re
from functools import lru_cache
from typing import Final

from shared.rules.values import MAX_TEXT

MAX_PATTERN: Final = 200  # characters
MAX_WAYS: Final = (
    300_000  # two open-ended counts in one alternative: a few milliseconds on the longest text at worst
)

_CLASS = r"\[\^?(?:\\[dsw]|\\[^\w\s]|[A-Za-z0-9]-[A-Za-z0-9]|[\w ./:,#+])+\]"
_CHARACTER = rf"(?:\\[dsw]|\\[^\w\s]|{_CLASS}|[^\\\[\](){{}}|?*+^$])"
_COUNT = r"(?P<count>[?*+]|\{(?P<least>\d{1,3})(?P<open>,(?P<most>\d{0,3}))?\})?"
_PIECE = re.compile(rf"{_CHARACTER}{_COUNT}|(?P<or>\|)", re.ASCII)


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return the pattern, to be used with `fullmatch`. Digits and word characters are ASCII; `.` is any character.

    Raises:
        ValueError: not in the subset, or its worst case is over the bound.
    """
    if not 0 < len(pattern) <= MAX_PATTERN:
        raise ValueError(f"a pattern has 1 to {MAX_PATTERN} characters")
    if ways(pattern) > MAX_WAYS:
        raise ValueError("a pattern that could take too long: use fewer of * + ? {m,n} in one alternative")
    try:
        return re.compile(pattern, re.ASCII | re.DOTALL)
    except re.error as exc:
        raise ValueError(f"not a pattern: {exc.msg}") from exc


def ways(pattern: str) -> int:
    """Return in how many ways, at most, the counts of a pattern can share the longest text.

    Raises:
        ValueError: the pattern is not in the subset; says from which character on.
    """
    total, product, at = 0, 1, 0
    while at < len(pattern):
        piece = _PIECE.match(pattern, at)
        if piece is None:
            raise ValueError(f"not in the safe subset of patterns at {pattern[at : at + 10]!r}")
        if piece["or"]:
            total, product = total + product, 1
        else:
            product *= _choices(piece)
        at = piece.end()
    return total + product


def _choices(piece: re.Match[str]) -> int:
    """Return how many lengths one counted character can take."""
    if not piece["count"]:
        return 1
    if piece["count"] == "?":
        return 2
    if piece["open"] and piece["most"]:
        return max(int(piece["most"]) - int(piece["least"]) + 1, 1)
    return 1 if piece["least"] and not piece["open"] else MAX_TEXT + 1
