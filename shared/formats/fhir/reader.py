"""Reads FHIR payloads: one table of resource types, one reader each, and Bundles of those. Pure: no I/O."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NoReturn

from shared.domain.claims import Record
from shared.formats.fhir.authorization import read_authorization
from shared.formats.fhir.claim import read_claim
from shared.formats.fhir.payment import read_payment
from shared.formats.json_members import MemberError, child, children, text
from shared.formats.json_text import Json, parse
from shared.formats.review import PREAUTHORIZATION, as_request
from shared.runtime.errors import UnreadableError

_ROOT: Final = "$"
_BUNDLES: Final = frozenset({"searchset", "collection"})


def _read_claim(resource: Json, place: str) -> Iterator[Record]:
    claim = read_claim(resource, place)
    yield as_request(claim) if claim.use == PREAUTHORIZATION else claim


def _read_answer(resource: Json, place: str) -> Iterator[Record]:
    if text(resource, "use") == PREAUTHORIZATION:
        yield from read_authorization(resource)
    else:
        yield from read_payment(resource, place)


# resourceType → reader. A further resource is one more line.
RESOURCES: Final[Mapping[str, Callable[[Json, str], Iterator[Record]]]] = {
    "Claim": _read_claim,
    "ClaimResponse": _read_answer,
    "ExplanationOfBenefit": _read_answer,
}


def read_fhir(body: bytes) -> Iterator[Record]:
    """Yield the records of one resource, or of each in a search or collection Bundle that holds nothing else.

    Raises:
        UnreadableError: no JSON that we take, an element we keep is of the wrong kind, or (`unknown_format`) a resource
            without a reader. The place is a path such as `$.entry[0].resource.created`.
    Source: FHIR R4 (4.0.1); RESTful API, "JSON representation of resources".
    """
    value = parse(body)
    if not isinstance(value, dict):
        raise UnreadableError("not a FHIR resource", place=_ROOT, code="unknown_format")
    if value.get("resourceType") == "Bundle":
        yield from _read_bundle(value)
    else:
        yield from _read_resource(value, _ROOT)


def _read_bundle(bundle: Json) -> Iterator[Record]:
    try:
        kind, entries = text(bundle, "type"), children(bundle, "entry")
    except MemberError as exc:
        _refuse(exc, _ROOT)
    if kind not in _BUNDLES:
        raise UnreadableError("a kind of Bundle that we do not read", place="$.type", code="unknown_format")
    resources = [found for index, entry in enumerate(entries) if (found := _resource(entry, index))]
    if not resources:
        raise UnreadableError("nothing in the Bundle", place="$.entry", code="unknown_format")
    for place, resource in resources:
        _reader(resource, place)  # all of it or none: a Bundle may say of one resource what another needs
    for place, resource in resources:
        yield from _read_resource(resource, place)


def _resource(entry: Json, index: int) -> tuple[str, Json] | None:
    """Return an entry's resource with its place; None for a search's remark on itself."""
    place = f"$.entry[{index}]"
    try:
        mode, resource = text(child(entry, "search"), "mode"), child(entry, "resource")
    except MemberError as exc:
        _refuse(exc, place)
    return None if mode == "outcome" else (f"{place}.resource", resource)


def _read_resource(resource: Json, place: str) -> Iterator[Record]:
    read = _reader(resource, place)
    try:
        yield from read(resource, place)
    except MemberError as exc:
        _refuse(exc, place)


def _reader(resource: Json, place: str) -> Callable[[Json, str], Iterator[Record]]:
    kind = resource.get("resourceType")
    read = RESOURCES.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise UnreadableError(
            "a resource that we do not read", place=f"{place}.resourceType", code="unknown_format"
        )
    return read


def _refuse(error: MemberError, place: str) -> NoReturn:
    raise UnreadableError(error.detail, place=f"{place}.{error.path}") from error
