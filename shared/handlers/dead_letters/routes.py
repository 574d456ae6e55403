"""Which topic leads to which consumer, as `schemas/topics.json` declares it. Pure."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args

from shared.domain.events import Topic

DECLARED: Final = Path(__file__).parents[3] / "schemas" / "topics.json"
TOPICS: Final[Mapping[str, Topic]] = {name: name for name in get_args(Topic)}


def read_routes(text: str) -> Mapping[str, Topic]:
    """Return the topic that each consumer's subscription belongs to. text: the declaration."""
    declared: Mapping[str, Any] = json.loads(text)
    return {
        declared["subscriptions"][subscription]["function"]: TOPICS[topic]
        for topic, details in declared["topics"].items()
        for subscription in details["subscriptions"]
    }


@cache
def routes() -> Mapping[str, Topic]:
    """Return the declared routes, read once."""
    return read_routes(DECLARED.read_text(encoding="utf-8"))
