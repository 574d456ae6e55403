"""One authorization's story: twenty days left, asked for in the payer's portal, looked at later, renewed, and told.

Everything is real but the payer: the job, the rules, Chromium, the simulated portal over HTTP, the chat that is told.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import pytest

from local.portal_site.site import PortalSite, portal_site
from local.portal_site.store import Account, AuthorizationFile
from local.runtime import LocalRuntime
from local.scheduler import LocalScheduler
from local.threaded import ThreadedRuntime
from shared.adapters.postgres.history import PostgresHistory
from shared.domain.claims import Authorization, Party, Patient
from shared.domain.events import trace_id
from shared.domain.ids import authorization_id, derive
from shared.domain.jobs import trace_of
from shared.portals.chromium import find_chromium
from shared.rules.loader import read_pack
from shared.runtime.settings import Settings
from tests.functional.conftest import Pipeline

TODAY = datetime.now(UTC).date()
OLD, NEW = "BC40077", "BC90001"


def slot(days: int) -> datetime:
    """Return 06:00 of a day from now: the job's own clock."""
    return datetime(TODAY.year, TODAY.month, TODAY.day, 6, tzinfo=UTC) + timedelta(days=days)


@dataclass
class Stage:
    pipeline: Pipeline
    scheduler: LocalScheduler
    site: PortalSite
    told: list[str]


@pytest.fixture(scope="module")
def chromium() -> str:
    found = find_chromium()
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs Chromium: apt-get install chromium")
        pytest.skip("no Chromium on this machine")
    return found


