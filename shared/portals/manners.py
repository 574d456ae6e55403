"""How payers' portals are to be treated, as `schemas/portals/manners.json` declares it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson

from shared.domain.manners import Manners, parse_manners

DECLARED: Final = Path(__file__).parents[2] / "schemas" / "portals" / "manners.json"


def read_manners(path: str = "") -> Mapping[str, Manners]:
    """Return manners by portal; `default` is for all others. path: another file than the declared one."""
    return parse_manners(orjson.loads(Path(path or DECLARED).read_bytes()))


def shell_will_do(manners: Mapping[str, Manners]) -> frozenset[str]:
    """Return the portals that may be visited with Chromium's headless shell."""
    return frozenset(portal for portal, of_one in manners.items() if of_one.headless_shell)
