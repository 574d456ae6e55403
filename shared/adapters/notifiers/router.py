"""Sends each notification the way its channel asks for."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.ports.notifier import Channel, ChannelKind, Notification, Notifier
from shared.runtime.errors import PermanentError


@dataclass(frozen=True, slots=True)
class ChannelNotifier:
    """Dispatches by `channel.kind`. notifiers: the kinds that this deployment can send."""

    notifiers: Mapping[ChannelKind, Notifier]

    def send(self, notification: Notification, channel: Channel, *, timeout_s: float) -> None:
        """Return once the channel's notifier did.

        Raises:
            TransientError: see the notifiers. Try again.
            PermanentError: see the notifiers; also `invalid_recipient` for a kind that is not set up here.
        """
        notifier = self.notifiers.get(channel.kind)
        if notifier is None:
            raise PermanentError("invalid_recipient", f"{channel.kind} is not set up")
        notifier.send(notification, channel, timeout_s=timeout_s)
