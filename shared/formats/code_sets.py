"""Code sets as data, to say which codes nobody has heard of. Unknown codes pass through everywhere. Pure.

`codes/*.json` name their source, licence and version. There is no open list of claim adjustment reasons (CARC), and
X12's descriptions are not free to copy: values only. A code that is newer than the list is unknown, and no fault.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from shared.domain.claims import Adjustment, ClaimPayment, ClaimStatus, Record

FOLDER: Final = Path(__file__).parent / "codes"
_LONGEST: Final = 8  # what may be said of a code that is unknown: nothing that could be a name


@dataclass(frozen=True, slots=True)
class CodeSet:
    """The values of one list. version: of the list, as its source dates it."""

    name: str
    version: str
    codes: frozenset[str]


@cache
def code_set(name: str) -> CodeSet:
    """Return a code set by the name of its file."""
    declared = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return CodeSet(declared["name"], declared["version"], frozenset(declared["codes"]))


def unknown_codes(record: Record) -> Iterator[tuple[str, str]]:
    """Yield each code of a record that is in no list, with the list's name; `?` for what cannot be a code at all."""
    match record:
        case ClaimPayment():
            yield from _strange("remark", (r for r in _remarks(record)))
            yield from _strange("adjustment_group", (a.group for a in _adjustments(record)))
        case ClaimStatus():
            codes = [*record.codes, *(code for line in record.lines for code in line.codes)]
            yield from _strange("claim_status_category", (code.category for code in codes))
            yield from _strange("claim_status", (code.status for code in codes))
        case _:
            return


def _strange(name: str, codes: Iterator[str]) -> Iterator[tuple[str, str]]:
    known = code_set(name).codes
    for code in codes:
        if code and code not in known:
            plain = len(code) <= _LONGEST and code.isalnum() and code.isascii()
            yield name, code if plain else "?"


def _remarks(payment: ClaimPayment) -> Iterator[str]:
    yield from payment.remarks
    for line in payment.lines:
        yield from line.remarks


def _adjustments(payment: ClaimPayment) -> Iterator[Adjustment]:
    yield from payment.adjustments
    for line in payment.lines:
        yield from line.adjustments
