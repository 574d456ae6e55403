"""Stedi's events about files and transactions: what they bring is read, what they only name becomes a task. Pure.

The older events wrap everything in `detail`, with links to fetch from; the newer ones name a resource and nothing else.
Ids are no UUIDs, and control numbers come as numbers and as text: all are opaque.
Source: Stedi documentation, "Events types and structure", "Events and message schema" (thin events).
"""

import re
from collections.abc import Iterator
from datetime import date
from io import BytesIO
from typing import Final

from shared.domain.claims import FetchTask, Finding, Record
from shared.formats.fhir.elements import day
from shared.formats.json_members import MemberError, child, children, text
from shared.formats.json_text import Json, parse
from shared.formats.x12.reader import TRANSACTION_SETS, read_stream
from shared.runtime.errors import UnreadableError

_ROOT: Final = "$"
_VERSION = re.compile(r"(?:\.v\d+|:\d{4}-\d\d-\d\d)$")
_TRANSACTIONS: Final = frozenset({"transaction.processed", "fragment.processed", "core.inbound"})
_FILES: Final = frozenset(
    {"file.processed", "file.created", "file.delivered"}
)  # a transaction's own event follows
_FAILED: Final = frozenset({"file.failed"})
_X12: Final = "transaction.x12."


def read_stedi(body: bytes) -> Iterator[Record]:
    """Yield the records of a payload, as `read_stedi_value` does."""
    return read_stedi_value(parse(body), _ROOT)


def read_stedi_value(value: object, place: str) -> Iterator[Record]:
    """Yield what an event brings, or a task to fetch what it names; nothing where it names no transaction of ours.

    Raises:
        UnreadableError: a member is of the wrong kind, or (`unknown_format`) an event that we do not know.
    """
    if not isinstance(value, dict):
        raise UnreadableError("not an event", place=place, code="unknown_format")
    try:
        yield from _read(value, place)
    except MemberError as exc:
        raise UnreadableError(exc.detail, place=f"{place}.{exc.path}") from exc


def _read(event: Json, place: str) -> Iterator[Record]:
    thick = "detail-type" in event
    kind = _VERSION.sub("", text(event, "detail-type" if thick else "type"))
    if kind in _TRANSACTIONS:
        yield from _thick_transaction(event) if thick else _thin_transaction(event)
    elif kind in _FAILED:
        yield _failed(event, place)
    elif kind not in _FILES:
        name = "detail-type" if thick else "type"
        raise UnreadableError("an event that we do not read", place=f"{place}.{name}", code="unknown_format")


def _thick_transaction(event: Json) -> Iterator[Record]:
    detail = child(event, "detail")
    if payload := text_of_any_length(detail, "payload") or text_of_any_length(event, "payload"):
        yield from read_stream(BytesIO(payload.encode()))
        return
    stated = child(child(detail, "x12"), "metadata") or child(detail, "x12") or detail
    if text(detail, "direction") == "OUTBOUND":  # what we sent comes back as an acknowledgement, not as this
        return
    if text(child(stated, "transaction"), "transactionSetIdentifier") in TRANSACTION_SETS:
        yield FetchTask("stedi_transaction", _artifact(detail), "named_only", _on(event, detail))


def _thin_transaction(event: Json) -> Iterator[Record]:
    for related in children(event, "relatedResources"):
        kind = text(related, "type")
        if kind.startswith(_X12) and kind.removeprefix(_X12)[:3] in TRANSACTION_SETS:
            on = day(event, "createdAt") or day(event, "time")
            yield FetchTask("stedi_transaction", text(related, "id"), "named_only", on)


def _failed(event: Json, place: str) -> FetchTask:
    detail = child(event, "detail")
    reference = _artifact(detail) or text(child(event, "resource"), "id")
    found = Finding(
        "file_failed", f"{place}.detail" if detail else place, "the clearinghouse could not read it"
    )
    return FetchTask("stedi_file", reference, "file_failed", _on(event, detail), (found,))


def _artifact(detail: Json) -> str:
    """Return where to fetch from: the X12 that came in, else whatever else is there, else an id."""
    artifacts = sorted(children(detail, "artifacts"), key=lambda artifact: artifact.get("usage") != "input")
    links = (text(a, "documentDownloadUrl") or text(a, "url") for a in artifacts)
    stored = child(detail, "input")
    key = f"{text(stored, 'bucketName')}/{text(stored, 'key')}" if text(stored, "key") else ""
    return next(filter(None, links), "") or key or text(detail, "transactionId") or text(detail, "fileId")


def _on(event: Json, detail: Json) -> date | None:
    metadata = child(detail, "metadata")
    return day(detail, "processedAt") or day(metadata, "processedAt") or day(event, "time")


def text_of_any_length(parent: Json, name: str) -> str:
    """Return a member that holds a whole document as text; empty where it holds none."""
    value = parent.get(name)
    return value if isinstance(value, str) else ""
