"""Code sets as data, to say which codes nobody has heard of. Unknown codes pass through everywhere. Pure.

`codes/*.json` name their source, licence and version. There is no open list of claim adjustment reasons (CARC), and
X12's descriptions are not free to copy: values only. A code that is newer than the list is unknown, and no fault.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from shared.domain.claims import Adjustment, ClaimPayment, ClaimStatus, Record

FOLDER: Final = Path(__file__).parent / "codes"
_LONGEST: Final = 5


@dataclass(frozen=True, slots=True)
class CodeSet:
    """The values of one list. version: of the list, as its source dates it."""

    name: str
    version: str
    codes: frozenset[str]


# Codes repeat, within a file and across files: looking one up costs a third of working it out.
@lru_cache(maxsize=4096)
def is_code(text: str) -> bool:
    """Whether a text can be a code of X12's lists: one to five letters and digits. What is longer may be a name."""
    return 0 < len(text) <= _LONGEST and text.isalnum() and text.isascii()


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
            yield name, code if is_code(code) else "?"


def _remarks(payment: ClaimPayment) -> Iterator[str]:
    yield from payment.remarks
    for line in payment.lines:
        yield from line.remarks


def _adjustments(payment: ClaimPayment) -> Iterator[Adjustment]:
    yield from payment.adjustments
    for line in payment.lines:
        yield from line.adjustments
