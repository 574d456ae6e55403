"""What `schemas/topics.json` declares, for the runtimes that are not Terraform."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOPICS = Path(__file__).parents[1] / "schemas" / "topics.json"


@dataclass(frozen=True, slots=True)
class Subscription:
    """One push subscription. dead_letter_topic: None lets a message come back until its retention ends."""

    name: str
    topic: str
    function: str
    ack_deadline_s: int
    dead_letter_topic: str | None


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how fast a message comes back."""

    minimum_backoff_s: float
    maximum_backoff_s: float
    max_delivery_attempts: int

    def backoff_s(self, attempt: int) -> float:
        """Return how long a message waits after its `attempt`-th delivery failed: doubling, within the bounds."""
        return float(min(self.maximum_backoff_s, self.minimum_backoff_s * 2.0 ** min(attempt - 1, 30)))


def topics() -> list[str]:
    """Return every declared topic."""
    return list(json.loads(TOPICS.read_text())["topics"])


def subscriptions() -> list[Subscription]:
    """Return every declared subscription."""
    declared = json.loads(TOPICS.read_text())
    return [
        _subscription(name, topic, declared["subscriptions"][name])
        for topic, details in declared["topics"].items()
        for name in details["subscriptions"]
    ]


def retry(*, scale: float = 1.0) -> Retry:
    """Return the declared retry policy, its back-off scaled so that a local run need not wait ten minutes."""
    declared = json.loads(TOPICS.read_text())["retry"]
    return Retry(
        minimum_backoff_s=declared["minimum_backoff_s"] * scale,
        maximum_backoff_s=declared["maximum_backoff_s"] * scale,
        max_delivery_attempts=declared["max_delivery_attempts"],
    )


def _subscription(name: str, topic: str, declared: dict[str, Any]) -> Subscription:
    return Subscription(
        name=name,
        topic=topic,
        function=declared["function"],
        ack_deadline_s=declared["ack_deadline_s"],
        dead_letter_topic=declared["dead_letter_topic"],
    )
