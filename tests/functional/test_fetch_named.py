"""What senders only name is fetched from a real server on this machine and takes effect once."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.workspace import announce, withdraw
from shared.adapters.fetching import HttpFetcher
from shared.adapters.postgres.fetches import PostgresFetchList
from shared.handlers.fetch_address import RETRY_AFTER
from shared.handlers.fetch_named import LEASE_S, Attempt, Fetching, fetch_named
from shared.ports.connections import Connection
from shared.ports.fetching import Fetched
from shared.runtime.errors import TransientError
from shared.runtime.settings import to_environment

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

SAMPLES = Path(__file__).parents[1] / "fixtures" / "webhooks"
TOKEN = "a-token-of-theirs"


@dataclass
class Sender:
    """A sender's server: what it gives, by path, and what it was asked with which credential."""

    resources: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def serve(self) -> Iterator["Sender"]:
        sender = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                sender.asked.append((self.path, self.headers.get("Authorization", "")))
                status, content_type, body = sender.resources.get(self.path, (404, "", b""))
                self.send_response(status)
                self.send_header("Location" if status == 302 else "Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server has it
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        yield self
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


@pytest.fixture
def sender() -> Iterator[Sender]:
    yield from Sender().serve()


@dataclass
class Named:
    """One connection whose sender named something."""

    pipeline: "Pipeline"
    connection: Connection
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def clock(self) -> datetime:
        return self.now

    def fetching(self) -> Fetching:
        parts = self.pipeline.app
        return Fetching(
            named=PostgresFetchList(self.pipeline.operator),
            fetcher=HttpFetcher("any", timeout_s=5.0),
            secrets=parts.secret_store,
            publisher=parts.publisher,
            payloads=parts.payloads,
            clock=self.clock,
        )

    def run(self, fetching: Fetching | None = None) -> list[Attempt]:
        return asyncio.run(fetch_named([self.connection], most=100, fetching=fetching or self.fetching()))

    def tasks(self) -> list[Any]:
        return self.pipeline.rows(
            "SELECT * FROM fetch_tasks WHERE customer_id = CAST(:c AS uuid) ORDER BY reference",
            c=str(self.connection.customer_id),
        )

    def claims(self) -> list[Any]:
        return self.pipeline.rows(
            "SELECT claim_number, status, paid_cents FROM claims WHERE customer_id = CAST(:c AS uuid)"
            " ORDER BY claim_number",
            c=str(self.connection.customer_id),
        )


def connect(pipeline: "Pipeline", url: str, *, format_: str) -> Named:
    connection = pipeline.connection(
        provider="sender", format=format_, fetch_url=url, fetch_secret_name=f"fetch-{uuid4()}"
    )
    pipeline.app.secret_store.add_version(connection.fetch_secret_name, TOKEN)  # type: ignore[attr-defined]
    return Named(pipeline, connection)


def notification(focus: str) -> bytes:
    """Return an id-only notification of one event."""
    parts = [
        {"name": "event-number", "valueString": "1"},
        {"name": "timestamp", "valueInstant": "2026-11-20T10:00:00Z"},
        {"name": "focus", "valueReference": {"reference": focus}},
    ]
    status = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "subscription", "valueReference": {"reference": "Subscription/1"}},
            {"name": "type", "valueCode": "event-notification"},
            {"name": "notification-event", "part": parts},
        ],
    }
    entry = {"resource": status, "request": {"method": "GET", "url": "Subscription/1/$status"}}
    return json.dumps({"resourceType": "Bundle", "type": "history", "entry": [entry]}).encode()


@pytest.fixture
def named(pipeline: "Pipeline", sender: Sender) -> Named:
    """Return a connection whose FHIR server named one response and has it."""
    found = connect(pipeline, f"{sender.url}/r4", format_="auto")
    body = (SAMPLES / "fhir-claimresponse" / "fhir__ClaimResponse-R3500.json").read_bytes()
    sender.resources["/r4/ClaimResponse/R3500"] = (200, "application/fhir+json", body)
    reply = pipeline.send(
        found.connection, notification("ClaimResponse/R3500"), content_type="application/fhir+json"
    )
    assert reply.status == 202
    assert pipeline.drained()
    return found


def test_a_resource_that_was_only_named_is_fetched_and_takes_effect_once(
    named: Named, sender: Sender
) -> None:
    assert [(t["state"], t["attempts"], t["connection_id"]) for t in named.tasks()] == [
        ("waiting", 0, str(named.connection.id))
    ]
    assert named.claims() == []
    [attempt] = named.run()
    assert attempt.event_id is not None
    assert sender.asked == [("/r4/ClaimResponse/R3500", f"Bearer {TOKEN}")]
    assert named.pipeline.drained()
    [task] = named.tasks()
    assert (task["state"], task["code"], task["fetched_event_id"]) == ("fetched", "", attempt.event_id)
    after = named.claims()
    assert len(after) == 1
    assert named.run() == []
    assert len(sender.asked) == 1


def test_a_fetch_that_was_killed_after_it_published_takes_effect_once(named: Named) -> None:
    class LostList(PostgresFetchList):
        """Dies before it can note what was fetched."""

        def fetched(self, *_: object, **__: object) -> None:
            raise TransientError("unavailable", "killed here")

    lost = replace(named.fetching(), named=LostList(named.pipeline.operator))
    with pytest.raises(TransientError):
        named.run(lost)
    assert named.run() == []  # the lease of the one that was killed
    named.now += timedelta(seconds=LEASE_S)
    [attempt] = named.run()
    assert attempt.event_id is not None
    assert named.pipeline.drained()
    assert len(named.claims()) == 1
    taken = named.pipeline.rows(
        "SELECT consumer FROM inbox WHERE event_id = CAST(:id AS uuid)", id=str(attempt.event_id)
    )
    assert [row["consumer"] for row in taken] == ["process_webhook"]


