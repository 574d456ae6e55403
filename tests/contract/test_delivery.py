"""How messages reach functions, from the embedded broker's table and from Pub/Sub's emulator alike.

Requests are compared with those that the emulator itself makes for a push subscription with an unwrapped payload.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import grpc
import pytest
from aiohttp import web
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PushConfig
from google.pubsub_v1.types import Subscription as PushSubscription

from local.bridge import Bridge
from local.broker import Broker, Faults, Source
from local.push import Pushed, Pusher
from local.queue import Queue
from local.subscriptions import Retry, subscriptions
from shared.adapters.embedded.publisher import EmbeddedPublisher
from shared.adapters.pubsub import PubSubPublisher
from shared.domain.events import Message, Topic
from shared.ports.publisher import Publisher

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from local.emulators import Emulators

BACKENDS = ["embedded", pytest.param("emulators", marks=pytest.mark.emulators)]
AT_ONCE = Retry(minimum_backoff_s=0, maximum_backoff_s=0, max_delivery_attempts=5)
TIMEOUT_S = 20.0
ATTRIBUTES = {
    "ce-id": "0c7cbd2a-6d1b-5d0f-8a39-9c3ed0b5b1f7",
    "ce-type": "app.upstream.webhook.received",
    "ce-time": "2026-03-02T09:30:00.000000+00:00",
    "ce-subject": "",
    "Content-Type": "application/edi-x12; charset=utf-8",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "Upstream-Note": "a, b; c=d",
}
# Of the connection, not of the message.
HOP = {"host", "user-agent", "accept", "accept-encoding", "connection", "content-length"}


@dataclass(frozen=True)
class Request:
    function: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def attempt(self) -> int:
        return int(self.headers["x-goog-pubsub-delivery-attempt"])


@dataclass
class Functions:
    """A server in place of the functions. answer: the status for a request; by default every one is acknowledged."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    takes_s: float = 0.0
    most_at_once: int = 0
    answer: Callable[[Request], int] = lambda _: 204
    _at_once: int = 0

    async def serve(self, request: web.Request) -> web.Response:
        seen = Request(
            function=request.path.strip("/").removeprefix("functions/"),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            at=time.monotonic(),
        )
        self.requests.append(seen)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(self.takes_s)
        self._at_once -= 1
        return web.Response(status=self.answer(seen))

    async def of(self, function: str, n: int) -> list[Request]:
        """Return what a function was sent, once it was sent `n` requests."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            found = [request for request in self.requests if request.function == function]
            if len(found) >= n or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.005)


@pytest.fixture
async def functions() -> AsyncIterator[Functions]:
    functions = Functions()
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", functions.serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    functions.url = f"http://{host}:{port}"
    yield functions
    await runner.cleanup()


class Deliveries:
    """One backend: a publisher, and brokers that deliver what it publishes."""

    def __init__(self, request: pytest.FixtureRequest, functions: Functions, stack: AsyncExitStack) -> None:
        self._request = request
        self._functions = functions
        self._stack = stack
        self.backend: str = request.param

    async def start(
        self, policy: Retry = AT_ONCE, *, faults: Faults | None = None, max_in_flight: int = 24
    ) -> Publisher:
        """Deliver from here on; return where to publish."""
        publisher, source = await (self._embedded if self.backend == "embedded" else self._emulated)(policy)
        self.source = source
        pusher = Pusher(self._functions.url)
        self._stack.push_async_callback(pusher.close)
        broker = Broker(
            source,
            pusher,
            declared=subscriptions(),
            max_delivery_attempts=policy.max_delivery_attempts,
            faults=faults,
            max_in_flight=max_in_flight,
        )
        running = asyncio.create_task(broker.run())
        self._stack.push_async_callback(_cancelled, running)
        return publisher

    async def nothing_left(self) -> bool:
        """Return whether every message was acknowledged or forwarded, once that is so."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            if isinstance(self.source, Bridge) and self.source.idle_s() > 0.2:
                return True
            if isinstance(self.source, Queue) and await asyncio.to_thread(self.source.depth) == 0:
                return True
            await asyncio.sleep(0.01)
        return False

    async def _embedded(self, policy: Retry) -> tuple[Publisher, Source]:
        engine: Engine = self._request.getfixturevalue("local_engine")
        with engine.connect() as connection:
            connection.exec_driver_sql("TRUNCATE messages")
        queue = Queue(engine, subscriptions(), policy)
        self._stack.push_async_callback(queue.close)
        return EmbeddedPublisher(engine), queue

    async def _emulated(self, policy: Retry) -> tuple[Publisher, Source]:
        emulators: Emulators = self._request.getfixturevalue("emulators")
        project: str = self._request.getfixturevalue("project")
        emulators.declare(project, subscriptions(), policy)
        publisher = PubSubPublisher(project_id=project)
        self._stack.push_async_callback(publisher.close)
        bridge = Bridge(
            _pubsub(emulators), project, subscriptions(), max_delivery_attempts=policy.max_delivery_attempts
        )
        self._stack.push_async_callback(bridge.close)
        return publisher, bridge


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(params=BACKENDS)
async def deliveries(request: pytest.FixtureRequest, functions: Functions) -> AsyncIterator[Deliveries]:
    # Asked for here: once the loop runs, a fixture can no longer be set up.
    if request.param == "embedded":
        request.getfixturevalue("local_engine")
    else:
        request.getfixturevalue("emulators")
        request.getfixturevalue("project")
    async with AsyncExitStack() as stack:
        yield Deliveries(request, functions, stack)


