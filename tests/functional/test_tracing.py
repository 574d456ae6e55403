"""One trace from a payer's POST to the last hop, read off the wire, and the same tree as `upstream trace` tells."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from local.runtime import LocalRuntime, listen
from local.threaded import ThreadedRuntime
from shared.adapters.postgres.history import PostgresHistory
from shared.domain.events import trace_id
from shared.rules.documents import from_yaml
from shared.rules.loader import PACKS
from shared.runtime import spans
from shared.runtime.errors import TransientError
from shared.runtime.settings import Settings, to_environment
from shared.runtime.telemetry import Telemetry
from tests.collector import Collector, Received, collecting
from tests.functional.action_desk import PASSWORD, Desk
from tests.functional.conftest import Pipeline
from tests.functional.test_no_patient_data import BODIES, GOOD, SECRETS

ROOT = Path(__file__).parents[2]
FIRST = "b7ad6b7169203331"
RULE: Any = from_yaml((PACKS / "denial-over-amount.yaml").read_text())[0]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    home = tmp_path_factory.mktemp("traced")
    settings = Settings(home=home, traces="otlp", traces_endpoint=collector.endpoint, release="4f2e1c0")
    log_file = home / "functions.log"
    runtime = LocalRuntime(settings, hosts=2, retry_scale=0.005, log_file=log_file)
    with ThreadedRuntime(runtime) as threaded:
        running = Pipeline(threaded, log_file)
        yield running
        running.session.close()
        for engine in (running.operator, running.owner, running.app.engine, running.app.local_engine):
            engine.dispose()


@pytest.fixture
def connected(traced: Pipeline, collector: Collector) -> tuple[UUID, str]:
    """Return a customer that is told of denials, and a new trace's id."""
    traced.app.secret_store.add_version("hook-traced", "whsec_" + "Q" * 43 + "=")  # type: ignore[attr-defined]
    channel = {
        "id": "hook",
        "kind": "webhook",
        "target": f"{collector.url}/hook",
        "secret_name": "hook-traced",
    }
    customer = traced.customer("Traced", [channel])
    traced.rule(customer, RULE)
    return customer, uuid4().hex


def parents(found: list[Received]) -> Counter[tuple[str, str]]:
    names = {span.span_id: span.name for span in found}
    return Counter((span.name, names.get(span.parent, span.parent)) for span in found)


def test_one_trace_leads_from_the_payers_post_to_the_customers_endpoint(
    traced: Pipeline, collector: Collector, connected: tuple[UUID, str]
) -> None:
    customer, trace = connected
    reply = traced.send(
        traced.connection(customer), GOOD.encode(), headers={"traceparent": f"00-{trace}-{FIRST}-00"}
    )
    assert reply.status == 202
    assert traced.drained()
    found = collector.of(trace, at_least=11)
    assert parents(found) == {
        ("receive_webhook", FIRST): 1,
        ("claim_key", "receive_webhook"): 1,
        ("publish", "receive_webhook"): 1,
        ("process_webhook", "receive_webhook"): 1,
        ("transaction", "process_webhook"): 1,
        ("publish", "process_webhook"): 1,
        ("apply_rules", "process_webhook"): 1,
        ("transaction", "apply_rules"): 1,
        ("publish", "apply_rules"): 1,
        ("notify", "apply_rules"): 1,
        ("transaction", "notify"): 1,
    }
    assert not any(span.failed for span in found)
    kinds = {span.name: span.kind for span in found}
    assert (kinds["receive_webhook"], kinds["publish"], kinds["notify"]) == (2, 4, 5)
    assert {span.resource["service.version"] for span in found} == {"4f2e1c0"}


def test_the_spans_are_the_tree_that_upstream_trace_shows(
    traced: Pipeline, collector: Collector, connected: tuple[UUID, str]
) -> None:
    customer, trace = connected
    body = GOOD.replace("PHI-1", "PHI-7").encode()
    traced.send(traced.connection(customer), body, headers={"traceparent": f"00-{trace}-{FIRST}-01"})
    assert traced.drained()
    found = collector.of(trace, at_least=11)
    by_id = {span.span_id: span for span in found}
    functions = [span for span in found if "function" in span.attributes]
    caused = {
        span.attributes["event_id"]: by_id[span.parent].attributes["event_id"]
        for span in functions
        if span.parent in by_id
    }
    (received,) = [span for span in functions if span.name == "receive_webhook"]
    story = list(PostgresHistory(traced.operator).story(UUID(received.attributes["event_id"])))
    told = {str(hop.event_id): str(hop.parent_id) for hop in story if hop.parent_id is not None}
    assert story[0].detail["trace_id"] == trace
    told |= {event: event for event in caused if event == received.attributes["event_id"]}
    assert caused == told
    assert len(caused) == 3


def test_without_a_payers_trace_ours_begins_with_the_delivery(
    traced: Pipeline, collector: Collector, connected: tuple[UUID, str]
) -> None:
    customer, _ = connected
    reply = traced.send(traced.connection(customer), GOOD.replace("PHI-1", "PHI-8").encode())
    assert traced.drained()
    (row,) = traced.rows(
        "SELECT trace_id FROM inbox WHERE event_id = CAST(:e AS uuid)", e=reply.body["event_id"]
    )
    found = collector.of(row["trace_id"], at_least=11)
    assert [span.name for span in found if not span.parent] == ["receive_webhook"]
    assert len(found) == 11


