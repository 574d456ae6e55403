"""Reads FHIR payloads: one table of resource types, one reader each, and Bundles of those. Pure: no I/O.

A Bundle may hold what its claims refer to (a patient, a payer, a coverage): it is read as context, and is no record.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, NoReturn

from shared.domain.claims import Record
from shared.formats.fhir.authorization import read_authorization
from shared.formats.fhir.claim import read_claim
from shared.formats.fhir.context import CONTEXT, Context
from shared.formats.fhir.notification import read_notification
from shared.formats.fhir.payment import read_payment
from shared.formats.json_members import MemberError, child, children, text
from shared.formats.json_text import Json, parse
from shared.formats.review import PREAUTHORIZATION, as_request
from shared.runtime.errors import UnreadableError

_ROOT: Final = "$"
_BUNDLES: Final = frozenset({"searchset", "collection", "history"})


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
    """Yield the records of a payload, as `read_fhir_value` does."""
    return read_fhir_value(parse(body), _ROOT)


def read_fhir_value(value: object, place: str) -> Iterator[Record]:
    """Yield the records of one resource, or of each claim and answer in a Bundle, with the rest of it as context.

    A notification (a history Bundle whose first entry says so) yields its resources; for one that only names them, or
    not even that, a task to fetch them; for a handshake or heartbeat, nothing. place: of the value, `$` for a payload.
    Raises:
        UnreadableError: an element we keep is of the wrong kind, or (`unknown_format`) a resource without a reader. The
            place is a path such as `$.entry[0].resource.created`.
    Source: FHIR R4 (4.0.1); RESTful API, "JSON representation of resources"; Da Vinci PAS 2.0, request and response
        Bundles; Subscriptions R5 Backport 1.1, R4 notifications.
    """
    if not isinstance(value, dict):
        raise UnreadableError("not a FHIR resource", place=place, code="unknown_format")
    if value.get("resourceType") == "Bundle":
        yield from _read_bundle(value, place)
    else:
        yield from _read_resource(value, place)


def _read_bundle(bundle: Json, place: str) -> Iterator[Record]:
    try:
        kind, entries = text(bundle, "type"), children(bundle, "entry")
        if kind not in _BUNDLES:
            raise UnreadableError(
                "a kind of Bundle that we do not read", place=f"{place}.type", code="unknown_format"
            )
        notification = read_notification(entries, f"{place}.entry") if kind == "history" else None
    except MemberError as exc:
        _refuse(exc, place)
    if notification is not None and not notification.has_resources:
        yield from notification.tasks
        return
    context = Context.of(entries, f"{place}.entry")
    places = (f"{place}.entry[{index}]" for index in range(len(entries)))
    focal = [found for entry, where in zip(entries, places, strict=True) if (found := _focal(entry, where))]
    if not focal:
        where = _first_resource(entries, f"{place}.entry")
        raise UnreadableError("nothing in the Bundle that we read", place=where, code="unknown_format")
    for where, resource in focal:
        findings = context.findings(resource, where) if kind == "collection" else ()
        for record in _read_focal(resource, where, context):
            yield replace(record, findings=record.findings + findings) if findings else record
            findings = ()
    if notification is not None:
        yield from notification.tasks


def _read_focal(resource: Json, place: str, context: Context) -> Iterator[Record]:
    if _is_bundle(resource):
        yield from _read_bundle(resource, place)
        return
    try:
        whole = context.complete(resource)
    except MemberError as exc:
        _refuse(exc, place)
    yield from _read_resource(whole, place)


def _focal(entry: Json, place: str) -> tuple[str, Json] | None:
    """Return an entry's resource with its place if we read it; None for context, and for a search's remark on itself.

    Raises:
        UnreadableError: it is neither.
    """
    try:
        mode, resource = text(child(entry, "search"), "mode"), child(entry, "resource")
    except MemberError as exc:
        _refuse(exc, place)
    kind = resource.get("resourceType")
    if mode == "outcome" or (isinstance(kind, str) and kind in CONTEXT) or not resource:
        return None
    if not _is_bundle(resource):
        _reader(resource, f"{place}.resource")
    return f"{place}.resource", resource


def _is_bundle(resource: Json) -> bool:
    return resource.get("resourceType") == "Bundle"


def _first_resource(entries: list[Json], place: str) -> str:
    """Return where the first resource says what it is, or the entries' place where there is none."""
    for index, entry in enumerate(entries):
        resource = entry.get("resource")
        if isinstance(resource, dict) and resource.get("resourceType") != "Parameters":
            return f"{place}[{index}].resource.resourceType"
    return place


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
