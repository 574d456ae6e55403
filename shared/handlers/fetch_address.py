"""Where something that a sender only named is fetched from, and when again. Pure.

A sender chooses what it names, so its address must lie below the address that the connection declares: our credential
goes there and nowhere else.
"""

import re
from datetime import timedelta
from typing import Final
from urllib.parse import quote, urlsplit

from shared.runtime.errors import PermanentError

# How long to wait after an attempt that failed for the moment, by how many there were. Then it is given up.
RETRY_AFTER: Final = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(days=1),
)
FHIR: Final = "fhir_resource"
STEDI: Final = "stedi_transaction"
FETCHABLE: Final = (FHIR, STEDI)  # a file that a clearinghouse could not read is for a person to look at
_ODD: Final = re.compile(r"[\x00-\x20\x7f\\\\#]|%2e|%2f|%5c", re.IGNORECASE)


def address_of(kind: str, reference: str, base_url: str) -> str:
    """Return the URL of what was named. base_url: the connection's.

    A FHIR reference is `{base}/{type}/{id}`, or a URL below the base. Stedi's is a URL below the base, or a
    transaction's id, whose document is `{base}/transactions/{id}/input`.

    Raises:
        PermanentError: it has no address below the base (`no_address`).
    Source: FHIR R4, "RESTful API", read; Stedi API reference, "Retrieve Transaction Input".
    """
    base = base_url.rstrip("/")
    if not reference or _ODD.search(reference):
        raise PermanentError("no_address", "no usable reference")
    if "://" in reference:
        return _below(base, reference)
    if kind == STEDI and "/" not in reference:
        return f"{base}/transactions/{quote(reference, safe='')}/input"
    if kind == FHIR and not reference.startswith(("/", "?")):
        return _below(base, f"{base}/{reference}")
    raise PermanentError("no_address", "a reference that no API of the sender takes")


def _below(base: str, url: str) -> str:
    if not url.startswith(f"{base}/") or ".." in urlsplit(url).path.split("/"):
        raise PermanentError("no_address", "the reference leads away from the connection's address")
    return url


def retry_after(attempts: int) -> timedelta | None:
    """Return how long to wait after the `attempts`-th attempt failed for the moment; None: it is given up."""
    return RETRY_AFTER[attempts - 1] if attempts <= len(RETRY_AFTER) else None
