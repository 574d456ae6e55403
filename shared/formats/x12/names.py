"""Who a claim names (NM1): patient, provider, payer. Pure: no I/O.

Source: 005010X221A1, loop 2100: NM1*QC (patient), *IL (insured), *74 (as corrected), *82 (rendering provider); the
other guides name people by the same elements.
"""

from collections.abc import Mapping
from datetime import date
from typing import Final

from shared.domain.claims import Party, Patient
from shared.formats.x12.elements import Segment, element, text

_SSN: Final = "34"

Names = Mapping[str, Segment]  # the first NM1 of each role


def patient(names: Names) -> Patient:
    """Return the patient, with the member id as the payer corrects it, else as it was submitted.

    A social security number is not kept.
    Raises:
        ElementError: an element is longer than any real one.
    """
    named = names.get("QC") or names.get("IL") or []
    ids = [names[role] for role in ("74", "QC", "IL") if role in names]
    return Patient(
        name=_joined(named, 4, 5, 3, 7),
        member_id=next((text(nm1, 9) for nm1 in ids if element(nm1, 9) and element(nm1, 8) != _SSN), ""),
    )


def rendering_provider(names: Names) -> Party | None:
    """Return who treated the patient, if the claim says so.

    Raises:
        ElementError: an element is longer than any real one.
    """
    rendering = names.get("82")
    return Party(_joined(rendering, 4, 5, 3), text(rendering, 9)) if rendering else None


def party(nm1: Segment) -> Party:
    """Return the payer or provider that a segment names; nobody for no segment.

    Raises:
        ElementError: an element is longer than any real one.
    """
    return Party(_joined(nm1, 4, 5, 3), "" if element(nm1, 8) == _SSN else text(nm1, 9)) if nm1 else Party()


def person(nm1: Segment, insured: Segment, *, born_on: date | None = None) -> Patient:
    """Return the patient by their own segment, with their own member id or else the insured's.

    Raises:
        ElementError: an element is longer than any real one.
    """
    member = next((s for s in (nm1, insured) if element(s, 9) and element(s, 8) != _SSN), [])
    return Patient(_joined(nm1 or insured, 4, 5, 3, 7), text(member, 9), born_on)


def _joined(nm1: Segment, *positions: int) -> str:
    return " ".join(filter(None, [text(nm1, at) for at in positions]))