def message(data: bytes = b"\x00\xffISA*", *, topic: Topic = "webhook-events", **attributes: str) -> Message:
    return Message(topic, data, {**ATTRIBUTES, **attributes})


async def publish(publisher: Publisher, *messages: Message) -> None:
    await publisher.publish(messages, timeout_s=TIMEOUT_S)


async def test_a_message_is_a_request_with_its_attributes_as_headers(
    deliveries: Deliveries, functions: Functions
) -> None:
    await publish(await deliveries.start(), message())
    [request] = await functions.of("process_webhook", 1)
    assert request.body == b"\x00\xffISA*"
    sent = {name.lower(): value for name, value in ATTRIBUTES.items()}
    assert {name: request.headers.get(name) for name in sent} == sent
    assert request.attempt == 1
    subscription = request.headers["x-goog-pubsub-subscription-name"]
    assert subscription.startswith("projects/")
    assert subscription.endswith("/subscriptions/process-webhook")
    assert await deliveries.nothing_left()


async def test_every_topic_leads_to_its_function(deliveries: Deliveries, functions: Functions) -> None:
    publisher = await deliveries.start()
    for subscription in subscriptions():
        topic: Topic = subscription.topic  # type: ignore[assignment]
        await publish(publisher, message(subscription.function.encode(), topic=topic))
    for subscription in subscriptions():
        [request] = await functions.of(subscription.function, 1)
        assert request.body == subscription.function.encode()


async def test_a_large_message_arrives_whole(deliveries: Deliveries, functions: Functions) -> None:
    await publish(await deliveries.start(), message(b"x" * 8 * 1024 * 1024))
    [request] = await functions.of("process_webhook", 1)
    assert len(request.body) == 8 * 1024 * 1024
    assert await deliveries.nothing_left()


async def test_what_is_not_acknowledged_comes_again_after_its_back_off(
    deliveries: Deliveries, functions: Functions
) -> None:
    functions.answer = lambda request: 500 if request.attempt < 3 else 200
    # The emulator rounds a back-off below a second up to one, and skips the first.
    backoff_s = 0.15 if deliveries.backend == "embedded" else 1.0
    policy = Retry(minimum_backoff_s=backoff_s, maximum_backoff_s=10, max_delivery_attempts=5)
    await publish(await deliveries.start(policy), message())
    requests = await functions.of("process_webhook", 3)
    assert [request.attempt for request in requests] == [1, 2, 3]
    assert requests[2].at - requests[1].at >= backoff_s
    assert len({(r.headers["x-goog-pubsub-message-id"], r.body) for r in requests}) == 1
    assert await deliveries.nothing_left()
    assert len(functions.requests) == 3


