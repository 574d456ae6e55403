"""A worker is killed at every state of the ledger, with a real browser at work in a portal: nothing is doubled or lost.

What would take a lease or a portal's indexing to pass is made to have passed; everything else happens as it would.
"""

import json
import re
import signal
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psutil
import pytest

from local.portal_site.site import PortalSite, portal_site
from local.portal_site.store import Account
from local.runtime import LocalRuntime
from local.soak.trouble import is_dead
from local.threaded import ThreadedRuntime
from shared.adapters.postgres.action_desk import PostgresActionDesk
from shared.domain.events import Outgoing, Received
from shared.handlers.action_desk import publish_waiting, wake_actions
from shared.ports.clock import system_clock
from shared.runtime.crash_points import CRASH_POINTS
from shared.runtime.envelope import to_message
from shared.runtime.settings import Settings
from tests.functional.action_desk import PASSWORD, PATIENT, TOTP, Desk
from tests.functional.conftest import Pipeline

ENDED_WITHIN_S: Final = 90.0
PAYERS: Final = {"aetna": "aetna", "blue_cross": "blue-cross", "uhc": "uhc"}
PERSON = ("open", "unknown")

# point, consumer, portal: what is at stake differs by whether the portal echoes our reference (aetna) or not.
PLACES = [
    ("action.after_claim", "", "aetna"),
    ("action.before_committing", "", "aetna"),
    ("action.after_committing", "", "aetna"),
    ("action.after_committing", "", "blue_cross"),
    ("action.after_commit", "", "aetna"),
    ("action.after_commit", "", "blue_cross"),
    ("action.before_settle", "", "aetna"),
    ("consumer.in_transaction", "execute_action", "aetna"),
    ("consumer.after_commit", "execute_action", "aetna"),
]


@dataclass
class Office:
    """A pipeline with one worker process, simulated portals, and customers who each have an account."""

    pipeline: Pipeline
    site: PortalSite
    folder: Path

    @property
    def runtime(self) -> LocalRuntime:
        return self.pipeline.threaded.runtime

    def practice(self, portal: str) -> Desk:
        """Return a customer with a claim and an authorization at the portal's payer, and an account of its own."""
        number = uuid4().hex[:10]
        desk = Desk(self.pipeline, self.folder, payer=PAYERS[portal], number=number)
        secret = TOTP * 2 if portal == "uhc" else ""
        self.site.open_account(Account(portal, f"user-{number}", PASSWORD, secret))
        held = {"username": f"user-{number}", "password": PASSWORD, "totp_secret": secret}
        store: Any = self.pipeline.app.secret_store
        store.add_version(f"{desk.customer}-{portal}-portal-credentials", json.dumps(held))
        return desk

    def send(self, received: Received) -> None:
        message = to_message(Outgoing("portal-actions", replace(received.event, time=system_clock())))
        self.pipeline.threaded.run(self.pipeline.app.publisher.publish([message], timeout_s=5))

    def filed(self, desk: Desk) -> int:
        return sum(one.username == f"user-{desk.number}" for one in self.site.submissions())

    def until_ended(self, desk: Desk, received: Received) -> Mapping[str, Any]:
        """Keep the worker alive, let time pass where nobody works, and return the row once it has its result."""
        deadline = time.monotonic() + ENDED_WITHIN_S
        while time.monotonic() < deadline:
            self.keep_alive()
            row = desk.row(received)
            if row["ended_at"] is not None and self.pipeline.threaded.drained(timeout_s=1):
                return row
            if self.pipeline.threaded.drained(
                timeout_s=0.1
            ):  # no message: it is parked, or its worker is gone
                self.let_time_pass(received)
            time.sleep(0.1)
        pytest.fail(f"not ended: {desk.row(received)}")

    def keep_alive(self) -> None:
        for nth, pid in enumerate(self.runtime.host_pids()):
            if is_dead(pid):
                self.runtime.restart_host(nth)

    def let_time_pass(self, received: Received) -> None:
        """Have leases and indexing behind us, and the schedule send what is due."""
        action = json.loads(received.event.data)["action_id"]
        self.pipeline.execute(
            "UPDATE actions SET lease_expires_at = now() - interval '1 s', due_at = now() - interval '1 s',"
            " committed_at = committed_at - interval '1 hour', parked = true"
            " WHERE id = CAST(:id AS uuid) AND ended_at IS NULL",
            id=action,
        )
        self.pipeline.execute("UPDATE portal_seats SET lease_expires_at = '-infinity'")
        desk = PostgresActionDesk(self.pipeline.operator)
        wake_actions(desk=desk, now=system_clock())
        app = self.pipeline.app
        self.pipeline.threaded.run(publish_waiting(desk=desk, record=app.record, publisher=app.publisher))


@pytest.fixture(scope="module")
def office(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    home = tmp_path_factory.mktemp("office")
    manners = home / "manners.json"
    manners.write_text(json.dumps({"default": {"visits_per_min": 6000, "burst": 100}}))
    with portal_site(slow_s=8.0) as site:
        settings = Settings(
            home=home,
            chromium=chromium,
            portal_sites=site.template,
            portal_manners=str(manners),
            action_retry_scale=0.01,
        )
        runtime = LocalRuntime(settings, hosts=1, retry_scale=0.01, log_file=home / "functions.log")
        with ThreadedRuntime(runtime) as threaded:
            pipeline = Pipeline(threaded, home / "functions.log")
            yield Office(pipeline, site, home)
            pipeline.session.close()
            for engine in (pipeline.operator, pipeline.owner, pipeline.app.engine, pipeline.app.local_engine):
                engine.dispose()
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(home) in " ".join(p.info["cmdline"] or [])]


