"""Tells a customer's people what happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol
from uuid import UUID

from shared.domain.commands import Severity

ChannelKind = Literal["email", "slack", "webhook"]
Fact = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Channel:
    """One place where a customer wants to be told. Unique by id within the customer.

    target: an e-mail address, or an https URL. secret_name: names the signing secret of a `webhook` and, where a
    `slack` channel has one, the secret that is its URL (which is a credential); `target` is then only a label.
    """

    id: str
    kind: ChannelKind
    target: str
    secret_name: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """What a customer is told: ids, codes and amounts, never patient data, for it leaves by e-mail and chat.

    id: the same for every attempt, so that a receiver can drop a repeat. links: label to URL. facts: label to value,
    in the order in which they are shown.
    """

    id: UUID
    customer_id: UUID
    severity: Severity
    title: str
    text: str
    event_id: UUID
    links: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Fact] = field(default_factory=dict)


class Notifier(Protocol):
    """Hands a notification to one channel. Blocks."""

    def send(self, notification: Notification, channel: Channel, *, timeout_s: float) -> None:
        """Return once the receiver took it. After a crash or an error it may have: sending again repeats its id.

        timeout_s: for each wait on the network, not for the whole.

        Raises:
            TransientError: `delivery_failed` or `timeout`; the receiver, our relay or a secret is away. Try again.
            PermanentError: `delivery_refused`, the receiver says no for good, or `invalid_recipient`. Do not.
        """
        ...