async def test_back_off_doubles_within_its_bounds() -> None:
    policy = Retry(minimum_backoff_s=10, maximum_backoff_s=600, max_delivery_attempts=5)
    assert [policy.backoff_s(n) for n in (1, 2, 3, 7, 8, 100)] == [10, 20, 40, 600, 600, 600]


@pytest.mark.parametrize("status", [500, 503, 404, 302])
async def test_anything_but_a_2xx_brings_the_message_back(
    deliveries: Deliveries, functions: Functions, status: int
) -> None:
    functions.answer = lambda request: status if request.attempt == 1 else 200
    await publish(await deliveries.start(), message())
    assert [r.attempt for r in await functions.of("process_webhook", 2)] == [1, 2]


async def test_after_five_attempts_it_is_a_dead_letter_with_its_source(
    deliveries: Deliveries, functions: Functions
) -> None:
    functions.answer = lambda request: 500 if request.function == "process_webhook" else 200
    await publish(await deliveries.start(), message())
    [letter] = await functions.of("record_dead_letter", 1)
    attempts = [request.attempt for request in await functions.of("process_webhook", 5)]
    assert attempts == [1, 2, 3, 4, 5]
    assert letter.body == b"\x00\xffISA*"
    sent = {name.lower(): value for name, value in ATTRIBUTES.items()}
    assert {name: letter.headers.get(name) for name in sent} == sent
    source = {
        name.removeprefix("cloudpubsubdeadlettersource"): value
        for name, value in letter.headers.items()
        if name.startswith("cloudpubsubdeadlettersource")
    }
    first = functions.requests[0].headers
    path = first["x-goog-pubsub-subscription-name"]
    assert source == {
        "subscription": "process-webhook",
        "subscriptionproject": path.split("/")[1],
        "deliverycount": "5",
        "topicpublishtime": first["x-goog-pubsub-publish-time"],
    }
    assert await deliveries.nothing_left()
    assert len(functions.requests) == 6


async def test_a_dead_letter_is_never_given_up(deliveries: Deliveries, functions: Functions) -> None:
    failures = iter([500] * 7)
    functions.answer = lambda _: next(failures, 200)
    await publish(await deliveries.start(), message(topic="dead-letters"))
    assert len(await functions.of("record_dead_letter", 8)) == 8
    assert await deliveries.nothing_left()


async def test_what_backs_off_is_still_due(deliveries: Deliveries, functions: Functions) -> None:
    functions.answer = lambda request: 500 if request.attempt < 3 else 200
    backoff_s = 0.4 if deliveries.backend == "embedded" else 1.0
    policy = Retry(minimum_backoff_s=backoff_s, maximum_backoff_s=10, max_delivery_attempts=5)
    await publish(await deliveries.start(policy), message())
    await functions.of("process_webhook", 2)
    assert await deliveries.nothing_left()
    assert functions.requests[-1].attempt == 3


async def test_no_more_than_the_bound_are_under_way(deliveries: Deliveries, functions: Functions) -> None:
    functions.takes_s = 0.02
    publisher = await deliveries.start(max_in_flight=4)
    await publish(publisher, *(message() for _ in range(20)))
    assert len(await functions.of("process_webhook", 20)) == 20
    assert functions.most_at_once == 4


async def test_faults_duplicate_and_reorder(deliveries: Deliveries, functions: Functions) -> None:
    publisher = await deliveries.start(faults=Faults(duplicate=1.0, reorder=1.0, seed=7))
    await publish(publisher, *(message(str(n).encode()) for n in range(12)))
    bodies = [request.body for request in await functions.of("process_webhook", 24)]
    assert sorted(bodies) == sorted(str(n).encode() for n in range(12) for _ in range(2))
    assert bodies[:12] != [str(n).encode() for n in range(12)]
    assert await deliveries.nothing_left()


