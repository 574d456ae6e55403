"""Notifications to a customer's own endpoint, signed by Standard Webhooks.

`webhook-id` is the notification's id on every attempt, and the body is the same bytes: a receiver drops a repeat.
Source: Standard Webhooks 1.0.0.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from shared.adapters.reach import Reach
from shared.ports.clock import Clock, system_clock
from shared.ports.notifier import Channel, Notification
from shared.ports.secrets import SecretStore
from shared.runtime import signatures
from shared.runtime.errors import TransientError


@dataclass(frozen=True, slots=True)
class WebhookNotifier:
    """Posts to `channel.target`, signed with every version of the channel's secret, so that it can be rotated."""

    secrets: SecretStore
    clock: Clock = system_clock
    reach: Reach = "public"

    def send(self, notification: Notification, channel: Channel, *, timeout_s: float) -> None:
        """Return once the receiver answered 2xx.

        Raises:
            TransientError: the receiver or the secret is away. Try again, after `retry_after_s`.
            PermanentError: the receiver refused it, or the URL must not be used.
        """
        from shared.adapters.notifiers.http import Post, deliver  # slow to import: requests

        now = self.clock()
        body = _body(notification)
        headers = self._signed(notification, channel, body, now) | {"Content-Type": "application/json"}
        deliver(Post(channel.target, body, headers), now=now, timeout_s=timeout_s, reach=self.reach)

    def _signed(
        self, notification: Notification, channel: Channel, body: bytes, now: datetime
    ) -> dict[str, str]:
        """Return the headers with a signature for each version of the secret."""
        try:
            versions = [
                signatures.sign("standard-webhooks", str(notification.id), body, secret, now)
                for secret in self.secrets.versions(channel.secret_name)
            ]
        except ValueError as exc:
            raise TransientError("delivery_failed", "the channel's secret is unusable") from exc
        if not versions:
            raise TransientError("delivery_failed", "the channel's secret is missing")
        return versions[0] | {"webhook-signature": " ".join(v["webhook-signature"] for v in versions)}


def _body(notification: Notification) -> bytes:
    """Return the payload; the customer's side knows what its id and its facts mean."""
    data = {
        "id": str(notification.id),
        "severity": notification.severity,
        "title": notification.title,
        "text": notification.text,
        "event_id": str(notification.event_id),
        "links": dict(notification.links),
        "facts": dict(notification.facts),
    }
    return json.dumps({"type": "notification.requested", "data": data}, separators=(",", ":")).encode()
