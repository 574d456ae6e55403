"""An OpenTelemetry collector's receiving end: OTLP over HTTP, in the protocol's own messages."""

import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import monotonic, sleep
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Received:
    """One span as it arrived. parent: its id, empty for a root."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    kind: int
    attributes: Mapping[str, str]
    links: tuple[str, ...]
    failed: bool
    resource: Mapping[str, str]


@dataclass
class Collector:
    """Takes spans at `endpoint`, and anything else at `url`."""

    url: str = ""
    spans: list[Received] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"{self.url}/v1/traces"

    def take(self, body: bytes) -> None:
        self.raw.append(body)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _members(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [_received(span, resource) for span in scope.spans]

    def of(self, trace_id: str, *, at_least: int = 0, within_s: float = 20.0) -> list[Received]:
        """Return a trace's spans, once there are so many of them."""
        deadline = monotonic() + within_s
        while True:
            found = [span for span in list(self.spans) if span.trace_id == trace_id]
            if len(found) >= at_least or monotonic() > deadline:
                return found
            sleep(0.05)


def _received(span: Any, resource: Mapping[str, str]) -> Received:  # noqa: ANN401 - a generated message
    return Received(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.kind,
        _members(span.attributes),
        tuple(link.span_id.hex() for link in span.links),
        span.status.code == span.status.STATUS_CODE_ERROR,
        resource,
    )


def _members(attributes: Any) -> Mapping[str, str]:  # noqa: ANN401 - a generated message
    return {one.key: one.value.string_value for one in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Listen on loopback."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.headers.append({name.lower(): value for name, value in self.headers.items()})
            if self.path == "/v1/traces":
                found.take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
