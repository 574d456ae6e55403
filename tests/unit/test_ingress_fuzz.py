"""Whatever is sent, `receive_webhook` gives a reply that schemas/openapi.json documents, soon and in bounded memory.

The function is hosted by functions-framework as its deployment is; only the ports are in memory.
"""

import asyncio
import gzip
import hmac
import json
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest
from functions_framework.aio import create_asgi_app_from_module
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

import main
from functions.webhooks.receive_webhook import MEDIA_TYPES, PLAIN, TRACE_PARENT
from shared.adapters.memory import (
    InMemoryConnectionRegistry,
    InMemoryIdempotencyStore,
    InMemoryPayloadStore,
    InMemoryPublisher,
    InMemorySecretStore,
)
from shared.domain.ids import event_id
from shared.handlers.accept_webhook import Ingress, RawDelivery, accept_webhook
from shared.ports.connections import Connection, Scheme
from shared.runtime import bootstrap
from shared.runtime.cached import Cached
from shared.runtime.error_reports import ErrorReports
from shared.runtime.errors import PoisonError, TransientError
from shared.runtime.rate_limit import RateLimiter
from shared.runtime.settings import MAX_BODY_BYTES, MAX_HELD_BYTES, MAX_INLINE_BYTES, Settings
from shared.runtime.signatures import sign
from tests.documented import Reply, fault

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SECRET = "whsec_" + "Q" * 43 + "="
MIB = 1 << 20
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
CONNECTIONS: Mapping[Scheme, Connection] = {
    scheme: Connection(
        id=UUID(int=nth + 1),
        customer_id=UUID(int=100 + nth),
        provider="acme",
        scheme=scheme,
        secret_name=f"secret-{nth}",
        rate_per_min=10**9,
        burst=10**9,
    )
    for nth, scheme in enumerate(SCHEMES)
}
STANDARD = CONNECTIONS["standard-webhooks"]
Header = tuple[bytes, bytes]


class MemoryApp(bootstrap.App):
    """An app whose ingress touches nothing outside the process, at a time that stands still."""

    def __init__(self) -> None:
        super().__init__(Settings(), clock=lambda: NOW)

    @cached_property
    def keys(self) -> InMemoryIdempotencyStore:
        return InMemoryIdempotencyStore(clock=self.clock)

    @cached_property
    def publisher(self) -> InMemoryPublisher:
        return InMemoryPublisher(keep=4)

    @cached_property
    def payloads(self) -> InMemoryPayloadStore:
        return InMemoryPayloadStore()

    @cached_property
    def registry(self) -> InMemoryConnectionRegistry:
        return InMemoryConnectionRegistry(CONNECTIONS.values())

    @cached_property
    def secret_store(self) -> InMemorySecretStore:
        return InMemorySecretStore({c.secret_name: (SECRET,) for c in CONNECTIONS.values()})


