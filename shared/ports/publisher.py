"""Hands messages to the broker."""

from collections.abc import Sequence
from typing import Protocol

from shared.domain.events import Message


class Publisher(Protocol):
    """Publishes durably: when `publish` returns, the broker keeps every message until it is acknowledged."""

    async def publish(self, messages: Sequence[Message], *, timeout_s: float) -> None:
        """Return once every message is durable. After an error some may be: publish all again, consumers drop copies.

        Raises:
            TransientError: the broker refused or did not answer in time.
            PoisonError: a message that no broker takes: attributes over the limits, or data over 10 MB.
        Source: Pub/Sub quotas, "Resource limits".
        """
        ...

    async def ready(self) -> None:
        """Return if the broker answers.

        Raises:
            TransientError: it does not.
        """
        ...
