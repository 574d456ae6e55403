"""Who a claim of an 835 names (NM1): the patient and the rendering provider. Pure: no I/O.

Source: 005010X221A1, loop 2100: NM1*QC (patient), *IL (insured), *74 (as corrected), *82 (rendering provider).
"""

from collections.abc import Mapping
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


def _joined(nm1: Segment, *positions: int) -> str:
    return " ".join(filter(None, [text(nm1, at) for at in positions]))