async def test_a_dropped_acknowledgement_brings_the_message_back_but_makes_no_dead_letter(
    deliveries: Deliveries, functions: Functions
) -> None:
    publisher = await deliveries.start(faults=Faults(drop_ack=1.0))
    await publish(publisher, message())
    assert [r.attempt for r in await functions.of("process_webhook", 5)] == [1, 2, 3, 4, 5]
    assert await deliveries.nothing_left()
    assert {request.function for request in functions.requests} == {"process_webhook"}


async def test_faults_delay(deliveries: Deliveries, functions: Functions) -> None:
    publisher = await deliveries.start(faults=Faults(delay=1.0, delay_s=0.3, seed=3))
    await publish(publisher, *(message() for _ in range(10)))
    requests = await functions.of("process_webhook", 10)
    assert 0.1 < requests[-1].at - requests[0].at < 1


async def test_what_no_header_can_hold_is_not_acknowledged(functions: Functions) -> None:
    pusher = Pusher(functions.url)
    pushed = Pushed("process-webhook", "1", datetime.now(UTC), 1, {"note": "two\r\nlines"}, b"")
    assert not await pusher.post("process_webhook", pushed, timeout_s=5)
    await pusher.close()
    assert functions.requests == []


# Each as (attributes, data). Text only: the emulator's own push decodes data, and spoils what is not UTF-8.
PUSHED: dict[str, tuple[dict[str, str], bytes]] = {
    "one of our events": (ATTRIBUTES, b"ISA*00*"),
    "without a content type": ({"ce-id": "2"}, b"{}"),
    "without attributes": ({}, "text, NUL \0, ü".encode()),
    "without data": ({"ce-id": "3", "Content-Type": "application/json"}, b""),
    "a content type in other case": ({"content-type": "application/json"}, b"{}"),
    "long": ({"note": "x" * 1024}, b"x" * 100_000),
}


@pytest.mark.emulators
@pytest.mark.parametrize("case", PUSHED)
async def test_the_bridge_pushes_as_a_push_subscription_does(
    case: str, functions: Functions, emulators: "Emulators", project: str
) -> None:
    attributes, data = PUSHED[case]
    emulators.declare(project, subscriptions(), AT_ONCE)
    await asyncio.to_thread(_declare_push, emulators, project, f"{functions.url}/real")
    async with AsyncExitStack() as stack:
        publisher = PubSubPublisher(project_id=project)
        stack.push_async_callback(publisher.close)
        bridge = Bridge(_pubsub(emulators), project, subscriptions(), max_delivery_attempts=5)
        stack.push_async_callback(bridge.close)
        pusher = Pusher(functions.url)
        stack.push_async_callback(pusher.close)
        broker = Broker(bridge, pusher, declared=subscriptions(), max_delivery_attempts=5)
        stack.push_async_callback(_cancelled, asyncio.create_task(broker.run()))
        await publish(publisher, Message("webhook-events", data, attributes))
        [ours] = await functions.of("process_webhook", 1)
        [theirs] = await functions.of("real", 1)
    assert ours.body == theirs.body == data
    expected = _comparable(theirs.headers)
    assert expected["x-goog-pubsub-subscription-name"] == f"projects/{project}/subscriptions/pushed"
    expected["x-goog-pubsub-subscription-name"] = f"projects/{project}/subscriptions/process-webhook"
    expected["x-goog-pubsub-delivery-attempt"] = "1"  # ours to add: no push subscription here counts attempts
    assert _comparable(ours.headers) == expected


def _comparable(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in HOP}


def _pubsub(emulators: "Emulators") -> str:
    return emulators.environment["PUBSUB_EMULATOR_HOST"]


def _declare_push(emulators: "Emulators", project: str, url: str) -> None:
    with grpc.insecure_channel(_pubsub(emulators)) as channel:
        SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)).create_subscription(
            request=PushSubscription(
                name=f"projects/{project}/subscriptions/pushed",
                topic=f"projects/{project}/topics/webhook-events",
                push_config=PushConfig(
                    push_endpoint=url, no_wrapper=PushConfig.NoWrapper(write_metadata=True)
                ),
            ),
            retry=None,
            timeout=10,
        )
