"""The files in `samples/` as deliveries, and what they come to, counted from their text without our own readers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from cli.payload import X12, content_type
from cli.seed import SAMPLES_CUSTOMER, SAMPLES_PROVIDER
from local.sample_month import SampleDelivery

SAMPLES: Final = Path(__file__).parents[2] / "samples"
ISA_LENGTH: Final = 106  # its last character ends every segment; its fourth separates elements


@dataclass(slots=True)
class Counts:
    """What files state. decided: claims in payment advices. paid_cents: for these, less what was taken back."""

    files: int = 0
    submitted: int = 0
    decided: int = 0
    paid_cents: int = 0
    advices: int = 0
    authorizations: int = 0
    unreadable: int = 0

    @property
    def events(self) -> int:
        """Return how many domain events follow."""
        return self.submitted + self.decided + self.authorizations


def sample_files(at: datetime, folder: Path = SAMPLES) -> tuple[list[SampleDelivery], Counts]:
    """Return the files as deliveries of one moment, and what they come to.

    Raises:
        OSError: the folder cannot be read.
    """
    deliveries: list[SampleDelivery] = []
    counts = Counts()
    for path in sorted(folder.glob("*/*")):
        body = path.read_bytes()
        broken = path.parent.name.endswith("malformed")
        deliveries.append(_delivery(path, body, at, dead_letter=broken))
        counts.files += 1
        if broken:
            counts.unreadable += 1
        elif content_type(path, body) == X12:
            _count_835(body.decode("latin-1"), counts)
        else:
            _count_resource(json.loads(body), counts)
    return deliveries, counts


def _delivery(path: Path, body: bytes, at: datetime, *, dead_letter: bool) -> SampleDelivery:
    kind = content_type(path, body)
    return SampleDelivery(
        practice=SAMPLES_CUSTOMER,
        provider=SAMPLES_PROVIDER,
        name=path.name,
        content_type=kind,
        format="x12" if kind == X12 else "fhir",
        body=body,
        delivery_id=f"file-{path.stem}".replace(".", "-"),
        at=at,
        dead_letter=dead_letter,
    )


def _count_835(text: str, counts: Counts) -> None:
    for segment in _segments(text):
        if segment[0] == "ST":
            counts.advices += 1
        elif segment[0] == "CLP":
            counts.decided += 1
            counts.paid_cents += _cents(segment[4])


def _segments(text: str) -> Iterator[list[str]]:
    start = text.index("ISA")
    separator, end = text[start + 3], text[start + ISA_LENGTH - 1]
    for segment in text[start:].split(end):
        if segment.strip():
            yield segment.strip().split(separator)


def _count_resource(resource: dict[str, Any], counts: Counts) -> None:
    if resource["resourceType"] == "Claim":
        counts.submitted += 1
    elif resource.get("use") == "preauthorization":
        counts.authorizations += 1
    else:
        counts.decided += 1
        counts.advices += 1
        paid = resource.get("payment", {}).get("amount", {}).get("value", 0)
        counts.paid_cents += _cents(str(paid))


def _cents(amount: str) -> int:
    return int(Decimal(amount or "0") * 100)