@pytest.fixture(scope="module")
def chat() -> Iterator[tuple[str, list[str]]]:
    """Where the customer is told: the address of a chat, and what came in."""
    told: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/chat", told
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def stage(
    chromium: str, chat: tuple[str, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("renewal")
    with portal_site() as site:
        settings = Settings(home=home, chromium=chromium, portal_sites=site.template)
        log_file: Path = home / "functions.log"
        runtime = LocalRuntime(settings, hosts=1, retry_scale=0.005, log_file=log_file)
        with ThreadedRuntime(runtime) as threaded:
            pipeline = Pipeline(threaded, log_file)
            yield Stage(pipeline, LocalScheduler(home, pipeline.url), site, chat[1])
            pipeline.session.close()
            pipeline.operator.dispose()
            pipeline.owner.dispose()
            pipeline.app.engine.dispose()
            pipeline.app.local_engine.dispose()


def practice(stage: Stage, chat: str) -> UUID:
    """Return a customer with the starter rules, credentials for the payer's portal, and a chat to be told on."""
    pipeline = stage.pipeline
    customer = pipeline.customer(
        "Story Practice", [{"id": "chat", "kind": "slack", "target": chat, "secret_name": ""}]
    )
    for draft in read_pack():
        pipeline.rule(customer, draft.document)
    account = Account("blue_cross", "story", "a-password-of-its-own")
    stage.site.open_account(account)
    held = json.dumps({"username": account.username, "password": account.password})
    pipeline.app.secret_store.add_version(f"{customer}-blue_cross-portal-credentials", held)  # type: ignore[attr-defined]
    return customer


def stated(days_left: int) -> Authorization:
    return Authorization(
        number=OLD, payer=Party("Blue Cross"), patient=Patient("Robin Example", "W200300400", date(1969, 5, 2)),
        procedure="97140", status="active", effective_on=TODAY - timedelta(days=150),
        expires_on=TODAY + timedelta(days=days_left), stated_on=TODAY,
    )  # fmt: skip


def fire(stage: Stage, days: int) -> None:
    stage.scheduler.fire("check_expiring_authorizations", slot(days))
    assert stage.pipeline.threaded.drained(timeout_s=90)


def rows(stage: Stage, query: str, customer: UUID) -> list[Any]:
    return stage.pipeline.rows(query, c=str(customer))


@pytest.mark.timeout(240)
def test_twenty_days_before_its_end_an_authorization_is_renewed_and_the_customer_told(
    stage: Stage, chat: tuple[str, list[str]]
) -> None:
    customer = practice(stage, chat[0])
    old = stated(20)
    key = authorization_id(customer, old)
    event = {
        "type": "authorization.stated", "number": OLD, "payer": {"name": "Blue Cross"},
        "patient": {"name": "Robin Example", "member_id": "W200300400"}, "procedure": "97140", "status": "active",
        "effective_on": str(old.effective_on), "expires_on": str(old.expires_on), "stated_on": str(TODAY),
    }  # fmt: skip
    sent = stage.pipeline.send(
        stage.pipeline.connection(customer), json.dumps(event).encode(), content_type="application/json"
    )
    assert sent.status == 202
    assert stage.pipeline.drained()

    # The 06:00 job: expiring, the customer's rule, Chromium, a reference.
    fire(stage, 0)
    fire(stage, 0)  # a late second firing
    (filed,) = stage.site.filed_about("blue_cross", "reauth", OLD)
    (action,) = rows(
        stage, "SELECT type, state, reference FROM actions WHERE customer_id = CAST(:c AS uuid)", customer
    )
    assert (action["type"], action["state"], action["reference"]) == (
        "submit_reauth_request", "settled", filed.reference,
    )  # fmt: skip
    assert stage.told == []  # nothing to tell yet

    # The payer decides, some days pass, and the job asks for a look.
    stage.site.decide_authorization(
        "blue_cross",
        OLD,
        AuthorizationFile(
            "Approved", NEW, str(TODAY + timedelta(days=21)), str(TODAY + timedelta(days=201)), units=24
        ),
    )
    fire(stage, 1)
    assert len(stage.site.submissions("blue_cross")) == 1  # a day later it is too early to look
    fire(stage, 3)
    renewed = {
        row["number"]: row
        for row in rows(
            stage,
            "SELECT number, effective_on, expires_on, units_authorized, state FROM authorizations"
            " WHERE customer_id = CAST(:c AS uuid)",
            customer,
        )
    }
    assert (renewed[NEW]["effective_on"], renewed[NEW]["expires_on"], renewed[NEW]["units_authorized"]) == (
        TODAY + timedelta(days=21), TODAY + timedelta(days=201), 24,
    )  # fmt: skip

    # The next morning the old one is renewed, and the customer hears of it after the fact.
    fire(stage, 4)
    states = rows(
        stage,
        "SELECT state, reason, since FROM authorization_states WHERE customer_id = CAST(:c AS uuid) ORDER BY ordinal",
        customer,
    )
    assert [(row["state"], row["reason"], (row["since"] - TODAY).days) for row in states] == [
        ("EXPIRING_SOON", "date", 0),
        ("RENEWED", "replaced", 4),
    ]
    assert len(stage.told) == 1
    assert "An authorization was renewed" in stage.told[0]
    assert len(stage.site.filed_about("blue_cross", "reauth", OLD)) == 1

    # One trace id tells it from the first warning to the message.
    first = derive(key, "authorization.expiring", old.expires_on, "date")
    story = list(PostgresHistory(stage.pipeline.operator).story(first))
    assert [
        hop.event_type for hop in story if hop.what == "apply_rules" and hop.event_type.startswith("auth")
    ] == [
        "authorization.expiring",
        "authorization.check_due",
        "authorization.decided",
        "authorization.renewed",
    ]
    done = [hop.detail["type"] for hop in story if hop.what == "action" and hop.outcome == "settled"]
    assert done == ["submit_reauth_request", "check_authorization_status", "notify"]
    assert [hop.outcome for hop in story if hop.what == "notification"] == ["delivered"]
    traces = rows(
        stage,
        "SELECT DISTINCT trace_id FROM executions WHERE customer_id = CAST(:c AS uuid)"
        " AND event_type <> 'authorization.decided'",
        customer,
    )
    assert [row["trace_id"] for row in traces] == [trace_id(trace_of(key))]
