"""The running pipeline answers as schemas/openapi.json says, to requests made up from it and to what is hardly HTTP."""

import base64
import copy
import hmac
import json
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis import APIOperation, Case, CheckFunction, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth

from functions.webhooks.receive_webhook import MEDIA_TYPES
from shared.ports.connections import Connection, Scheme
from shared.runtime.settings import MAX_BODY_BYTES
from shared.runtime.signatures import sign
from tests.documented import DOCUMENT, RESPONSES, Reply, fault, problem_codes
from tests.functional.conftest import SECRET

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

WEBHOOK = "/v1/webhooks/{provider}/{connection_id}"
SLOWEST_S = 5.0
IDLE_S = 0.1

schemathesis.serializer("application/edi-x12", "application/x12")(lambda _, value: str(value).encode())
Operation = APIOperation[Any, Any, Any, Any]
Made = Case[Operation]
SCHEMA = schemathesis.openapi.from_dict(copy.deepcopy(dict(DOCUMENT)))
OPERATIONS: list[Operation] = [found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)]


# The document.


def test_the_document_names_its_version_and_resolves() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT)))
    for reference in references:
        node: Any = DOCUMENT
        for part in reference.split("/"):
            node = node[part]
    used = json.dumps({**DOCUMENT, "components": {**DOCUMENT["components"], "securitySchemes": {}}})
    for kind in ("responses", "schemas", "headers"):
        for name in DOCUMENT["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in used, name


def test_every_schema_in_it_is_one() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for response in RESPONSES.values():
        for content in response.get("content", {}).values():
            Draft202012Validator.check_schema(content["schema"])


def test_it_lists_the_media_types_that_are_taken_and_how_large() -> None:
    content = DOCUMENT["paths"][WEBHOOK]["post"]["requestBody"]["content"]
    assert content.keys() == MEDIA_TYPES
    assert {entry["schema"].get("maxLength", MAX_BODY_BYTES) for entry in content.values()} == {
        MAX_BODY_BYTES
    }


def test_every_problem_has_its_example_of_a_reply(pipeline: "Pipeline") -> None:
    """All that a sender can bring about is brought about; what it cannot are our own outages and bugs."""
    connection = pipeline.connection(rate_per_min=1, burst=3)
    path = f"/v1/webhooks/acme/{connection.id}"
    pipeline.send(connection, b"ISA", delivery_id="d-1")
    replies = [
        pipeline.send(connection, b"ISA", now=datetime(2020, 1, 1, tzinfo=UTC)),
        pipeline.send(connection, b"other", delivery_id="d-1"),
        pipeline.send(connection, b"ISA", content_type="text/xml"),
        pipeline.send(connection, b"x" * (MAX_BODY_BYTES + 1)),
        pipeline.post(path, b"ISA", {"Content-Type": "text/plain"}),
        pipeline.post("/nowhere", b"", {}),
        pipeline.post("/_health/live", b"", {}),
        pipeline.post(path, b"ISA", _signed_with_a_full_stop()),
        *(pipeline.send(connection, b"ISA") for _ in range(4)),
    ]
    seen = {(reply.status, reply.body["code"]) for reply in replies if reply.status >= 400}
    assert seen == problem_codes() - {(500, "unhandled"), (503, "unavailable")}


def _signed_with_a_full_stop() -> dict[str, str]:
    """A delivery id that nobody may use, signed as `sign` would not: `a.b` is cut where the timestamp begins."""
    timestamp = str(int(datetime.now(UTC).timestamp()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.digest(key, f"a.b.{timestamp}.ISA".encode(), "sha256")
    return {
        "webhook-id": "a.b", "webhook-timestamp": timestamp, "Content-Type": "text/plain",
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }  # fmt: skip


# Requests made up from it.


def sent(pipeline: "Pipeline", case: Made) -> requests.Response:
    """Send a case and hold the reply to the document, by schemathesis's reading of it and by ours."""
    made = requests.Request(**case.as_transport_kwargs(pipeline.url)).prepare()
    return _held(pipeline, case, made)


def sent_signed(pipeline: "Pipeline", case: Made, connection: Connection) -> requests.Response:
    """Send a case's body as a delivery of the connection, signed over its bytes."""
    case.path_parameters = {"provider": connection.provider, "connection_id": str(connection.id)}
    made = requests.Request(**case.as_transport_kwargs(pipeline.url)).prepare()
    body = made.body.encode() if isinstance(made.body, str) else made.body or b""
    made.headers.update(sign(connection.scheme, uuid4().hex, body, SECRET, datetime.now(UTC)))
    return _held(
        pipeline, case, made, without=[ignored_auth]
    )  # it would have us refuse a signature that is ours


def _held(
    pipeline: "Pipeline", case: Made, made: requests.PreparedRequest, *, without: Sequence[CheckFunction] = ()
) -> requests.Response:
    response = pipeline.session.send(made, timeout=SLOWEST_S)
    case.validate_response(response, excluded_checks=list(without))
    path = unquote(urlsplit(str(made.url)).path)
    reply = Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.content)
    assert fault(case.method, path, reply) is None
    return response


made_up = settings(max_examples=40, suppress_health_check=list(HealthCheck))
MADE_UP = [
    pytest.param(operation, mode, id=f"{operation.label} {mode.value}")
    for operation in OPERATIONS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or operation.method == "post"  # the others have nothing to get wrong
]


@pytest.mark.parametrize(("operation", "mode"), MADE_UP)
def test_made_up_requests_get_documented_replies(
    pipeline: "Pipeline", operation: Operation, mode: GenerationMode
) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @made_up
    def holds(case: Made) -> None:
        assert sent(pipeline, case).status_code < 500

    holds()


@pytest.mark.parametrize("scheme", get_args(Scheme))
def test_made_up_deliveries_are_accepted_when_they_are_signed(pipeline: "Pipeline", scheme: Scheme) -> None:
    connection = pipeline.connection(scheme=scheme)

    @given(case=SCHEMA[WEBHOOK]["POST"].as_strategy(generation_mode=GenerationMode.POSITIVE))
    @made_up
    def holds(case: Made) -> None:
        assert sent_signed(pipeline, case, connection).status_code == 202

    holds()


# What is hardly HTTP, over a socket. Nobody may have two requests counted where another counts one.

LIVE = b"GET /_health/live HTTP/1.1\r\nHost: x\r\n\r\n"


def post(headers: bytes = b"", body: bytes = b"", *, content_type: bytes = b"text/plain") -> bytes:
    """Return an unsigned delivery: a reply of 401 means that all of it was read as one request."""
    path = WEBHOOK.format(provider="acme", connection_id=uuid4()).encode()
    return b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\n%b\r\n%b" % (
        path,
        content_type,
        headers,
        body,
    )


def length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(body)


CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"0\r\n\r\n" + LIVE
REFUSED = {
    "length and chunks": post(length(SMUGGLED) + CHUNKED, SMUGGLED),
    "chunks and length": post(CHUNKED + b"Content-Length: 4\r\n", b"2a\r\n" + LIVE + b"\r\n0\r\n\r\n"),
    "two lengths": post(b"Content-Length: 0\r\n" + length(LIVE), LIVE),
    "the same length twice": post(length(b"{}") * 2, b"{}"),
    "a list of lengths": post(b"Content-Length: 2, 2\r\n", b"{}"),
    "a length with a sign": post(b"Content-Length: +2\r\n", b"{}"),
    "a length below zero": post(b"Content-Length: -1\r\n", b"{}"),
    "a length in hex": post(b"Content-Length: 0x2\r\n", b"{}"),
    "a length beyond numbers": post(b"Content-Length: %b\r\n" % (b"9" * 30), b"{}"),
    "an empty length": post(b"Content-Length: \r\n", b"{}"),
    "a space before the colon": post(b"Transfer-Encoding : chunked\r\n", SMUGGLED),
    "an unknown coding": post(b"Transfer-Encoding: xchunked\r\n", SMUGGLED),
    "chunks that are not last": post(b"Transfer-Encoding: chunked, identity\r\n", SMUGGLED),
    "chunks twice": post(CHUNKED * 2, SMUGGLED),
    "chunks and another": post(CHUNKED + b"Transfer-Encoding: identity\r\n", SMUGGLED),
    "a vertical tab": post(b"Transfer-Encoding:\x0bchunked\r\n", SMUGGLED),
    "a folded coding": post(b"Transfer-Encoding:\r\n chunked\r\n", SMUGGLED),
    "a folded header": post(b"X-A: a\r\n b\r\n" + length(b"{}"), b"{}"),
    "a carriage return in a value": post(b"X-A: a\rb\r\n" + length(b"{}"), b"{}"),
    "lines that end in line feeds": post(length(b"{}"), b"{}").replace(b"\r\n", b"\n"),
    "a NUL in a value": post(b"X-A: a\x00b\r\n" + length(b"{}"), b"{}"),
    "a header without a colon": post(b"X-A\r\n" + length(b"{}"), b"{}"),
    "a header without a name": post(b": a\r\n" + length(b"{}"), b"{}"),
    "a name of odd letters": post(b"X(\xe9): a\r\n" + length(b"{}"), b"{}"),
    "a chunk beyond numbers": post(CHUNKED, b"f" * 20 + b"\r\n{}\r\n" + SMUGGLED),
    "a chunk below zero": post(CHUNKED, b"-2\r\n{}\r\n" + SMUGGLED),
    "a chunk in 0x": post(CHUNKED, b"0x2\r\n{}\r\n" + SMUGGLED),
    "a chunk without its end": post(CHUNKED, b"2\r\n{}X" + SMUGGLED),
    "chunks that end in line feeds": post(CHUNKED, b"2\n{}\n0\n\n"),
    "a folded trailer": post(CHUNKED, b"2\r\n{}\r\n0\r\nX: a\r\n b\r\n\r\n" + LIVE),
    "a path of 100,000 letters": LIVE.replace(b"live", b"l" * 100_000),
    "a path with a byte that is no letter": LIVE.replace(b"live", b"l\xffve"),
    "a query with a byte that is no letter": LIVE.replace(b"live", b"live?\xff"),
    "a path with a space": LIVE.replace(b"live", b"li ve"),
    "a tunnel": b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no method of HTTP": LIVE.replace(b"GET", b"GOT"),
    "a method in small letters": LIVE.replace(b"GET", b"get"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/3.0": LIVE.replace(b"1.1", b"3.0"),
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(100),
    "every byte": bytes(range(256)) * 4,
}
OVERSIZED = LIVE + b"x" * (MAX_BODY_BYTES + 1 - len(LIVE))
ANSWERED = {
    "200 headers": (post(b"".join(b"X-%d: a\r\n" % n for n in range(200)) + length(b"{}"), b"{}"), [401]),
    "a header of a megabyte": (post(b"X-A: %b\r\n" % (b"a" * 1_000_000) + length(b"{}"), b"{}"), [401]),
    "a name of a megabyte": (post(b"X" * 1_000_000 + b": a\r\n" + length(b"{}"), b"{}"), [401]),
    "values of any letter": (post(b"X-A: \xe9\xff\t\r\n" + length(b"{}"), b"{}"), [401]),
    "a long chunk extension": (post(CHUNKED, b"2;%b\r\n{}\r\n" % (b"a" * 100_000) + b"0\r\n\r\n"), [401]),
    "trailers": (post(CHUNKED, b"2\r\n{}\r\n0\r\nWebhook-Id: x\r\n\r\n"), [401]),
    "compressed in transfer": (post(b"Transfer-Encoding: gzip, chunked\r\n", SMUGGLED), [415, 200]),
    "an upgrade": (post(b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + length(b"{}"), b"{}"), [401]),
    "another host's address": (LIVE.replace(b"GET /", b"GET http://evil/"), [200]),
    "two hosts": (LIVE.replace(b"Host: x", b"Host: x\r\nHost: y"), [200]),
    "no host": (LIVE.replace(b"Host: x\r\n", b""), [200]),
    "HTTP/1.0": (LIVE.replace(b"1.1", b"1.0"), [200]),
    "chunks over HTTP/1.0": (post(CHUNKED, SMUGGLED).replace(b"HTTP/1.1", b"HTTP/1.0", 1), [401]),
    "empty lines first": (b"\r\n" * 1000 + LIVE, [200]),
    "a star for a path": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "a method of files": (LIVE.replace(b"GET", b"PROPFIND"), [405]),
    "a body with GET": (
        LIVE.replace(b"\r\n\r\n", b"\r\n" + length(LIVE) + b"\r\n") + LIVE + LIVE,
        [200, 200],
    ),
    "one after the other": (post(length(b"{}"), b"{}") + LIVE + post(length(b"{}"), b"{}"), [401, 200, 401]),
    "a request in a refused body": (post(length(LIVE), LIVE, content_type=b"a/b") + LIVE, [415, 200]),
    "a request in a refused chunk": (
        post(CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(LIVE), LIVE), content_type=b"a/b") + LIVE,
        [415, 200],
    ),
    "a request in a body over the limit": (post(length(OVERSIZED), OVERSIZED) + LIVE, [413, 200]),
}


@dataclass(frozen=True)
class Heard:
    """closed: whether the server ended the connection."""

    replies: Sequence[Reply]
    closed: bool

    @property
    def statuses(self) -> list[int]:
        return [reply.status for reply in self.replies]


@contextmanager
def connected(pipeline: "Pipeline") -> Iterator[socket.socket]:
    host, port = pipeline.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=SLOWEST_S) as client:
        yield client


