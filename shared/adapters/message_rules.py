"""Which messages every publisher takes, so that a stand-in refuses what Pub/Sub would. Pure: no I/O.

Google's emulator checks none of this.
Source: Pub/Sub quotas, "Resource limits"; `PubsubMessage` ("must contain either a non-empty data field or at least one
attribute").
"""

from typing import Final

from shared.domain.events import Message
from shared.runtime.errors import PoisonError

MAX_MESSAGE_BYTES: Final = 10_000_000
MAX_ATTRIBUTES: Final = 100
MAX_NAME_BYTES: Final = 256
MAX_VALUE_BYTES: Final = 1024
RESERVED_PREFIX: Final = "goog"


def check_message(message: Message) -> None:
    """Refuse what no broker takes.

    Raises:
        PoisonError: `payload_too_large`, all attributes counted; `invalid_event` for an attribute out of bounds or
            nothing to carry.
    """
    attributes = message.attributes
    if len(attributes) > MAX_ATTRIBUTES or not (attributes or message.data):
        raise PoisonError("invalid_event", "no content, or over 100 attributes")
    size = len(message.data)
    for name, value in attributes.items():
        name_bytes, value_bytes = _bytes(name), _bytes(value)
        if not 0 < name_bytes <= MAX_NAME_BYTES or name.startswith(RESERVED_PREFIX):
            raise PoisonError("invalid_event", "an attribute's name is empty, reserved or over 256 bytes")
        if value_bytes > MAX_VALUE_BYTES:
            raise PoisonError("invalid_event", "an attribute is over 1,024 bytes")
        size += name_bytes + value_bytes
    if size > MAX_MESSAGE_BYTES:
        raise PoisonError("payload_too_large", "over what a message holds")


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
