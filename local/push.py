"""Delivers messages the way Pub/Sub's unwrapped push does: attributes become headers, data the body.

Source: Pub/Sub "Payload unwrapping for push subscriptions" (`write_metadata`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Final

import aiohttp

LOCAL_PROJECT: Final = "local"
LARGE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pushed:
    """One message on its way to a function. attempt: 1 for the first delivery. project: of the subscription."""

    subscription: str
    message_id: str
    published_at: datetime
    attempt: int
    attributes: Mapping[str, str]
    data: bytes = field(repr=False)
    project: str = LOCAL_PROJECT

    def headers(self) -> dict[str, str]:
        """Return the request's headers. The attempt is ours to add: Pub/Sub documents it for wrapped push only."""
        return {
            "Content-Type": "application/x-www-form-urlencoded",  # what push sends unless an attribute says otherwise
            **self.attributes,
            "x-goog-pubsub-subscription-name": f"projects/{self.project}/subscriptions/{self.subscription}",
            "x-goog-pubsub-message-id": self.message_id,
            "x-goog-pubsub-publish-time": _rfc3339(self.published_at),
            "x-goog-pubsub-delivery-attempt": str(self.attempt),
        }


class Pusher:
    """Posts to functions over kept-alive connections."""

    def __init__(self, base_url: str, *, max_connections: int = 64) -> None:
        """base_url: where `local.host` serves every function under `/functions/<name>`."""
        self._base_url = base_url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=max_connections, keepalive_timeout=4),
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def post(self, function: str, message: Pushed, *, timeout_s: float) -> bool:
        """Return whether the function acknowledged: any 2xx does, nothing else."""
        try:
            async with self._session.post(
                f"{self._base_url}/functions/{function}/",
                data=message.data if len(message.data) < LARGE_BYTES else BytesIO(message.data),
                headers=message.headers(),
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ) as response:
                return 200 <= response.status < 300  # noqa: PLR2004 - the class of success
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False
        except (
            ValueError
        ):  # an attribute that no header can hold: it will come again, and end as a dead letter
            return False


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
