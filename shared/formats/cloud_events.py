"""CloudEvents in structured mode: an envelope of JSON around a payload in any of the other formats. Pure: no I/O.

In binary mode the body is the payload, and its attributes are headers that say nothing we need.
Source: CloudEvents 1.0.2, sections 2 and 3 (attributes); JSON Event Format 1.0.2.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import Final

from shared.domain.claims import Record
from shared.formats.json_text import Json, parse
from shared.runtime.errors import UnreadableError

_ROOT: Final = "$"
_NAME = re.compile(r"[a-z0-9]{1,40}").fullmatch
_REQUIRED: Final = ("id", "source", "type")
_DATA: Final = frozenset({"data", "data_base64"})
_INT32: Final = 1 << 31

ReadBytes = Callable[[bytes, str], Iterator[Record]]  # a payload and its content type
ReadValue = Callable[[Json, str], Iterator[Record]]  # a JSON value and its place


def read_cloud_event(body: bytes, *, read_bytes: ReadBytes, read_value: ReadValue) -> Iterator[Record]:
    """Yield the records of the payload in an envelope. read_bytes, read_value: the reader of what is inside.

    Raises:
        UnreadableError: no CloudEvents 1.0, or what is inside does not parse: `$.data…` says where.
    """
    event = parse(body)
    if not isinstance(event, dict):
        raise UnreadableError("not a CloudEvent", place=_ROOT, code="unknown_format")
    _check(event)
    if "data_base64" in event:
        return read_bytes(_decoded(event["data_base64"]), _content_type(event))
    data = event.get("data")
    if isinstance(data, dict):
        return read_value(data, f"{_ROOT}.data")
    if isinstance(data, str):
        return read_bytes(data.encode(), _content_type(event))
    raise UnreadableError("nothing in it that we read", place=f"{_ROOT}.data", code="unknown_format")


def _check(event: Json) -> None:
    if event.get("specversion") != "1.0":
        raise UnreadableError("not CloudEvents 1.0", place=f"{_ROOT}.specversion", code="unknown_format")
    for name in _REQUIRED:
        if not isinstance(event.get(name), str) or not event[name]:
            raise UnreadableError("missing, or not text", place=f"{_ROOT}.{name}")
    if event.keys() >= _DATA:
        raise UnreadableError("`data` and `data_base64` together", place=f"{_ROOT}.data")
    for name, value in event.items():
        if name in _DATA:
            continue
        if not _NAME(name):
            raise UnreadableError("an attribute's name is not of lower-case letters and digits", place=_ROOT)
        if not (value is None or isinstance(value, str | bool | int)):
            raise UnreadableError("not text, a number or a truth value", place=f"{_ROOT}.{name}")
        if isinstance(value, int) and not -_INT32 <= value < _INT32:
            raise UnreadableError("a number of more than 32 bits", place=f"{_ROOT}.{name}")


def _content_type(event: Json) -> str:
    value = event.get("datacontenttype")
    return value if isinstance(value, str) else ""


def _decoded(data: object) -> bytes:
    try:
        if isinstance(data, str):
            return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise UnreadableError("not base64", place=f"{_ROOT}.data_base64") from exc
    raise UnreadableError("not text", place=f"{_ROOT}.data_base64")