@pytest.mark.parametrize(("point", "consumer", "portal"), PLACES, ids=str)
def test_killed_there_the_portal_has_one_submission_and_the_ledger_its_number(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, consumer: str, portal: str
) -> None:
    marker = tmp_path / "fired"
    monkeypatch.setenv("UPSTREAM_CRASH_AT", f"{point}:{consumer}" if consumer else point)
    monkeypatch.setenv("UPSTREAM_CRASH_MARKER", str(marker))
    office.runtime.restart_host(0)
    monkeypatch.delenv("UPSTREAM_CRASH_AT")
    desk = office.practice(portal)
    received = desk.request()
    office.send(received)
    row = office.until_ended(desk, received)
    assert marker.exists()
    assert row["state"] == "settled"
    assert office.filed(desk) == 1
    [held] = [one for one in office.site.submissions() if one.username == f"user-{desk.number}"]
    assert row["reference"] == held.reference
    outcomes = [
        m
        for m in desk.rows("outbox")
        if m["event_type"].startswith("action.") and m["topic"] == "domain-events"
    ]
    assert [m["event_type"] for m in outcomes] == ["action.succeeded"]
    assert len([e for e in desk.rows("executions") if e["event_type"] == "action.succeeded"]) == 1


@pytest.mark.parametrize("portal", ["aetna", "blue_cross"])
def test_killed_between_the_click_and_the_answer_the_submission_is_found(office: Office, portal: str) -> None:
    desk = office.practice(portal)
    received = desk.request("submit_reauth_request")
    office.site.faults.on(portal, "slow_commit", times=1)
    office.send(received)
    deadline = time.monotonic() + ENDED_WITHIN_S
    while office.filed(desk) == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    [worker] = office.runtime.host_pids()
    psutil.Process(worker).send_signal(signal.SIGKILL)
    office.site.faults.clear()
    row = office.until_ended(desk, received)
    assert (row["state"], office.filed(desk)) == ("settled", 1)
    assert [visit["reconciling"] for visit in desk.visits(received)] == [False, True]


def test_two_new_ones_that_nobody_can_tell_apart_are_a_persons(office: Office) -> None:
    """The only place where the portal really cannot tell: it echoes nothing, and somebody filed by hand meanwhile."""
    desk = office.practice("blue_cross")
    received = desk.request()
    office.site.faults.on("blue_cross", "reply_lost", times=1)
    office.send(received)
    deadline = time.monotonic() + ENDED_WITHIN_S
    while desk.row(received)["state"] != "unknown" and time.monotonic() < deadline:
        time.sleep(0.05)
    [ours] = [one for one in office.site.submissions() if one.username == f"user-{desk.number}"]
    office.site.store.file("blue_cross", "appeal", username="by-hand", fields=ours.fields, files=ours.files)
    row = office.until_ended(desk, received)
    assert (row["state"], row["code"]) == ("unknown", "commit_unclear")
    assert office.filed(desk) == 1


def test_every_crash_point_of_an_action_is_tried() -> None:
    assert {place[0] for place in PLACES} >= {point for point in CRASH_POINTS if point.startswith("action.")}


DUMPED = """
SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY 1
"""


def test_secrets_and_patients_are_where_they_belong_and_nowhere_else(office: Office) -> None:
    """After all of the above, and a failure that leaves a trace: every log, file and row of the run is searched."""
    desk = office.practice("uhc")
    office.site.faults.on("uhc", "changed_dom", times=3)
    failed, read = desk.request(), desk.request("check_claim_status")
    office.send(failed)
    assert office.until_ended(desk, failed)["state"] in PERSON
    office.site.faults.clear()
    office.send(read)
    office.until_ended(desk, read)
    secrets = [PASSWORD, TOTP * 2]
    patients = [
        PATIENT.name,
        PATIENT.name.split(",", maxsplit=1)[0],
        PATIENT.member_id,
        "1981-04-17",
        "04/17/1981",
    ]
    log = office.pipeline.log_file.read_text()
    assert "action.ended" in log
    assert not found_in(log.encode(), secrets + patients)
    for table in office.pipeline.rows(DUMPED):
        for row in office.pipeline.rows(f"SELECT to_jsonb(t) - 'patient' AS row FROM {table['relname']} t"):  # noqa: S608
            assert not found_in(json.dumps(row["row"]).encode(), secrets + patients), table["relname"]
    kept = [path for path in (office.folder / "evidence").rglob("*") if path.is_file()]
    kinds = {path.relative_to(office.folder / "evidence").parts[0] for path in kept}
    assert kinds == {"screenshots", "documents", "traces"}
    for path in kept:
        private = (
            "screenshots" not in path.parts
        )  # letters and traces are patient data, kept as closed as a claim
        assert not found_in(contents(path), secrets if private else secrets + patients), path
        assert path.stat().st_mode & 0o077 == 0


def contents(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix != ".zip":
        return data
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return b"\n".join(archive.read(name) for name in archive.namelist())


def found_in(data: bytes, wanted: list[str]) -> list[str]:
    return [text for text in wanted if re.search(re.escape(text.encode()), data, re.IGNORECASE)]
