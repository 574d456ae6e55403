"""What a domain event says, as JSON, and what tells two of them apart. Pure."""

import json
from collections.abc import Mapping
from datetime import date
from hashlib import sha256
from uuid import UUID

from shared.domain.events import EventType

Facts = Mapping[str, object]
Told = tuple[EventType, str, UUID, Facts]  # an event's type and subject, what its id derives from, its data


def written(facts: Facts) -> bytes:
    """Return facts as the data of an event."""
    return json.dumps(facts, default=_plain, separators=(",", ":")).encode()


def digest(facts: Facts) -> str:
    """Return what tells two statements about one claim or authorization apart: rules must be asked about both."""
    return sha256(written(facts)).hexdigest()


def _plain(value: object) -> str:
    """Write what JSON has no form for: ids and dates as text."""
    if isinstance(value, UUID | date):
        return str(value)
    raise TypeError(type(value).__name__)
