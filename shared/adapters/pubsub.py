"""`Publisher` on Pub/Sub. Messages that arrive together for a topic travel in one request."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import grpc.aio
from google.api_core.exceptions import Forbidden
from google.pubsub_v1 import PublisherAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.types import PublishRequest, PubsubMessage

from shared.adapters.google_calls import async_retry, google_errors
from shared.adapters.message_rules import MAX_MESSAGE_BYTES, check_message
from shared.adapters.per_loop import PerLoop
from shared.domain.events import Message, Topic
from shared.runtime.batcher import Batcher
from shared.runtime.errors import PoisonError, TransientError
from shared.runtime.settings import HEALTH_TIMEOUT_S, PUBLISH_TIMEOUT_S

EMULATOR: Final = "PUBSUB_EMULATOR_HOST"
MAX_REQUEST_MESSAGES: Final = 500  # Pub/Sub takes 1,000


class PubSubPublisher:
    """Publishes with the asyncio client. Nothing connects before the first call; each loop has its own channel."""

    def __init__(self, *, project_id: str) -> None:
        """project_id: of the topics. The emulator is used where `PUBSUB_EMULATOR_HOST` names one."""
        self._wires = PerLoop(partial(_Wire, project_id))

    async def publish(self, messages: Sequence[Message], *, timeout_s: float) -> None:
        """Return once Pub/Sub keeps every message. After an error some may be: publish all again."""
        for message in messages:
            check_message(message)
        wire = self._wires.get()
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(wire.submit(message) for message in messages))
        except TimeoutError as exc:
            raise TransientError("timeout", "broker") from exc

    async def ready(self) -> None:
        """Return if Pub/Sub answers for our topics."""
        await self._wires.get().ping()

    async def close(self) -> None:
        """Close this loop's channel."""
        if wire := self._wires.pop():
            await wire.close()


class _Wire:
    """One event loop's client, and a batcher for each topic that was published to."""

    def __init__(self, project_id: str) -> None:
        with google_errors("broker"):
            self._client = _client()
        self._project_id = project_id
        self._batchers: dict[Topic, Batcher[Message, None]] = {}

    async def submit(self, message: Message) -> None:
        batcher = self._batchers.get(message.topic)
        if batcher is None:
            batcher = Batcher(partial(self._send, message.topic), max_items=MAX_REQUEST_MESSAGES)
            self._batchers[message.topic] = batcher
        await batcher.submit(message)

    async def ping(self) -> None:
        topic = self._path("webhook-events")
        with google_errors("broker"):
            try:
                await self._client.get_topic(topic=topic, timeout=HEALTH_TIMEOUT_S, retry=None)
            except Forbidden:
                return  # an answer: who may publish need not be allowed to look

    async def close(self) -> None:
        await self._client.transport.close()  # type: ignore[no-untyped-call]

    def _path(self, topic: Topic) -> str:
        return f"projects/{self._project_id}/topics/{topic}"

    async def _send(self, topic: Topic, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """Publish a batch in requests that Pub/Sub takes; one that fails takes only its own messages with it."""
        return [
            outcome for request in _requests(messages) for outcome in await self._send_request(topic, request)
        ]

    async def _send_request(self, topic: Topic, messages: Sequence[Message]) -> Sequence[Exception | None]:
        try:
            await self._publish(topic, messages)
        except PoisonError as exc:
            if len(messages) == 1:
                return [exc]
            alone = [await self._send_request(topic, [message]) for message in messages]
            return [outcome for outcomes in alone for outcome in outcomes]
        except TransientError as exc:
            return [exc] * len(messages)
        return [None] * len(messages)

    async def _publish(self, topic: Topic, messages: Sequence[Message]) -> None:
        request = PublishRequest(
            topic=self._path(topic),
            messages=[PubsubMessage(data=m.data, attributes=dict(m.attributes)) for m in messages],
        )
        with google_errors("broker"):
            await self._client.publish(
                request=request, timeout=PUBLISH_TIMEOUT_S, retry=async_retry(PUBLISH_TIMEOUT_S)
            )


def _client() -> PublisherAsyncClient:
    host = os.environ.get(EMULATOR)
    if not host:
        return PublisherAsyncClient()
    channel = grpc.aio.insecure_channel(host)  # the client itself does not read the variable
    return PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=channel))


def _requests(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Split a batch so that no request is over Pub/Sub's size. Pure."""
    request: list[Message] = []
    size = 0
    for message in messages:
        more = len(message.data) + sum(len(name) + len(value) for name, value in message.attributes.items())
        if request and size + more > MAX_MESSAGE_BYTES // 2:
            yield request
            request, size = [], 0
        request.append(message)
        size += more
    if request:
        yield request
