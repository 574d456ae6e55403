"""A notification as people read it. Pure.

Titles and texts carry what payers sent: any character at all. What leaves here has no control characters but line
feeds in a text, and no half of a surrogate pair, so that it fits any header, mail or JSON document.
"""

import re
from typing import Final

from shared.ports.notifier import Notification

MAX_TITLE: Final = 150  # Slack's limit for a header, and a subject that a phone shows
MAX_TEXT: Final = 3000  # Slack's limit for a section

_UNPRINTABLE: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def title(notification: Notification) -> str:
    """Return one line of at most `MAX_TITLE` characters that begins with the severity."""
    return shortened(f"[{notification.severity}] {one_line(notification.title)}", MAX_TITLE)


def text(notification: Notification) -> str:
    """Return the text, then a line for each fact and link, in at most `MAX_TEXT` characters."""
    facts = [f"{one_line(label)}: {one_line(str(value))}" for label, value in notification.facts.items()]
    links = [f"{one_line(label)}: {one_line(url)}" for label, url in notification.links.items()]
    paragraphs = [_UNPRINTABLE.sub(" ", notification.text).strip(), "\n".join(facts), "\n".join(links)]
    return shortened("\n\n".join(filter(None, paragraphs)), MAX_TEXT)


def one_line(value: str) -> str:
    """Return the value with every run of white space and control characters as one space."""
    return " ".join(_UNPRINTABLE.sub(" ", value).split())


def shortened(value: str, limit: int) -> str:
    """Return at most `limit` characters, with an ellipsis where some are missing."""
    return value if len(value) <= limit else value[: limit - 1] + "…"