def test_events_that_share_a_transaction_are_linked_to_it(
    traced: Pipeline, collector: Collector, connected: tuple[UUID, str]
) -> None:
    """A file of many claims: their events arrive together, and one customer's are decided in one transaction."""
    customer, trace = connected
    head, rest = GOOD.split("CLP*PHI-1")
    one = "CLP*PHI-1" + rest.split("SE*")[0]
    many = "".join(one.replace("PHI-1", f"MANY-{n}") for n in range(40))
    body = f"{head}{many}SE*{12 + 39 * 5}*0001~" + rest.split("SE*13*0001~")[1]
    traced.send(traced.connection(customer), body.encode(), headers={"traceparent": f"00-{trace}-{FIRST}-01"})
    assert traced.drained()
    found = collector.of(trace, at_least=120)
    deciding: set[str] = set()
    deadline = time.monotonic() + 20
    while len(deciding) < 40:  # of the last, what they share may be here before they are
        assert time.monotonic() < deadline
        time.sleep(0.05)
        found = collector.of(trace)
        deciding = {span.span_id for span in found if span.name == "apply_rules"}
    assert len(deciding) == 40
    shared = [span for span in found if span.name == "transaction" and span.parent in deciding]
    assert len(shared) < 40
    assert Counter(one for span in shared for one in (span.parent, *span.links)) == Counter(deciding)


def test_a_patients_data_is_in_no_span(
    traced: Pipeline, collector: Collector, connected: tuple[UUID, str]
) -> None:
    customer, trace = connected
    connection = traced.connection(customer)
    sent = {"traceparent": f"00-{trace}-{FIRST}-01", "X-Patient": "ZYXWVUTSON"}
    for body, content_type in BODIES:
        assert traced.send(connection, body.encode(), content_type=content_type, headers=sent).status == 202
    assert traced.drained()
    found = collector.of(trace, at_least=60)
    assert {span.attributes["code"] for span in found if span.failed} >= {
        "unreadable_payload",
        "unknown_format",
    }
    wire = b"".join(collector.raw).decode("latin-1")
    assert str(customer) in wire
    for secret in SECRETS:
        assert secret not in wire


def test_a_visit_to_a_portal_is_part_of_the_trace_down_to_its_confirmation(
    pipeline: Pipeline, collector: Collector, tmp_path: Path
) -> None:
    desk = Desk(pipeline, tmp_path)
    received = desk.request()
    telemetry = Telemetry(Settings(traces="otlp", traces_endpoint=collector.endpoint))
    spans.see(telemetry)
    trace = uuid4().hex
    try:
        with spans.entry("execute_action", "consumer", f"00-{trace}-{FIRST}-01", ids={}):
            desk.do(received)
        desk.portals.fail("commit", TransientError("timeout", PASSWORD))
        with (
            spans.entry("execute_action", "consumer", f"00-{trace}-{FIRST}-01", ids={}),
            suppress(TransientError),
        ):
            desk.do(desk.request(subject=f"claims/{desk.deny('C-2')}"))
    finally:
        spans.see()
        telemetry.close()
    found = collector.of(trace)
    names = parents(found)
    assert names["portal_visit", "execute_action"] == 2
    assert names["portal_commit", "portal_visit"] == 2
    assert names["portal_confirm", "portal_visit"] == 1
    (visit, _) = [span for span in found if span.name == "portal_visit"]
    assert visit.attributes == {"action_id": str(desk.row(received)["id"]), "portal": desk.payer}
    assert [s.attributes for s in found if s.name == "portal_commit" and s.failed] == [{"code": "timeout"}]
    assert PASSWORD not in b"".join(collector.raw).decode("latin-1")


def test_a_server_that_is_told_to_end_sends_the_spans_it_still_has(
    traced: Pipeline, collector: Collector, tmp_path: Path
) -> None:
    """As Cloud Run does with an instance: SIGTERM to the deployed server, right after a request."""
    trace = uuid4().hex
    with listen(0) as free:
        port = free.getsockname()[1]
    environment: Mapping[str, str] = {
        **os.environ,
        **to_environment(traced.threaded.runtime.settings),
        "FUNCTION_TARGET": "notify",
        "FUNCTION_USE_ASGI": "1",
        "PORT": str(port),
        "UPSTREAM_TRACES_BATCH_S": "600",  # so that no batch is due before the end
    }
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [str(Path(sys.executable).parent / "functions-framework")],
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            _until_it_answers(f"http://127.0.0.1:{port}/_health/live")
            requests.post(
                f"http://127.0.0.1:{port}/",
                data=b"no event",
                headers={"traceparent": f"00-{trace}-{FIRST}-01"},
                timeout=30,
            )
            server.terminate()
            assert server.wait(timeout=30) == 0, (tmp_path / "server.log").read_text()
        finally:
            server.kill()
            server.wait()
    (span,) = [one for one in collector.of(trace) if one.name == "notify"]
    assert (span.parent, span.attributes["code"]) == (FIRST, "invalid_event")


def _until_it_answers(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        with suppress(requests.ConnectionError):
            assert requests.get(url, timeout=5).status_code == 200
            return
        assert time.monotonic() < deadline, "the server did not come up"
        time.sleep(0.1)


def test_each_trace_id_of_the_log_is_that_of_a_trace(traced: Pipeline, collector: Collector) -> None:
    parent = f"00-{uuid4().hex}-{FIRST}-01"
    traced.send(traced.connection(), GOOD.encode(), headers={"traceparent": parent})
    assert traced.drained()
    assert f'"trace_id":"{trace_id(parent)}"' in traced.log_file.read_text()
    assert collector.of(trace_id(parent), at_least=5)
