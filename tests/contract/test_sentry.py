"""What leaves for Sentry, read off the wire: bugs met while patients' data was all around them."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SECRETS = ("ZYXWVUTSON", "QQ998877ZZ", "1981-04-17")
TRACE = "0af7651916cd43dd8448eb211c80319c"
SCRIPT = """
import asyncio, time
from starlette.requests import Request
from main import process_webhook, receive_webhook
from shared.runtime.bootstrap import app

class Broken:
    def __getattr__(self, name):
        patient = {"name": "ZYXWVUTSON"}
        raise ZeroDivisionError(f"of {patient}, born 1981-04-17")

class Slow:
    async def submit(self, received):
        member_id, until = "QQ998877ZZ", time.monotonic() + 0.3
        while time.monotonic() < until:
            pass
        raise KeyError(member_id) from ValueError(received.event.data)

def request(path, **headers):
    async def receive():
        return {"type": "http.request", "body": b"CLP*ZYXWVUTSON*QQ998877ZZ*1981-04-17", "more_body": False}
    sent = {"content-type": "text/plain", "traceparent": "00-TRACE-b7ad6b7169203331-01", **headers}
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in sent.items()]
    scope = {"type": "http", "method": "POST", "path": path, "headers": raw, "query_string": b"q=ZYXWVUTSON"}
    return Request(scope, receive)

part = app()
part.ingress, part.process_webhook = Broken(), Slow()
customer = "00000000-0000-0000-0000-0000000000c1"
event = dict(ce_id="00000000-0000-0000-0000-0000000000e1", ce_type="app.upstream.webhook.received", ce_source="/x",
    ce_time="2026-11-27T00:00:00Z", ce_specversion="1.0", ce_customerid=customer, ce_parentid=customer,
    ce_deliveryid="ZYXWVUTSON", cookie="ZYXWVUTSON")
async def all_of_it():
    replies = await asyncio.gather(
        receive_webhook(request("/v1/webhooks/QQ998877ZZ/ZYXWVUTSON")), process_webhook(request("/", **event)))
    assert [reply.status_code for reply in replies] == [500, 500], replies
asyncio.run(all_of_it())
""".replace("TRACE", TRACE)


@dataclass
class Receiver:
    """Takes envelopes as Sentry's ingest does. Source: Sentry developer documentation, "Envelopes"."""

    url: str = ""
    items: list[tuple[str, bytes]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        self.raw.append(body)
        _, _, rest = body.partition(b"\n")
        while rest.strip():
            head, _, rest = rest.partition(b"\n")
            header = json.loads(head)
            length = header.get("length", rest.index(b"\n") if b"\n" in rest else len(rest))
            self.items.append((header["type"], rest[:length]))
            rest = rest[length:].lstrip(b"\n")

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for found, payload in self.items if found == kind]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://public@127.0.0.1:{server.server_address[1]}/1"
    yield found
    server.shutdown()
    server.server_close()


def run(script: str, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SENTRY_")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def told(receiver: Receiver) -> list[dict[str, Any]]:
    """Return the log, with all that was sent received."""
    out = run(
        SCRIPT,
        SENTRY_DSN=receiver.url,
        UPSTREAM_SENTRY_SAMPLE_RATE="1",
        UPSTREAM_RELEASE="4f2e1c0",
        UPSTREAM_ENVIRONMENT="test",
    )
    return [json.loads(line) for line in out.splitlines()]


def test_a_bug_is_reported_by_its_kind_and_place_with_our_ids(
    receiver: Receiver, told: list[dict[str, Any]]
) -> None:
    assert len(told) == 2
    errors = {event["tags"]["function"]: event for event in receiver.of("event")}
    assert errors.keys() == {"receive_webhook", "process_webhook"}
    kinds = {name: [value["type"] for value in e["exception"]["values"]] for name, e in errors.items()}
    assert kinds == {"receive_webhook": ["ZeroDivisionError"], "process_webhook": ["ValueError", "KeyError"]}
    frames = errors["process_webhook"]["exception"]["values"][-1]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "submit"
    assert any(frame["filename"].endswith("consumer.py") for frame in frames)
    event = errors["process_webhook"]
    assert (event["release"], event["environment"]) == ("4f2e1c0", "test")
    assert event["tags"]["event_id"] == "00000000-0000-0000-0000-0000000000e1"
    assert event["tags"]["trace_id"] == event["contexts"]["trace"]["trace_id"] == TRACE


def test_requests_are_sampled_as_transactions_with_profiles_in_the_trace_of_the_audit_trail(
    receiver: Receiver, told: list[dict[str, Any]]
) -> None:
    assert told
    transactions = {one["transaction"]: one for one in receiver.of("transaction")}
    assert transactions.keys() == {"receive_webhook", "process_webhook"}
    for one in transactions.values():
        assert one["contexts"]["trace"]["trace_id"] == TRACE
        assert one["release"] == "4f2e1c0"
    profiles = [one for one in receiver.of("profile") if one["transactions"][0]["name"] == "process_webhook"]
    assert "Slow.submit" in {frame["function"] for frame in profiles[0]["profile"]["frames"]}


def test_nothing_on_the_wire_or_in_the_log_is_a_patients(
    receiver: Receiver, told: list[dict[str, Any]]
) -> None:
    sent = b"".join(receiver.raw).decode()
    assert "ZeroDivisionError" in sent
    for secret in SECRETS:
        assert secret not in sent
        assert secret not in json.dumps(told)
    for event in receiver.of("event"):
        assert not event.keys() & {
            "request",
            "user",
            "extra",
            "breadcrumbs",
            "logentry",
            "server_name",
            "modules",
        }
        for value in event["exception"]["values"]:
            assert value.keys() == {"type", "module", "stacktrace"}
            assert not any(
                "vars" in frame or "context_line" in frame for frame in value["stacktrace"]["frames"]
            )


def test_the_same_bugs_are_in_the_log_as_cloud_error_reporting_reads_them(told: list[dict[str, Any]]) -> None:
    by_function: Mapping[str, dict[str, Any]] = {line["function"]: line for line in told}
    line = by_function["process_webhook"]
    assert (line["event"], line["severity"], line["code"]) == ("event.failed", "CRITICAL", "unhandled")
    assert line["@type"].endswith("ReportedErrorEvent")
    assert line["serviceContext"] == {"service": "process_webhook", "version": "4f2e1c0"}
    assert line["context"]["reportLocation"]["functionName"] == "submit"
    assert line["stack_trace"].startswith("Traceback (most recent call last):\n")
    assert line["stack_trace"].endswith("KeyError\n")
    assert by_function["receive_webhook"]["severity"] == "CRITICAL"


def test_what_nobody_asked_for_is_not_loaded() -> None:
    loaded = "import sys\nfrom shared.runtime.bootstrap import app\napp()\nprint('sentry_sdk' in sys.modules)"
    assert run(loaded, SENTRY_DSN="") == "False\n"
