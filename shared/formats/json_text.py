"""JSON payloads as values that are exact and bounded, or an error that says where. Pure: no I/O.

Numbers with a fraction become Decimal. Refused besides what is no JSON: nesting beyond 64, a name twice in one object
(which of the two amounts counts?), NaN and infinities, NUL and lone surrogates (no database column takes them).
Source: RFC 8259 (JSON), RFC 9535 section 2.7 (normalised paths, in shorthand).
"""

import json
import re
from decimal import Decimal
from typing import Final, Never

from shared.formats.json_path import path_at, path_of_refusal, shown
from shared.runtime.errors import UnreadableError

Json = dict[str, object]

MAX_DEPTH: Final = 64
_ROOT: Final = "$"
_BOM: Final = b"\xef\xbb\xbf"
_STRUCTURE: Final = b'{}[]"\\'
_ALL_ELSE: Final = bytes(set(range(256)) - set(_STRUCTURE))
_BRACES: Final = bytes.maketrans(b"[]", b"{}")
_STRINGS = re.compile(rb'"[^"]*"')
_UNSTORABLE_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class _RefusedError(ValueError):
    """What the parser's hooks raise."""


def parse(body: bytes) -> object:
    """Return the JSON value of a payload in UTF-8.

    Raises:
        UnreadableError: it is none that we take. The place is a JSON path, or the byte where UTF-8 ends.
    """
    text = _decode(body)
    if _deeper_than(body, MAX_DEPTH):
        raise UnreadableError(f"nested deeper than {MAX_DEPTH}", place=_ROOT)
    try:
        value = json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_unique
        )
    except json.JSONDecodeError as exc:
        raise UnreadableError("not JSON from here", place=path_at(text, exc.pos)) from exc
    except _RefusedError as exc:
        raise UnreadableError(str(exc), place=path_of_refusal(text)) from exc
    except (
        ValueError,
        ArithmeticError,
        RecursionError,
    ) as exc:  # a number of thousands of digits; unclosed brackets
        raise UnreadableError("a number or nesting without bounds", place=_ROOT) from exc
    if _UNSTORABLE_ESCAPE.search(text):
        _refuse_unstorable(value, _ROOT)
    return value


def _decode(body: bytes) -> str:
    try:
        return body.removeprefix(_BOM).decode()
    except UnicodeDecodeError as exc:
        raise UnreadableError("not UTF-8", place=f"byte {exc.start}") from exc


def _deeper_than(body: bytes, limit: int) -> bool:
    """Whether brackets nest deeper than `limit`. What is no JSON may pass: the parser comes next.

    Works on brackets alone, and takes the innermost pairs away once per level: C speed, whatever the payload.
    """
    rest = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    rest = rest.translate(None, _ALL_ELSE)
    rest = _STRINGS.sub(b"", rest.replace(b'""', b"")).translate(_BRACES)
    for _ in range(limit):
        rest = rest.replace(b"{}", b"")
    return b"{}" in rest


def _refuse_constant(_: str) -> Never:
    raise _RefusedError("NaN or an infinity")


def _unique(pairs: list[tuple[str, object]]) -> Json:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _RefusedError("a name twice in one object")
    return value


def _refuse_unstorable(value: object, path: str) -> None:
    match value:
        case str() if _UNSTORABLE.search(value):
            raise UnreadableError("a NUL or half a surrogate pair", place=path)
        case dict():
            for name, child in value.items():
                _refuse_unstorable(name, f"{path}.*")
                _refuse_unstorable(child, f"{path}.{shown(name)}")
        case list():
            for index, child in enumerate(value):
                _refuse_unstorable(child, f"{path}[{index}]")
        case _:
            pass
