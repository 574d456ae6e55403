"""FHIR data types as values: money, dates, codes, references, extensions. Pure: no I/O.

As in `shared/formats/json_members.py`, what was left out is an empty value, and what is wrong raises MemberError.
Source: FHIR R4 (4.0.1), "Data Types", "References", "Extensibility"; STU3 where R4 Money was a Quantity.
"""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from shared.domain.claims import Party
from shared.domain.money import cents
from shared.formats.fhir.local import local
from shared.formats.json_members import MemberError, child, children, each, inside, text
from shared.formats.json_text import Json

_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T[0-9:.+Z-]{0,40})?)?)?", re.ASCII).fullmatch


def money(parent: Json, name: str) -> int | None:
    """Return an amount in cents. R4 Money and STU3 Quantity both hold it as `value`."""
    value = child(parent, name).get("value")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise MemberError(f"{name}.value", "not a number")
    try:
        return cents(value)
    except (ValueError, ArithmeticError) as exc:
        raise MemberError(f"{name}.value", "not an amount of money") from exc


def day(parent: Json, name: str) -> date | None:
    """Return the date of a date or dateTime, as written: no zone moves it. None for a bare year or month."""
    value = text(parent, name)
    if not value:
        return None
    found = _DATE(value)
    if found is None:
        raise MemberError(name, "not a date")
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found[3] else None
    except ValueError as exc:
        raise MemberError(name, "not a date") from exc


def codings(concept: Json) -> Iterator[tuple[str, str]]:
    """Yield the system and code of a concept's codings."""
    yield from each(concept, "coding", lambda coding: (text(coding, "system"), text(coding, "code")))


def concept_code(parent: Json, name: str) -> str:
    """Return a concept's first code."""
    return next(filter(None, inside(parent, name, _codes)), "")


def concept_codes(parent: Json, name: str) -> frozenset[str]:
    """Return all codes of a concept: payers add their own beside the standard's."""
    return frozenset(inside(parent, name, _codes))


def identifier(resource: Json) -> str:
    """Return a resource's first business identifier."""
    return next(filter(None, each(resource, "identifier", lambda i: text(i, "value"))), "")


def reference(parent: Json, name: str) -> str:
    """Return what a reference points to, as written."""
    return inside(parent, name, lambda r: text(r, "reference"))


def reference_identifier(parent: Json, name: str) -> str:
    """Return the business identifier that a reference gives beside or instead of its target."""
    return inside(parent, name, lambda r: inside(r, "identifier", lambda i: text(i, "value")))


def contained(resource: Json, target: str) -> Json:
    """Return the contained resource that a target such as `#patient` names."""
    if not target.startswith("#"):
        return {}
    return next((c for c in children(resource, "contained") if c.get("id") == target[1:]), {})


def party(resource: Json, name: str) -> Party:
    """Return who a reference names: by its own display and identifier, else by the contained resource's.

    id: an identifier's value, else the target's local name (`Organization/2`).
    """
    target = reference(resource, name)
    referred = contained(resource, target)
    display = inside(resource, name, lambda r: text(r, "display"))
    own_name = referred.get("name")  # a string for an organization, a list for a person
    return Party(
        name=display or (text(referred, "name") if isinstance(own_name, str) else ""),
        id=reference_identifier(resource, name) or identifier(referred) or local(target),
    )


def extension(element: Json, name: str) -> Json:
    """Return the first extension whose URL ends in a name: guides differ in what stands before it."""
    return next((e for e in children(element, "extension") if _is_named(e.get("url"), name)), {})


def _codes(concept: Json) -> list[str]:
    return each(concept, "coding", lambda coding: text(coding, "code"))


def _is_named(url: object, name: str) -> bool:
    return isinstance(url, str) and (url == name or url.endswith((f"/{name}", f"-{name}")))
