"""Appeal letters: one claim, or several of one payer and reason. Pure: cases in, HTML out.

A letter states what the record holds and no more: it invents no clinical fact, and asks for what a reviewer can do.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final, get_args

from shared.documents.payers import house_of
from shared.documents.rendering import render
from shared.domain.cases import ClaimCase, Reason

LETTERS: Final[tuple[Reason, ...]] = get_args(Reason)
VERSION: Final = 1  # rises with any change of wording, so that appeals can be compared by it


def template_for(case: ClaimCase, wanted: str) -> Reason:
    """Return the letter that a rule asks for; one that leaves it open (`auto`) gets that for the denial's reason."""
    for known in LETTERS:
        if wanted == known:
            return known
    return case.reason


def appeal_letter(
    cases: Sequence[ClaimCase], *, template: Reason, level: int, on: date, reference: str
) -> str:
    """Return the letter as HTML. cases: all of one practice and payer; several make a consolidated letter.

    Raises:
        ValueError: no case, or cases of two payers or practices: one would be shown another's patients.
    """
    if len({(case.payer_key, case.practice) for case in cases}) != 1:
        raise ValueError("a letter goes to one payer, from one practice")
    first = cases[0]
    house = house_of(first.payer_key)
    return render(
        "appeal",
        {
            "cases": cases,
            "case": first,
            "several": len(cases) > 1,
            "template": template,
            "house": house,
            "what": house.first if level == 1 else house.later,
            "level": level,
            "on": on,
            "reference": reference,
            "disputed_cents": sum(case.disputed_cents for case in cases),
        },
    )
