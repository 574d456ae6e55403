"""Names that mean something on one server only: the id of a resource, a reference to one. Pure: no I/O.

Every server counts from 1, and an id may equal anybody's claim number. So such a name counts together with the
connection that it came over: `scoped` puts it before.
Source: FHIR R4, Resource.id ("logical id"), "Literal references".
"""

from dataclasses import fields, replace
from typing import Any, Final, TypeVar

from shared.domain.claims import Party, Record, Remittance
from shared.formats.json_members import text
from shared.formats.json_text import Json

T = TypeVar("T", bound=Record | Remittance | Party)

LOCAL_NAME: Final = "local name"  # of what a Bundle holds, once it is put into the claim that refers to it


class Local(str):
    """A name of one server's. It is what it was made of until `scoped` says whose it is."""

    __slots__ = ()


def local(target: str) -> str:
    """Return the name of what a literal reference points to (`Claim/1`), whichever version and base it names.

    Empty for a contained resource, which has no name outside.
    """
    if target.startswith("#"):
        return ""
    parts = target.partition("/_history/")[0].rstrip("/").split("/")
    return Local("/".join(parts[-2:])) if target else ""


def local_name(resource: Json) -> str:
    """Return what its server calls a resource, as others refer to it; empty without an id."""
    number = text(resource, "id")
    return local(f"{text(resource, 'resourceType')}/{number}") if number else ""


def scoped(value: T, connection_id: str) -> T:
    """Return a record, or a part of it, with the connection before each local name; as it is without a connection."""
    if not connection_id:
        return value
    changed: dict[str, Any] = {}
    for name in (field.name for field in fields(value)):
        match getattr(value, name):
            case Local() as found:
                changed[name] = f"{connection_id}/{found}"
            case Party() | Remittance() as part:
                changed[name] = scoped(part, connection_id)
            case _:
                pass
    return replace(value, **changed) if changed else value