def said(pipeline: "Pipeline", request: bytes, *, expected: int = 1) -> Heard:
    """Send bytes; return every reply that comes until the server is done or idle."""
    received = b""
    with connected(pipeline) as client:
        client.sendall(request)
        while chunk := _more(client, patiently=len(replies_in(received)) < expected):
            received += chunk
    return Heard(replies_in(received), closed=chunk == b"")


def _more(client: socket.socket, *, patiently: bool) -> bytes | None:
    """Return what comes next, nothing at the end, None where the server waits for us."""
    client.settimeout(SLOWEST_S if patiently else IDLE_S)
    try:
        return client.recv(65_536)
    except TimeoutError:
        assert not patiently, f"no reply in {SLOWEST_S} s"
        return None


def replies_in(received: bytes) -> list[Reply]:
    """Return the whole replies among the bytes."""
    replies = []
    while b"\r\n\r\n" in received:
        head, _, rest = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("ascii").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        size = int(headers.get("content-length", len(rest)))
        if len(rest) < size:
            break
        replies.append(Reply(int(status.split()[1]), headers, rest[:size]))
        received = rest[size:]
    return replies


@pytest.fixture(scope="module")
def unharmed(pipeline: "Pipeline") -> Iterator[None]:
    """Afterwards the same process serves, nothing of it was published, and each line it logged is one of JSON."""
    pids = pipeline.threaded.runtime.host_pids()
    before = pipeline.log_file.stat().st_size
    yield
    assert pipeline.threaded.runtime.host_pids() == pids
    assert said(pipeline, LIVE).statuses == [200]
    with pipeline.log_file.open("rb") as log:
        log.seek(before)
        lines = [json.loads(line) for line in log.read().splitlines()]
    ours = [line for line in lines if line.get("function", "receive_webhook") == "receive_webhook"]
    assert not [line for line in ours if line["severity"] in {"ERROR", "CRITICAL"}]
    assert not [line for line in ours if line["event"] == "webhook.accepted"]


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED)
def test_what_two_servers_could_read_differently_is_refused_and_the_connection_closed(
    pipeline: "Pipeline", request_: bytes
) -> None:
    heard = said(pipeline, request_)
    assert heard.statuses == [400]
    assert heard.closed
    assert fault("POST", "/", heard.replies[0]) is None


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(("request_", "statuses"), ANSWERED.values(), ids=ANSWERED)
def test_a_request_ends_where_it_says_and_the_next_one_begins_there(
    pipeline: "Pipeline", request_: bytes, statuses: list[int]
) -> None:
    heard = said(pipeline, request_, expected=len(statuses))
    assert heard.statuses == statuses


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("after", [0, 20, 300, 5_000])
def test_a_sender_that_hangs_up_half_way_leaves_nothing_behind(pipeline: "Pipeline", after: int) -> None:
    body = b"x" * 100_000
    for headers in (length(body), CHUNKED):
        with connected(pipeline) as client:
            client.sendall(post(headers, body)[:after])
    assert said(pipeline, LIVE).statuses == [200]


