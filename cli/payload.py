"""What a file is, as a sender would say it in `Content-Type`. Pure."""

import json
from pathlib import PurePath
from typing import Final

X12: Final = "application/edi-x12"
FHIR: Final = "application/fhir+json"
JSON: Final = "application/json"
OTHER: Final = "application/octet-stream"

BY_SUFFIX: Final = {".edi": X12, ".x12": X12, ".835": X12, ".txt": X12, ".json": JSON}


def content_type(path: PurePath, body: bytes) -> str:
    """Return the media type: by the contents where they tell, else by the file's name."""
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if body.lstrip().startswith(b"ISA"):
        return X12
    if start in (b"{", b"["):
        return FHIR if _names_a_resource(body) else JSON
    return BY_SUFFIX.get(path.suffix.lower(), OTHER)


def _names_a_resource(body: bytes) -> bool:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return b'"resourceType"' in body
    return isinstance(document, dict) and "resourceType" in document
