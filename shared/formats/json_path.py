"""Where in a JSON text something is wrong, as a path. Slow, and asked only of a text that was refused. Pure: no I/O."""

import re
from collections.abc import Iterator
from typing import Final

Step = str | int

_CONSTANTS: Final = frozenset({"NaN", "Infinity", "-Infinity"})
_FURTHEST: Final = 1 << 20  # characters walked through: a second's work
_LONGEST: Final = 20  # steps shown of a path
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{},:]|[^\s\[\]{},:"]+')
_NAME = re.compile(r"[a-z][A-Za-z_]{0,49}").fullmatch


def path_at(text: str, position: int) -> str:
    """Return the path of the value in which a character stands; by its number where that is far into the text."""
    if position > _FURTHEST:
        return f"character {position}"
    path: list[Step] = []
    for _, path, _ in _walk(text, position):  # noqa: B007 - the last one
        pass
    return written(path)


def path_of_refusal(text: str) -> str:
    """Return the path of the first name that its object has already, or of the first constant that is no number."""
    for token, path, repeated in _walk(text, _FURTHEST):
        if repeated or token in _CONSTANTS:
            return written(path)
    return "$"


def written(path: list[Step]) -> str:
    """Return a path in RFC 9535's shorthand, cut off where it is very long."""
    steps = (
        f"[{step}]" if isinstance(step, int) else f".{shown(step)}" for step in path[:_LONGEST] if step != ""
    )
    return "$" + "".join(steps)


def shown(name: object) -> str:
    """Return a member's name for a path, or `*`: what no standard would call a member may be a patient's name."""
    return name if isinstance(name, str) and _NAME(name) else "*"


def _walk(text: str, stop: int) -> Iterator[tuple[str, list[Step], bool]]:
    """Yield each token before `stop`, the path it is at, and whether it gives an object a name a second time.

    The list is the same one each time. The text need not be JSON.
    """
    path: list[Step] = []
    names: list[set[str]] = []
    name, repeated = "", False
    for found in _TOKEN.finditer(text, 0, stop):
        token, repeated = found[0], False
        if token in {"{", "["}:
            path.append("" if token == "{" else 0)  # noqa: S105 - a bracket
            names.append(set())
        elif token in {"}", "]"}:
            del path[-1:], names[-1:]
        elif token == "," and path:  # noqa: S105 - a comma
            last = path[-1]
            path[-1] = last + 1 if isinstance(last, int) else ""
        elif token == ":" and path:  # noqa: S105 - a colon
            path[-1] = name
            repeated = name in names[-1]
            names[-1].add(name)
        else:
            name = token.strip('"')
        yield token, path, repeated