class Broken:
    """A part with a bug, whose message quotes what it should not."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("no claim of Jane Doe")


def hosted() -> Callable[..., Any]:
    """Return the application that serves the function where it is deployed."""
    application: Callable[..., Any] = create_asgi_app_from_module(  # type: ignore[no-untyped-call]
        "receive_webhook", str(Path(main.__file__)), "http", main, main.__spec__
    )
    return application


@dataclass
class Sender:
    """Sends to the function as its server would, chunk by chunk. reads: chunks that the function asked for."""

    app: MemoryApp
    runner: asyncio.Runner = field(repr=False)
    hosted: Callable[..., Any] = field(repr=False)
    log: list[MutableMapping[str, Any]] = field(repr=False)
    reads: int = 0

    def send(
        self,
        path: str,
        headers: Iterable[Header] = (),
        chunks: Iterable[bytes] = (b"",),
        *,
        method: str = "POST",
        query: bytes = b"",
        gives_up: bool = False,
    ) -> Reply:
        """Return the reply, which the document must know."""
        request = self.exchange(path, list(headers), chunks, method=method, query=query, gives_up=gives_up)
        return self.runner.run(asyncio.wait_for(request, timeout=20))

    async def exchange(
        self,
        path: str,
        headers: list[Header],
        chunks: Iterable[bytes],
        *,
        method: str,
        query: bytes,
        gives_up: bool,
    ) -> Reply:
        left = iter(chunks)

        async def receive() -> MutableMapping[str, Any]:
            self.reads += 1
            await asyncio.sleep(0)  # others may send meanwhile
            chunk = next(left, None)
            if chunk is not None:
                return {"type": "http.request", "body": chunk, "more_body": True}
            if gives_up:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": b"", "more_body": False}

        return await self.stream(path, headers, receive, method=method, query=query)

    async def stream(
        self,
        path: str,
        headers: list[Header],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        *,
        method: str = "POST",
        query: bytes = b"",
    ) -> Reply:
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": method,
            "path": path, "raw_path": path.encode(), "query_string": query, "root_path": "", "headers": headers,
            "client": ("192.0.2.1", 4711), "server": ("127.0.0.1", 8080),
        }  # fmt: skip
        sent: list[MutableMapping[str, Any]] = []

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        self.reads = 0
        await self.hosted(scope, receive, send)
        reply = assembled(sent)
        if method == "HEAD":  # servers send no body then
            reply = replace(reply, body=b"")
        assert fault(method, path, reply) is None, fault(method, path, reply)
        return reply

    def deliver(
        self,
        body: bytes,
        *,
        scheme: Scheme = "standard-webhooks",
        delivery_id: str | None = None,
        content_type: str = "application/json",
        now: datetime = NOW,
        headers: Iterable[Header] = (),
        chunk_size: int = 65_536,
    ) -> Reply:
        """Send what is signed well."""
        signed = sign(scheme, delivery_id or uuid4().hex, body, SECRET, now)
        return self.send(
            address(CONNECTIONS[scheme]),
            [*raw({**signed, "content-type": content_type}), *headers],
            [body[i : i + chunk_size] for i in range(0, len(body), chunk_size)],
        )


def assembled(sent: Sequence[Mapping[str, Any]]) -> Reply:
    """Return the one reply that was sent, its headers fit for the wire."""
    start, *rest = sent
    assert [message["type"] for message in sent] == ["http.response.start"] + ["http.response.body"] * len(
        rest
    )
    assert not rest[-1].get("more_body", False)
    headers = [(bytes(name), bytes(value)) for name, value in start["headers"]]
    assert not any(byte < 32 or byte > 126 for name, value in headers for byte in name + value)
    names = [name.decode().lower() for name, _ in headers]
    assert len(set(names)) == len(names)
    body = b"".join(message.get("body", b"") for message in rest)
    return Reply(
        start["status"], dict(zip(names, (value.decode() for _, value in headers), strict=True)), body
    )


def address(connection: Connection) -> str:
    return f"/v1/webhooks/{connection.provider}/{connection.id}"


def raw(headers: Mapping[str, str]) -> list[Header]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


@pytest.fixture(scope="module")
def sender() -> Iterator[Sender]:
    app = MemoryApp()
    bootstrap.use(app)
    with asyncio.Runner() as runner, capture_logs() as log:
        yield Sender(app, runner, hosted(), log)
    bootstrap.use(None)


@pytest.fixture(autouse=True)
def no_bug_of_ours(sender: Sender) -> Iterator[None]:
    """Nothing that a sender does may end in the log as our own fault, unless the test says that it is."""
    sender.log.clear()
    yield
    assert not [line for line in sender.log if line["log_level"] in {"critical", "error"}]


# Any request at all.

KNOWN_NAMES = [
    b"content-type", b"content-length", b"content-encoding", b"transfer-encoding", b"host", b"traceparent",
    b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"x-signature", b"x-timestamp", b"x-idempotency-key",
    b"function-execution-id", b"x-cloud-trace-context", b"expect", b"connection", b"x-forwarded-for", b"cookie",
    b"ce-id", b"ce-customerid", b"ce-type", b"ce-replayid", b"upstream-letter", b"x-goog-pubsub-delivery-attempt",
]  # fmt: skip
PLAIN_NAMES = {name.encode() for name in PLAIN}
LIKELY_VALUES = [
    b"application/json", b"application/json; charset=\xff", b"text/xml", b"identity", b"gzip", b"0", b"-1", b"1e9",
    b"9" * 26, b"chunked", b"chunked, identity", b"v1,AAAA", b"v1," * 1000, b"sha256=", b"\xff" * 50, b"x" * 20_000,
    b"a\r\nx-evil: 1", b"a\r\n folded", b"\x00", b"[::1", b"evil/_health/live?", str(int(NOW.timestamp())).encode(),
    b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", b"00-" + b"\"'<{$" * 6 + b"xx-" + b"b" * 16 + b"-01",
]  # fmt: skip
names = st.sampled_from(KNOWN_NAMES) | st.binary(min_size=1, max_size=40).map(bytes.lower)
values = st.sampled_from(LIKELY_VALUES) | st.binary(max_size=60)
header_lists = st.lists(st.tuples(names, values), max_size=12) | st.lists(
    st.tuples(names, values), min_size=150, max_size=200
)
segments = st.sampled_from(
    ["", "v1", "webhooks", "acme", str(STANDARD.id), "_health", "live", "ready", ".."]
) | st.text(max_size=12)
paths = (
    st.sampled_from(
        [address(STANDARD), "/_health/live", "/_health/ready", "/robots.txt", "/favicon.ico", "/", "*"]
    )
    | st.lists(segments, max_size=8).map(lambda parts: "/" + "/".join(parts))
    | st.text(max_size=30).map(lambda text: "/" + text)
)
methods = st.sampled_from(
    ["POST"] * 6
    + ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PRI", "post", "\x7f"]
)
chunk_lists = st.lists(st.binary(max_size=100), max_size=5)


@given(
    method=methods,
    path=paths,
    query=st.binary(max_size=20),
    headers=header_lists,
    chunks=chunk_lists,
    gives_up=st.booleans(),
)
@settings(max_examples=300)
def test_any_request_gets_a_documented_reply(
    sender: Sender,
    method: str,
    path: str,
    query: bytes,
    headers: list[Header],
    chunks: list[bytes],
    *,
    gives_up: bool,
) -> None:
    published = len(sender.app.publisher.messages)
    reply = sender.send(path, headers, chunks, method=method, query=query, gives_up=gives_up)
    assert reply.status < 500
    assert reply.status not in {200, 202} or "_health" in path
    assert len(sender.app.publisher.messages) == published


@given(headers=header_lists, query=st.binary(max_size=20))
def test_no_header_but_the_declared_ones_matters_to_a_delivery(
    sender: Sender, headers: list[Header], query: bytes
) -> None:
    delivery_id = uuid4().hex
    body = b'{"any": "thing"}'
    signed = raw(
        {**sign("standard-webhooks", delivery_id, body, SECRET, NOW), "content-type": "application/json"}
    )
    # Servers keep the order of equal names; the first of ours is the signed one.
    heeded = {b"content-length", *PLAIN_NAMES}
    others = [(name, value) for name, value in headers if name not in heeded]
    reply = sender.send(address(STANDARD), [*signed, *others], [body], query=query)
    assert reply.status == 202
    published = sender.app.publisher.messages[-1]
    assert published.data == body
    attributes = dict(published.attributes)
    assert all(value.isascii() and value.isprintable() for value in attributes.values())
    assert attributes.pop("ce-time") == NOW.isoformat(timespec="microseconds")
    assert TRACE_PARENT.fullmatch(attributes.pop("traceparent"))
    event = str(event_id(STANDARD.id, delivery_id, sha256(body).hexdigest()))
    assert attributes == {
        "ce-id": event, "ce-type": "app.upstream.webhook.received", "ce-source": f"/connections/{STANDARD.id}",
        "ce-subject": f"connections/{STANDARD.id}", "ce-specversion": "1.0", "ce-parentid": event,
        "ce-customerid": str(STANDARD.customer_id), "ce-connectionid": str(STANDARD.id), "ce-provider": "acme",
        "ce-payloadformat": "auto", "ce-deliveryid": delivery_id, "Content-Type": "application/json",
    }  # fmt: skip


# Signed well, whatever it says.

HOSTILE = {
    "nothing": b"",
    "deep JSON": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a huge number": b'{"amount": ' + b"9" * 200_000 + b"}",
    "a huge exponent": b'{"amount": 1e999999999}',
    "not a number": b'{"amount": NaN}',
    "duplicate keys": b'{"id": 1, "id": 2}',
    "invalid UTF-8": b'{"name": "\xff\xfe\x80"}',
    "a lone surrogate": b'{"name": "\\ud800"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "NUL": b'{"name": "\x00"}\x00',
    "an interchange without end": b"ISA*00*          *00*" + b"*" * 100_000,
    "an interchange of delimiters": b"ISA" + b"~" * 50_000,
    "a body that is compressed": gzip.compress(b"0" * MIB),
    "something like a request": b"POST /v1/webhooks/acme HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_signed_is_taken_however_hostile_and_kept_byte_for_byte(
    sender: Sender, scheme: Scheme, body: bytes
) -> None:
    assert sender.deliver(body, scheme=scheme).status == 202
    message = sender.app.publisher.messages[-1]
    reference = message.attributes.get("ce-payloadref")
    assert (message.data if reference is None else sender.app.payloads.get(reference)) == body


@given(
    body=st.binary(max_size=5_000),
    scheme=st.sampled_from(SCHEMES),
    content_type=st.sampled_from(sorted(MEDIA_TYPES)),
    delivery_id=st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="."), min_size=1
    ),
    chunk_size=st.integers(1, 5_000),
)
@example(body=b"", scheme="hmac-sha256-hex", content_type="text/plain", delivery_id="/", chunk_size=1)
def test_any_bytes_are_taken_once(
    sender: Sender, body: bytes, scheme: Scheme, content_type: str, delivery_id: str, chunk_size: int
) -> None:
    sender.app.__dict__.pop("keys", None)
    sender.app.__dict__.pop("ingress", None)
    deliver = partial(sender.deliver, scheme=scheme, content_type=content_type, delivery_id=delivery_id[:256])
    first = deliver(body, chunk_size=chunk_size)
    again = deliver(body)
    other = deliver(body + b" ")
    assert [first.status, again.status, other.status] == [202, 200, 422]
    assert json.loads(first.body)["event_id"] == json.loads(again.body)["event_id"]
    assert sender.app.publisher.messages[-1].data == body


# Media types and encodings.


@pytest.mark.parametrize(
    "encodings",
    [
        [b"gzip"],
        [b"GZIP"],
        [b"br"],
        [b"deflate"],
        [b"identity, gzip"],
        [b"identity", b"gzip"],
        [b""],
        [b"\xff"],
    ],
)
def test_a_compressed_body_is_refused_unread(sender: Sender, encodings: list[bytes]) -> None:
    bomb = gzip.compress(bytes(64 * MIB))
    reply = sender.deliver(bomb, headers=[(b"content-encoding", encoding) for encoding in encodings])
    assert (reply.status, reply.code) == (415, "unsupported_media_type")
    assert sender.reads == 0


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"gzip", b"identity"])
def test_a_body_that_is_compressed_for_its_transfer_is_refused_unread(sender: Sender, coding: bytes) -> None:
    assert sender.deliver(b"{}", headers=[(b"transfer-encoding", coding)]).status == 415
    assert sender.reads == 0


@pytest.mark.parametrize("encoding", [b"identity", b"Identity", b" identity "])
def test_a_body_that_is_said_not_to_be_compressed_is_taken(sender: Sender, encoding: bytes) -> None:
    headers = [(b"content-encoding", encoding), (b"transfer-encoding", b"Chunked")]
    assert sender.deliver(b"{}", headers=headers).status == 202


@pytest.mark.parametrize(
    "content_type",
    ["", "text/xml", "application/json, text/plain", "application/jsonx", "json", "application/json;" + "x" * 200,
     "application/json; charset=\xe9", "application/json;\x00", "application/json;\ta\x7f"],
)  # fmt: skip
def test_a_media_type_that_is_not_listed_or_not_text_is_refused_unread(
    sender: Sender, content_type: str
) -> None:
    reply = sender.deliver(b"{}", content_type=content_type)
    assert (reply.status, reply.code) == (415, "unsupported_media_type")
    assert sender.reads == 0


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/FHIR+JSON", "text/plain ;x"]
)
def test_a_media_type_may_have_parameters(sender: Sender, content_type: str) -> None:
    assert sender.deliver(b"{}", content_type=content_type).status == 202
    assert sender.app.publisher.messages[-1].attributes["Content-Type"] == content_type


# Signatures.


@pytest.mark.parametrize("position", [0, 15, 16, 999])
def test_of_a_thousand_signatures_the_first_sixteen_are_read(sender: Sender, position: int) -> None:
    signed = sign("standard-webhooks", uuid4().hex, b"{}", SECRET, NOW)
    listed = ["v1," + "A" * 44] * 1000
    listed[position] = signed["webhook-signature"]
    signed |= {"webhook-signature": " ".join(listed), "content-type": "application/json"}
    reply = sender.send(address(STANDARD), raw(signed), [b"{}"])
    assert reply.status == (202 if position < 16 else 401)


@given(signature=st.binary(max_size=300), scheme=st.sampled_from(SCHEMES))
@example(signature=b"v1,\xc3\xa9\xff", scheme="standard-webhooks")
@example(signature="v1,é".encode("utf-16"), scheme="hmac-sha256-hex")
@example(signature=b"v1," * 20_000, scheme="standard-webhooks")
def test_any_other_signature_is_refused_quietly(sender: Sender, signature: bytes, scheme: Scheme) -> None:
    name = {"standard-webhooks": "webhook-signature", "hmac-sha256-hex": "x-signature"}[scheme]
    signed = sign(scheme, uuid4().hex, b"{}", SECRET, NOW) | {"content-type": "application/json"}
    del signed[name]
    reply = sender.send(address(CONNECTIONS[scheme]), [*raw(signed), (name.encode(), signature)], [b"{}"])
    assert (reply.status, reply.code) == (401, "invalid_signature")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("skew", "status"),
    [(-301, 401), (-300, 202), (-1, 202), (1, 202), (300, 202), (301, 401), (-(10**9), 401), (10**9, 401)],
)
def test_clocks_may_differ_by_five_minutes_either_way(
    sender: Sender, scheme: Scheme, skew: int, status: int
) -> None:
    reply = sender.deliver(b"{}", scheme=scheme, now=NOW + timedelta(seconds=skew))
    assert reply.status == status
    assert status == 202 or reply.code == "stale_timestamp"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_second_value_of_a_signed_header_changes_nothing(sender: Sender, name: str) -> None:
    assert sender.deliver(b"{}", headers=[(name.encode(), b"other")]).status == 202


# Sizes.


@pytest.mark.parametrize("chunk_size", [1024, 65_536, MIB])
def test_a_body_over_the_limit_is_refused_having_read_no_more_than_a_chunk_over(
    sender: Sender, chunk_size: int
) -> None:
    endless = iter(lambda: bytes(chunk_size), b"")
    reply = sender.send(address(STANDARD), [(b"content-type", b"application/json")], endless)
    assert (reply.status, reply.code) == (413, "payload_too_large")
    assert sender.reads == MAX_BODY_BYTES // chunk_size + 1


def test_a_body_that_says_it_is_too_large_is_refused_unread(sender: Sender) -> None:
    for declared in (str(MAX_BODY_BYTES + 1), "9" * 18, "9" * 5_000):
        headers = raw({"content-type": "application/json", "content-length": declared})
        reply = sender.send(address(STANDARD), headers, iter(lambda: bytes(1024), b""))
        assert (reply.status, sender.reads) == (413, 0)


@pytest.mark.parametrize("declared", ["0", "1", "-1", "+5", "5, 5", "0x5", "1e9", " ", "\xb2", "0" * 5_000])
def test_a_length_that_lies_neither_cuts_a_body_nor_adds_to_it(sender: Sender, declared: str) -> None:
    body = b'{"length": "longer than five"}'
    assert sender.deliver(body, headers=raw({"content-length": declared})).status == 202
    assert sender.app.publisher.messages[-1].data == body


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_sender_that_gives_up_has_sent_nothing(sender: Sender, after: int) -> None:
    delivery_id, body = uuid4().hex, b"x" * 4096
    signed = raw({**sign("standard-webhooks", delivery_id, body, SECRET, NOW), "content-type": "text/plain"})
    published = len(sender.app.publisher.messages)
    reply = sender.send(address(STANDARD), signed, [body[:1024]] * after, gives_up=True)
    assert (reply.status, reply.code) == (400, "bad_request")
    assert len(sender.app.publisher.messages) == published
    assert sender.deliver(body, delivery_id=delivery_id, content_type="text/plain").status == 202


def test_bodies_of_the_largest_size_at_once_cost_their_own_size_and_two_copies_of_one(sender: Sender) -> None:
    """Joining and checking take turns."""
    chunk = bytes(65_536)
    at_once = 5
    signed = [
        raw(
            {
                **sign("standard-webhooks", uuid4().hex, bytes(MAX_BODY_BYTES), SECRET, NOW),
                "content-type": "text/plain",
            }
        )
        for _ in range(at_once)
    ]

    async def all_at_once() -> list[Reply]:
        return await asyncio.gather(
            *(
                sender.exchange(
                    address(STANDARD), headers, (bytes(bytearray(chunk)) for _ in range(MAX_BODY_BYTES // len(chunk))),
                    method="POST", query=b"", gives_up=False,
                )
                for headers in signed
            )
        )  # fmt: skip

    tracemalloc.start()
    try:
        replies = sender.runner.run(all_at_once())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {reply.status for reply in replies} == {202}
    assert peak < (at_once + 3) * MAX_BODY_BYTES


def test_large_bodies_beyond_the_room_are_sent_away_and_small_ones_find_a_place(sender: Sender) -> None:
    """Nobody has to sign to hold memory: a body is read before its signature can be checked."""
    junk, chunk = [(b"content-type", b"text/plain")], bytes(MIB)
    held, ended = asyncio.Semaphore(0), asyncio.Event()

    class Slow:
        """Sends all but its last chunk, and that one when it is told to."""

        def __init__(self, chunks: int) -> None:
            self.left = chunks

        async def receive(self) -> MutableMapping[str, Any]:
            self.left -= 1
            if self.left == 0:
                held.release()
                await ended.wait()
            return {"type": "http.request", "body": chunk, "more_body": self.left > 0}

    async def meanwhile() -> tuple[list[int], Reply, Reply]:
        full = [Slow(32) for _ in range(MAX_HELD_BYTES // (32 << 20))]
        slow = [asyncio.ensure_future(sender.stream(address(STANDARD), junk, one.receive)) for one in full]
        for _ in full:
            await held.acquire()
        others = [sender.exchange(address(STANDARD), junk, chunks, method="POST", query=b"", gives_up=False)
                  for chunks in ([bytes(MAX_INLINE_BYTES)], [chunk] * 9)]  # fmt: skip
        small, large = [await one for one in others]
        ended.set()
        return [(await one).status for one in slow], small, large

    slow, small, large = sender.runner.run(meanwhile())
    assert (small.status, large.status, large.headers["retry-after"]) == (401, 503, "5")
    assert set(slow) == {401}
    assert sender.deliver(bytes(MAX_BODY_BYTES), content_type="text/plain").status == 202


def test_the_worst_headers_cost_milliseconds(sender: Sender) -> None:
    junk = [(b"x-%d" % n, b"\xff" * 300) for n in range(200)]
    long = [(name, b"v1," * 20_000) for name in KNOWN_NAMES if name not in {b"content-type", *PLAIN_NAMES}]
    headers = [(b"content-type", b"application/json"), *long, *junk]
    started = time.perf_counter()
    reply = sender.send(address(STANDARD), headers, [b"{}"])
    assert reply.status == 401
    assert time.perf_counter() - started < 1


# What fails behind.


@pytest.mark.parametrize(
    "failure", [TransientError("unavailable", "broker"), TransientError("timeout", "broker")]
)
def test_a_cause_that_only_we_see_is_told_as_unavailable(sender: Sender, failure: TransientError) -> None:
    sender.app.publisher.failure = failure
    try:
        reply = sender.deliver(b"{}")
    finally:
        sender.app.publisher.failure = None
    assert (reply.status, reply.code) == (503, "unavailable")
    assert sender.log[-1]["code"] == failure.code


@pytest.mark.parametrize("part", ["ingress", "registry", "secret_store", "keys", "publisher"])
@pytest.mark.parametrize("path", [address(STANDARD), "/_health/ready"])
def test_a_bug_of_ours_is_one_line_without_the_payload_and_a_problem(
    monkeypatch: pytest.MonkeyPatch, part: str, path: str
) -> None:
    app = MemoryApp()
    app.__dict__[part] = Broken()
    monkeypatch.setattr(bootstrap, "_app", app)
    signed = raw({**sign("standard-webhooks", "d", b"{}", SECRET, NOW), "content-type": "text/plain"})
    with asyncio.Runner() as runner, capture_logs() as log:
        sender = Sender(app, runner, hosted(), log)
        reply = sender.send(path, signed, [b"{}"], method="GET" if "_health" in path else "POST")
        lines = list(log)
        log.clear()
    if "_health" in path:
        assert reply.status == (503 if part in {"keys", "publisher"} else 200)
        return
    assert (reply.status, reply.code) == (500, "unhandled")
    (line,) = [ErrorReports()(None, "critical", dict(line)) for line in lines]  # as it is written
    assert (line["event"], line["log_level"], line["error"]) == (
        "webhook.refused",
        "critical",
        "RuntimeError",
    )
    assert "test_ingress_fuzz.py" in line["stack"]
    assert "Jane" not in str(line)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), TransientError("claim_lost")])
def test_a_key_that_is_not_settled_after_the_reply_is_one_line(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def settle(*_: object) -> None:
        raise error

    monkeypatch.setattr(sender.app.keys, "settle", settle)
    assert sender.deliver(b"{}").status == 202
    line = sender.log.pop()
    assert (line["event"], line["error"]) == ("webhook.not_settled", type(error).__name__)


# Who did not sign learns nothing, not even by the clock.

GUARDED: Mapping[str, Connection] = {
    "with one secret": STANDARD,
    "while rotating": replace(STANDARD, id=UUID(int=11), secret_name="rotating"),
    "with three secrets": replace(STANDARD, id=UUID(int=12), secret_name="three"),
    "with none": replace(STANDARD, id=UUID(int=13), secret_name="none"),
    "disabled": replace(STANDARD, id=UUID(int=14), enabled=False),
    "of another provider": replace(STANDARD, id=UUID(int=15), provider="other"),
}
UNSIGNED: Mapping[str, Mapping[str, str]] = {
    "no headers": {},
    "a wrong signature": sign("standard-webhooks", "d-1", b"{}", "another", NOW),
    "a stale one": sign("standard-webhooks", "d-1", b"{}", "another", NOW - timedelta(days=1)),
    "a thousand": {"webhook-signature": " ".join(["v1," + "A" * 44] * 1000)},
    "both schemes": sign("standard-webhooks", "d-1", b"{}", "x", NOW)
    | sign("hmac-sha256-hex", "d-1", b"{}", "x", NOW),
}


@dataclass
class Steps:
    """Writes down each step that takes time: look-ups, digests by their length, comparisons by theirs."""

    patch: pytest.MonkeyPatch
    taken: list[tuple[object, ...]] = field(default_factory=list)
    now_s: float = 1000.0

    def __post_init__(self) -> None:
        digest, compare = hmac.digest, hmac.compare_digest

        def counted_digest(key: bytes, content: bytes, name: str) -> bytes:
            self.taken.append(("digest", len(content)))
            return digest(key, content, name)

        def counted_compare(one: bytes, other: bytes) -> bool:
            self.taken.append(("compare", len(one), len(other)))
            return compare(one, other)

        self.patch.setattr(hmac, "digest", counted_digest)
        self.patch.setattr(hmac, "compare_digest", counted_compare)
        registry = InMemoryConnectionRegistry(GUARDED.values())
        names = {"secret-0": (SECRET,), "rotating": (SECRET, SECRET[:-2] + "A="), "three": (SECRET,) * 3}
        secrets = InMemorySecretStore(names)
        clock = partial(getattr, self, "now_s")
        self.ingress = Ingress(
            connections=Cached(self._noted("connection", registry.get), ttl_s=60, now_s=clock),
            secrets=Cached(
                self._noted("secret", lambda key: secrets.versions(key[1])), ttl_s=300, now_s=clock
            ),
            limiter=RateLimiter(),
            keys=InMemoryIdempotencyStore(clock=lambda: NOW),
            publisher=InMemoryPublisher(),
            payloads=InMemoryPayloadStore(),
            clock=lambda: NOW,
            monotonic_s=clock,
        )

    def of(self, connection_id: str, headers: Mapping[str, str]) -> list[tuple[object, ...]]:
        """Return the steps to one refusal."""
        self.taken.clear()
        delivery = RawDelivery(
            provider="acme", connection_id=connection_id, headers=headers, body=b"{}", content_type="", trace_parent=""
        )  # fmt: skip
        with pytest.raises(PoisonError) as refused:
            asyncio.run(accept_webhook(delivery, ingress=self.ingress))
        assert refused.value.code == "invalid_signature"
        return list(self.taken)

    def _noted(self, name: str, look_up: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def noted(key: object) -> object:
            self.taken.append((name,))
            return look_up(key)

        return noted


@pytest.mark.parametrize("who", GUARDED)
@pytest.mark.parametrize("headers", UNSIGNED.values(), ids=UNSIGNED)
def test_unknown_and_known_connections_refuse_after_the_same_steps(
    monkeypatch: pytest.MonkeyPatch, who: str, headers: Mapping[str, str]
) -> None:
    steps = Steps(monkeypatch)
    known, unknown = str(GUARDED[who].id), str(UUID(int=99))
    steps.of(str(UUID(int=98)), headers)  # somebody tried another unknown one just before
    for wait_s in (0, 1, 9, 2, 45, 10, 300):
        steps.now_s += wait_s
        assert steps.of(known, headers) == steps.of(unknown, headers), wait_s


def test_the_steps_are_look_ups_digests_and_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above compares something: this is what."""
    taken = Steps(monkeypatch).of(str(STANDARD.id), UNSIGNED["a wrong signature"])
    assert taken[:2] == [("connection",), ("secret",)]
    assert taken[2:] == [("digest", len("d-1.1772443800.{}")), ("compare", 44, 44)] * 3 * 2


def test_a_connection_of_the_other_scheme_costs_as_many_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    hexadecimal = replace(STANDARD, id=UUID(int=20), scheme="hmac-sha256-hex")
    steps.ingress = replace(
        steps.ingress, connections=Cached(lambda _: hexadecimal, ttl_s=60, now_s=lambda: 0.0)
    )
    other = [step for step in steps.of(str(hexadecimal.id), UNSIGNED["both schemes"]) if step[0] == "digest"]
    unknown = Steps(monkeypatch).of(str(UUID(int=99)), UNSIGNED["both schemes"])
    assert other == [step for step in unknown if step[0] == "digest"]


def test_what_is_no_id_is_refused_after_the_same_steps_as_an_unknown_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = Steps(monkeypatch)
    for name in ("not-an-id", "0" * 31, "\x00", "é"):
        steps.now_s += 1000
        assert steps.of(name, {}) == steps.of(str(UUID(int=99)), {})
