"""Which resource a document is, and which version of it. Pure: no I/O.

A payer's server updates a resource in place: the same id, a newer `meta`. Two documents without one cannot be told to
be two versions of one decision, and then they are two (docs/adr/0016).
Source: FHIR R4, Resource.id, Resource.meta (versionId, lastUpdated).
"""

from datetime import UTC, datetime
from typing import Final

from shared.formats.fhir.local import Local
from shared.formats.json_members import inside, text
from shared.formats.json_text import Json

_DIGITS: Final = 20


def version(resource: Json) -> tuple[str, str]:
    """Return what tells a resource from all others, and what orders its versions as text; both empty without a version.

    When it was updated decides, and the number of the version where that is the same or missing.
    """
    number = text(resource, "id")
    changed_at, numbered = inside(
        resource, "meta", lambda meta: (_instant(text(meta, "lastUpdated")), text(meta, "versionId"))
    )
    if not number or not (changed_at or numbered):
        return "", ""
    referred = inside(resource, "insurer", lambda r: text(r, "reference"))
    payer = referred or inside(resource, "insurer", lambda r: text(r, "display"))
    key = "|".join((text(resource, "resourceType"), payer, number))
    order = f"{changed_at}|{numbered.zfill(_DIGITS) if numbered.isdecimal() else numbered}"
    return (Local(key) if referred else key), order


def _instant(written: str) -> str:
    """Return an instant in UTC, so that text sorts as time does; empty for what is none."""
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        return ""
    if at.tzinfo is None:
        return ""
    try:
        return at.astimezone(UTC).isoformat(timespec="microseconds")
    except OverflowError:
        return ""
