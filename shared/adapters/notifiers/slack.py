"""Notifications to a Slack channel, through one of its incoming webhooks.

Slack knows no idempotency key: a message that is sent again after a crash is shown again.
Source: Slack developer documentation, "Sending messages using incoming webhooks".
"""

from dataclasses import dataclass
from typing import Final

import orjson

from shared.adapters.notifiers import render
from shared.adapters.reach import Reach
from shared.ports.clock import Clock, system_clock
from shared.ports.notifier import Channel, Notification
from shared.ports.secrets import SecretStore
from shared.runtime.errors import TransientError

_HEADERS: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class SlackNotifier:
    """Posts to the URL in the channel's secret or, where it names none, to `channel.target`."""

    secrets: SecretStore
    clock: Clock = system_clock
    reach: Reach = "public"

    def send(self, notification: Notification, channel: Channel, *, timeout_s: float) -> None:
        """Return once Slack took the message.

        Raises:
            TransientError: Slack or the secret is away. Try again, after `retry_after_s`.
            PermanentError: the channel or its webhook is gone, or the URL is none.
        """
        from shared.adapters.notifiers.http import Post, deliver  # slow to import: requests

        post = Post(self._url(channel), _body(notification), _HEADERS)
        deliver(post, now=self.clock(), timeout_s=timeout_s, reach=self.reach)

    def _url(self, channel: Channel) -> str:
        if not channel.secret_name:
            return channel.target
        versions = self.secrets.versions(channel.secret_name)
        if not versions:
            raise TransientError("delivery_failed", "the channel's secret is missing")
        return versions[0].strip()


def _body(notification: Notification) -> bytes:
    """Return two blocks of plain text: no formatting, mention or link of a payer's making is followed."""
    title, text = render.title(notification), render.text(notification)
    blocks = [{"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}}]
    if text:
        blocks.append({"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}})
    return orjson.dumps({"text": _escaped(title), "blocks": blocks})


def _escaped(text: str) -> str:
    """Return text as Slack wants it where it would format: `<!channel>` stays five letters and two brackets."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
