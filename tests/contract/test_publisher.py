"""One suite for every publisher: in memory, embedded, and Pub/Sub's emulator with Google's client."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from google.api_core.exceptions import InvalidArgument
from google.pubsub_v1.types import PublishRequest

from local.bridge import Bridge
from local.broker import Source
from local.queue import Queue
from local.subscriptions import retry, subscriptions
from shared.adapters.embedded.engine import build_local_engine
from shared.adapters.embedded.publisher import EmbeddedPublisher
from shared.adapters.memory import InMemoryPublisher
from shared.adapters.pubsub import PubSubPublisher
from shared.domain.events import Message, Topic
from shared.ports.publisher import Publisher
from shared.runtime.errors import PoisonError, TransientError
from shared.runtime.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from local.emulators import Emulators

BACKENDS = ["memory", "embedded", pytest.param("emulators", marks=pytest.mark.emulators)]
ATTRIBUTES = {"ce-id": "1", "ce-subject": "", "Content-Type": "application/edi-x12", "note": "ü"}
TIMEOUT_S = 10.0
PULL_AT_ONCE = 1000


class Bench(Protocol):
    """A publisher, what arrives of what it publishes, and a way to make its broker fall silent."""

    @property
    def publisher(self) -> Publisher: ...

    async def arrived(self, n: int) -> list[Message]: ...

    def silence(self) -> AbstractContextManager[None]: ...


class MemoryBench:
    def __init__(self) -> None:
        self.publisher = InMemoryPublisher()

    async def arrived(self, n: int) -> list[Message]:
        assert len(self.publisher.messages) >= n
        return self.publisher.messages

    @contextmanager
    def silence(self) -> Iterator[None]:
        self.publisher.failure = "silence"
        yield
        self.publisher.failure = None


class BrokerBench:
    def __init__(self, publisher: Publisher, source: Source, silence: AbstractContextManager[None]) -> None:
        self.publisher = publisher
        self._source = source
        self._silence = silence
        self._topics: dict[str, Topic] = {s.name: s.topic for s in subscriptions()}  # type: ignore[misc]

    async def arrived(self, n: int) -> list[Message]:
        found: list[Message] = []
        deadline = time.monotonic() + TIMEOUT_S
        while len(found) < n and time.monotonic() < deadline:
            leased = await self._source.pull(dict.fromkeys(self._topics, PULL_AT_ONCE), wake=lambda: None)
            if leased:
                await self._source.ack(leased)
            found += [
                Message(self._topics[one.pushed.subscription], one.pushed.data, one.pushed.attributes)
                for one in leased
            ]
            await asyncio.sleep(0.005)
        return found

    def silence(self) -> AbstractContextManager[None]:
        return self._silence


@contextmanager
def locked_table(engine: "Engine") -> Iterator[None]:
    with (
        engine.connect().execution_options(isolation_level="READ COMMITTED") as connection,
        connection.begin(),
    ):
        connection.exec_driver_sql("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.fixture(params=BACKENDS)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    match request.param:
        case "memory":
            yield MemoryBench()
        case "embedded":
            engine: Engine = request.getfixturevalue("local_engine")
            with engine.connect() as connection:
                connection.exec_driver_sql("TRUNCATE messages")
            queue = Queue(engine, subscriptions(), retry())
            yield BrokerBench(EmbeddedPublisher(engine), queue, locked_table(engine))
            await queue.close()
        case _:
            emulators: Emulators = request.getfixturevalue("emulators")
            project: str = request.getfixturevalue("project")
            emulators.declare(project, subscriptions(), retry())
            host = emulators.environment["PUBSUB_EMULATOR_HOST"]
            publisher = PubSubPublisher(project_id=project)
            bridge = Bridge(host, project, subscriptions(), max_delivery_attempts=5)
            yield BrokerBench(publisher, bridge, emulators.pubsub_paused())
            await bridge.close()
            await publisher.close()


def message(
    attributes: Mapping[str, str] | None = None,
    *,
    topic: Topic = "webhook-events",
    data: bytes = b"\x00\xffISA*",
) -> Message:
    return Message(topic, data, {**ATTRIBUTES, **(attributes or {})})


async def test_a_published_message_arrives_as_it_was(bench: Bench) -> None:
    sent = message()
    await bench.publisher.publish([sent], timeout_s=TIMEOUT_S)
    assert await bench.arrived(1) == [sent]


async def test_each_topic_gets_its_own(bench: Bench) -> None:
    topics: list[Topic] = ["webhook-events", "domain-events", "notifications", "dead-letters"]
    sent = [message(topic=topic, data=topic.encode()) for topic in topics]
    await bench.publisher.publish(sent, timeout_s=TIMEOUT_S)
    arrived = await bench.arrived(4)
    assert {(m.topic, m.data) for m in arrived} == {(topic, topic.encode()) for topic in topics}


async def test_a_topic_nobody_subscribes_to_takes_messages(bench: Bench) -> None:
    await bench.publisher.publish([message(topic="portal-actions")], timeout_s=TIMEOUT_S)


async def test_publishing_nothing_is_nothing(bench: Bench) -> None:
    await bench.publisher.publish([], timeout_s=TIMEOUT_S)


async def test_what_many_publish_at_once_arrives_once_each(bench: Bench) -> None:
    sent = [message({"number": str(n)}) for n in range(600)]
    await asyncio.gather(*(bench.publisher.publish([one], timeout_s=TIMEOUT_S) for one in sent))
    arrived = Counter(one.attributes["number"] for one in await bench.arrived(600))
    assert arrived == Counter(str(n) for n in range(600))


async def test_large_messages_published_at_once_all_arrive(bench: Bench) -> None:
    sent = [message(data=bytes([n]) * 6_000_000) for n in range(3)]
    await asyncio.gather(*(bench.publisher.publish([one], timeout_s=TIMEOUT_S) for one in sent))
    arrived = await bench.arrived(3)
    assert {(m.data[0], len(m.data)) for m in arrived} == {(n, 6_000_000) for n in range(3)}


REFUSED: dict[str, tuple[Message, str]] = {
    "too large": (message(data=b"x" * 10_000_001), "payload_too_large"),
    "too large with its attributes": (message(data=b"x" * 9_999_990), "payload_too_large"),
    "a long value": (message({"name": "x" * 1025}), "invalid_event"),
    "a long value in UTF-8": (message({"name": "é" * 513}), "invalid_event"),
    "a long name": (message({"n" * 257: "x"}), "invalid_event"),
    "no name": (message({"": "x"}), "invalid_event"),
    "a reserved name": (message({"google-id": "x"}), "invalid_event"),
    "many attributes": (message({str(n): "x" for n in range(101)}), "invalid_event"),
    "nothing at all": (Message("webhook-events", b"", {}), "invalid_event"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_no_broker_takes_is_poison_and_goes_nowhere(bench: Bench, case: str) -> None:
    refused, code = REFUSED[case]
    with pytest.raises(PoisonError) as caught:
        await bench.publisher.publish([message(data=b"with it"), refused], timeout_s=TIMEOUT_S)
    assert caught.value.code == code
    await bench.publisher.publish([message(data=b"after it")], timeout_s=TIMEOUT_S)
    assert [m.data for m in await bench.arrived(1)] == [b"after it"]


async def test_attributes_at_the_limit_are_taken(bench: Bench) -> None:
    sent = Message("webhook-events", b"x", {str(n).zfill(256): "y" * 1024 for n in range(100)})
    await bench.publisher.publish([sent], timeout_s=TIMEOUT_S)
    assert await bench.arrived(1) == [sent]


async def test_a_silent_broker_times_out_and_what_follows_gets_through(bench: Bench) -> None:
    with bench.silence():
        started = time.monotonic()
        with pytest.raises(TransientError) as caught:
            await bench.publisher.publish([message(data=b"first")], timeout_s=0.2)
        assert caught.value.code == "timeout"
        assert time.monotonic() - started < 1
    await bench.publisher.publish([message(data=b"second")], timeout_s=TIMEOUT_S)
    assert b"second" in {m.data for m in await bench.arrived(2 if not isinstance(bench, MemoryBench) else 1)}


async def test_a_broker_that_answers_is_ready(bench: Bench) -> None:
    await bench.publisher.ready()


async def test_an_embedded_broker_out_of_reach_is_transient() -> None:
    publisher = EmbeddedPublisher(build_local_engine(Settings(database="/nowhere")))
    with pytest.raises(TransientError):
        await publisher.publish([message()], timeout_s=1)
    with pytest.raises(TransientError):
        await publisher.ready()


async def test_pubsub_out_of_reach_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    publisher = PubSubPublisher(project_id="test-away")
    with pytest.raises(TransientError):
        await publisher.publish([message()], timeout_s=0.2)
    with pytest.raises(TransientError) as caught:
        await publisher.ready()
    assert caught.value.code == "unavailable"
    await publisher.close()


@pytest.mark.emulators
@pytest.mark.usefixtures("emulators")
async def test_a_missing_topic_is_transient_so_that_nothing_is_refused_for_our_mistake(project: str) -> None:
    publisher = PubSubPublisher(project_id=project)
    for attempt in (publisher.publish([message()], timeout_s=TIMEOUT_S), publisher.ready()):
        with pytest.raises(TransientError) as caught:
            await attempt
        assert caught.value.code == "unavailable"
    await publisher.close()


def watch_requests(publisher: PubSubPublisher) -> list[int]:
    """Return the sizes of the publisher's requests from here on; one with a bad message in it is refused."""
    client: Any = publisher._wires.get()._client
    publish = client.publish
    sizes: list[int] = []

    async def watched(*, request: PublishRequest, **options: object) -> object:
        sizes.append(len(request.messages))
        if any(one.data == b"bad" for one in request.messages):
            raise InvalidArgument("bad")  # type: ignore[no-untyped-call]
        return await publish(request=request, **options)

    client.publish = watched
    return sizes


@pytest.fixture
async def pubsub(emulators: "Emulators", project: str) -> AsyncIterator[PubSubPublisher]:
    emulators.declare(project, [], retry())
    publisher = PubSubPublisher(project_id=project)
    yield publisher
    await publisher.close()


@pytest.mark.emulators
async def test_messages_that_arrive_together_travel_together(pubsub: PubSubPublisher) -> None:
    sizes = watch_requests(pubsub)
    await asyncio.gather(*(pubsub.publish([message()], timeout_s=TIMEOUT_S) for _ in range(600)))
    assert sizes == [500, 100]


@pytest.mark.emulators
async def test_a_message_that_pubsub_refuses_takes_no_other_with_it(pubsub: PubSubPublisher) -> None:
    watch_requests(pubsub)
    fates = await asyncio.gather(
        *(pubsub.publish([message(data=data)], timeout_s=TIMEOUT_S) for data in (b"one", b"bad", b"two")),
        return_exceptions=True,
    )
    assert [type(fate) for fate in fates] == [type(None), PoisonError, type(None)]