def test_a_server_that_is_away_is_asked_again_later_and_in_the_end_given_up(
    named: Named, sender: Sender
) -> None:
    sender.resources["/r4/ClaimResponse/R3500"] = (503, "", b"")
    for wait in RETRY_AFTER:
        [attempt] = named.run()
        assert (attempt.code, attempt.given_up) == ("fetch_failed", False)
        assert named.run() == []
        named.now += wait
    [last] = named.run()
    assert last.given_up
    [task] = named.tasks()
    assert (task["state"], task["attempts"], task["code"]) == (
        "given_up",
        len(RETRY_AFTER) + 1,
        "fetch_failed",
    )
    named.now += timedelta(days=30)
    assert named.run() == []


def test_a_reference_that_leads_elsewhere_is_given_up_unasked(
    pipeline: "Pipeline", named: Named, sender: Sender
) -> None:
    pipeline.send(
        named.connection, notification(f"{sender.url}/admin/secrets"), content_type="application/fhir+json"
    )
    assert pipeline.drained()
    codes = {attempt.code for attempt in named.run()}
    assert codes == {"", "no_address"}
    assert [path for path, _ in sender.asked] == ["/r4/ClaimResponse/R3500"]


def test_a_connection_that_says_no_address_is_left_to_wait(named: Named) -> None:
    named.connection = replace(named.connection, fetch_url="")
    assert named.run() == []
    assert [task["attempts"] for task in named.tasks()] == [0]


def test_a_stedi_transaction_is_read_from_where_its_api_sends_us(
    pipeline: "Pipeline", sender: Sender
) -> None:
    found = connect(pipeline, f"{sender.url}/2023-08-01", format_="stedi")
    whole = (SAMPLES / "x12-835" / "x12-types__X221-multiple-claims-single-check.edi").read_bytes()
    bare = whole[whole.index(b"ST*") : whole.index(b"GE*")]
    document = f"{sender.url}/documents/1?signed=yes"
    sender.resources["/2023-08-01/transactions/t-1/input"] = (302, document, b"{}")
    sender.resources["/documents/1?signed=yes"] = (200, "application/edi-x12", bare)
    event = {
        "id": "evt-1",
        "type": "transaction.processed.v2",
        "createdAt": "2026-11-20T10:00:00Z",
        "relatedResources": [{"type": "transaction.x12.835", "id": "t-1"}],
    }
    pipeline.send(found.connection, json.dumps(event).encode(), content_type="application/json")
    assert pipeline.drained()
    [attempt] = found.run()
    assert attempt.code == ""
    assert sender.asked == [("/2023-08-01/transactions/t-1/input", TOKEN), ("/documents/1?signed=yes", "")]
    assert pipeline.drained()
    payments = pipeline.rows(
        "SELECT id FROM claim_payments WHERE customer_id = CAST(:c AS uuid)",
        c=str(found.connection.customer_id),
    )
    assert len(payments) == whole.count(b"CLP*") == 9


def test_two_that_fetch_at_once_ask_once(named: Named, sender: Sender) -> None:
    async def both() -> list[list[Attempt]]:
        one = fetch_named([named.connection], most=100, fetching=named.fetching())
        other = fetch_named([named.connection], most=100, fetching=named.fetching())
        return list(await asyncio.gather(one, other))

    assert sorted(len(found) for found in asyncio.run(both())) == [0, 1]
    assert len(sender.asked) == 1


def test_nothing_of_it_is_fetched_for_another_customer(named: Named, sender: Sender) -> None:
    named.connection = replace(named.connection, customer_id=named.pipeline.customer())
    [attempt] = named.run()
    assert (attempt.code, attempt.given_up) == ("no_address", True)
    assert sender.asked == []


# The command.


@pytest.fixture
def home(pipeline: "Pipeline") -> Iterator[Path]:
    runtime = pipeline.threaded.runtime
    environment = to_environment(runtime.settings)
    home = runtime.settings.home
    announce(home, url=runtime.url, host_pids=runtime.host_pids(), environment=environment, ready=True)
    yield home
    withdraw(home)


def run(home: Path, *words: str, stdin: str | None = None) -> str:
    result = CliRunner().invoke(app, [*words, "--home", str(home)], input=stdin)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_the_command_lists_connects_and_fetches(named: Named, home: Path, sender: Sender) -> None:
    connection = str(named.connection.id)
    run(home, "fetch", "connect", connection, "--url", "")
    [task] = named.tasks()

    def attempts() -> list[str]:
        found = json.loads(run(home, "fetch", "run", "--json"))
        return [one["code"] for one in found if one["fetch_id"] == str(task["id"])]  # other tests left some

    assert attempts() == []
    listed = [e for e in json.loads(run(home, "fetch", "list", "--json")) if e["id"] == str(task["id"])]
    assert [(e["state"], e["connection_id"]) for e in listed] == [("waiting", connection)]
    assert "R3500" not in run(home, "fetch", "list")
    run(home, "fetch", "connect", connection, "--url", f"{sender.url}/r4", "--token", stdin="fresh-token\n")
    assert attempts() == [""]
    assert sender.asked == [("/r4/ClaimResponse/R3500", "Bearer fresh-token")]
    assert "fetched" in run(home, "fetch", "list", "--state", "fetched")


def test_what_is_fetched_is_shown_nowhere() -> None:
    assert "body" not in repr(Fetched(b"patient", "text/plain"))