@pytest.mark.usefixtures("unharmed")
def test_a_sender_that_asks_first_is_told_to_go_on(pipeline: "Pipeline") -> None:
    with connected(pipeline) as client:
        client.sendall(post(length(b"{}") + b"Expect: 100-continue\r\n"))
        assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        received = b""
        while not (replies := replies_in(received)):  # head and body may come apart
            received += client.recv(65_536)
        assert [reply.status for reply in replies] == [401]


@pytest.mark.usefixtures("unharmed")
def test_idle_and_trickling_senders_do_not_keep_others_waiting(pipeline: "Pipeline") -> None:
    with ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(connected(pipeline))
            client.sendall(post(length(b"x" * 1000), b"x"))
        started = time.monotonic()
        assert said(pipeline, LIVE).statuses == [200]
        assert time.monotonic() - started < SLOWEST_S


@pytest.mark.usefixtures("unharmed")
@given(junk=st.binary(max_size=200), place=st.sampled_from(["line", "headers", "body"]))
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_any_bytes_get_a_documented_reply_or_none(pipeline: "Pipeline", junk: bytes, place: str) -> None:
    """Junk in each part of a request; what ends too early waits for more, and is given up by the sender."""
    request = {
        "line": junk + b"\r\n\r\n",
        "headers": post(junk + b"\r\n" + length(b"")),
        "body": post(CHUNKED, junk),
    }
    with connected(pipeline) as client:
        client.sendall(request[place])
        client.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := client.recv(65_536):
            received += chunk
    delivery = WEBHOOK.format(provider="acme", connection_id=uuid4())
    for reply in replies_in(received):
        assert reply.status < 500
        assert None in {fault("POST", path, reply) for path in (delivery, "/_health/live", "/")}
