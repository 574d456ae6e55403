"""Reads who the canary is."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from shared.ports.canary import Canary
from shared.ports.connections import Connection

DECLARED: Final = Path(__file__).parents[2] / "schemas" / "canary.json"


@cache
def canary() -> Canary:
    """Return what `schemas/canary.json` declares. Reads one file, once."""
    declared: dict[str, Any] = json.loads(DECLARED.read_text(encoding="utf-8"))
    customer, connection = declared["customer"], declared["connection"]
    customer_id = UUID(customer["id"])
    return Canary(
        customer_id=customer_id,
        customer_name=customer["name"],
        connection=Connection(**{**connection, "id": UUID(connection["id"]), "customer_id": customer_id}),
        rule=declared["rule"],
    )
