"""The `upstream` command against a running pipeline: what an operator does, end to end."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psutil
import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.connections import renew
from cli.workspace import Running, announce, find_running, opened, withdraw
from shared.runtime.settings import to_environment
from shared.runtime.signatures import sign

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

UPSTREAM = str(Path(sys.executable).with_name("upstream"))
ROOT = Path(__file__).parents[2]
ADVICE = ROOT / "samples" / "x12-835" / "x12-parser__profee.edi"
MALFORMED = ROOT / "samples" / "x12-malformed" / "edi-835-parser__exhaustive_sample.txt"
PACK = ROOT / "shared" / "rules" / "packs"


class Upstream:
    """The command on one folder, in this process."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *words: object, code: int = 0) -> str:
        result = CliRunner().invoke(app, [*map(str, words), "--home", str(self.home)])
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        return result.stdout

    def json(self, *words: object, code: int = 0) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.run(*words, "--json", code=code))

    def add(self, customer: str, *words: object) -> dict[str, Any]:
        provider = f"p{uuid4().hex[:8]}"
        found: dict[str, Any] = self.json(
            "connections", "add", "--customer", customer, "--provider", provider, *words
        )
        return found


@pytest.fixture(scope="module")
def upstream(pipeline: "Pipeline") -> Iterator[Upstream]:
    runtime = pipeline.threaded.runtime
    home = runtime.settings.home
    environment = to_environment(runtime.settings)
    announce(home, url=runtime.url, host_pids=runtime.host_pids(), environment=environment, ready=True)
    yield Upstream(home)
    withdraw(home)


def name() -> str:
    return f"Practice {uuid4().hex[:8]}"


def test_a_connection_is_added_sent_over_and_traced(upstream: Upstream, pipeline: "Pipeline") -> None:
    added = upstream.add(name())
    [sent] = upstream.json("send", ADVICE, "--connection", added["id"])
    assert (sent["status"], sent["code"]) == (202, "accepted")
    assert pipeline.drained()
    story = upstream.json("trace", sent["event_id"])
    hops = [(hop["what"], hop["outcome"]) for hop in story["hops"]]
    assert hops[:2] == [("receive_webhook", "accepted"), ("process_webhook", "taken")]
    assert hops.count(("event", "published")) == 3
    assert hops.count(("apply_rules", "taken")) == 3
    assert hops.count(("decision", "no_match")) == 3
    assert all(hop["ms"] >= 0 for hop in story["hops"])


def test_any_event_of_a_story_tells_all_of_it(upstream: Upstream, pipeline: "Pipeline") -> None:
    added = upstream.add(name())
    [sent] = upstream.json("send", ADVICE, "--connection", added["id"])
    assert pipeline.drained()
    whole = upstream.json("trace", sent["event_id"])["hops"]
    event = next(hop["event_id"] for hop in whole if hop["what"] == "event")
    assert upstream.json("trace", event)["hops"] == whole
    assert event in upstream.run("trace", event)


def test_the_story_of_what_could_not_be_read_ends_in_its_dead_letter(
    upstream: Upstream, pipeline: "Pipeline"
) -> None:
    added = upstream.add(name())
    [sent] = upstream.json("send", MALFORMED, "--connection", added["id"])
    assert pipeline.drained()
    hops = upstream.json("trace", sent["event_id"])["hops"]
    assert [hop["what"] for hop in hops] == ["receive_webhook", "record_dead_letter", "dead letter"]
    assert hops[-1]["outcome"] == "unreadable_payload"
    assert "ST[1]" in hops[-1]["detail"]["reason"]


def test_nothing_is_told_of_an_event_that_nobody_knows(upstream: Upstream) -> None:
    upstream.run("trace", uuid4(), code=1)


def test_what_is_posted_twice_under_one_id_is_a_duplicate(upstream: Upstream) -> None:
    added = upstream.add(name(), "--scheme", "hmac-sha256-hex")
    sent = upstream.json(
        "send", ADVICE, "--provider", added["provider"], "--repeat", 9, "--delivery-id", "d-1"
    )
    statuses = [reply["status"] for reply in sent]
    assert (statuses[0], statuses[-1]) == (202, 200)  # in between the key may not be marked yet
    assert len({reply["event_id"] for reply in sent}) == 1
    assert {reply["delivery_id"] for reply in sent} == {"d-1"}


def test_both_secrets_are_good_after_a_rotation_and_the_first_is_not_after_two(
    upstream: Upstream, pipeline: "Pipeline"
) -> None:
    added = upstream.add(name())
    first = added["secret"]
    second = upstream.json("connections", "rotate", added["id"])["secret"]
    assert first != second
    assert [status(pipeline, added, secret) for secret in (first, second)] == [202, 202]
    again = upstream.add(name())
    upstream.json("connections", "rotate", again["id"][:13])
    upstream.json("connections", "rotate", again["id"])
    assert status(pipeline, again, again["secret"]) == 401
    assert upstream.json("send", ADVICE, "--connection", again["id"])[0]["status"] == 202


def status(pipeline: "Pipeline", added: dict[str, Any], secret: str) -> int:
    body = ADVICE.read_bytes()
    headers = sign(added["scheme"], uuid4().hex, body, secret, datetime.now(UTC))
    return pipeline.post(added["path"], body, {**headers, "Content-Type": "application/edi-x12"}).status


def test_a_secret_is_shown_once_and_kept_for_its_owner_only(upstream: Upstream) -> None:
    added = upstream.add(name())
    assert added["secret"].startswith("whsec_")
    assert added["secret"] not in upstream.run("connections", "list", "--json")
    assert added["secret"] not in upstream.run("connections", "list")
    file = upstream.home / "secrets" / added["secret_name"]
    assert file.stat().st_mode & 0o077 == 0


def test_a_connection_may_have_the_id_that_its_secret_was_named_after(upstream: Upstream) -> None:
    identity = str(uuid4())
    added = upstream.add(name(), "--id", identity)
    assert (added["id"], added["secret_name"]) == (identity, f"connection-{identity}")
    upstream.run(
        *("connections", "add", "--customer", name(), "--provider", "acme", "--id", identity), code=1
    )


def test_where_secrets_are_peoples_a_connection_is_stored_and_they_are_told_what_to_type(
    upstream: Upstream,
) -> None:
    added = upstream.add(name())
    with opened(upstream.home) as workspace:
        vars(workspace)["writes_secrets"] = False  # as on Google Cloud
        renewed = renew(workspace.connection(added["id"]), workspace)
    assert renewed.secret == ""
    assert f"versions add {added['secret_name']} " in renewed.commands[-1]
    assert upstream.json("send", ADVICE, "--connection", added["id"])[0]["status"] == 202


def test_a_disabled_connection_is_listed_so_and_can_be_enabled_again(upstream: Upstream) -> None:
    customer = name()
    added = upstream.add(customer, "--rate", 7, "--burst", 9)
    assert upstream.json("connections", "disable", added["id"])["enabled"] is False
    upstream.run("send", ADVICE, "--provider", added["provider"], code=1)
    [listed] = [c for c in upstream.json("connections", "list") if c["id"] == added["id"]]
    assert (listed["customer"], listed["enabled"], listed["rate_per_min"], listed["burst"]) == (
        customer,
        False,
        7,
        9,
    )
    assert upstream.json("connections", "enable", added["id"])["enabled"] is True


def test_a_customer_is_made_once_whatever_the_number_of_its_connections(
    upstream: Upstream, pipeline: "Pipeline"
) -> None:
    customer = name()
    assert upstream.add(customer)["customer_id"] == upstream.add(customer)["customer_id"]
    assert len(pipeline.rows("SELECT id FROM customers WHERE name = :name", name=customer)) == 1


def test_rules_are_applied_once_and_a_new_version_retires_the_old(
    upstream: Upstream, pipeline: "Pipeline", tmp_path: Path
) -> None:
    customer = name()
    upstream.add(customer)
    planned = upstream.json("rules", "apply", PACK, "--customer", customer, "--dry-run")
    assert version(pipeline, customer) == 0
    applied = upstream.json("rules", "apply", PACK, "--customer", customer)
    assert applied["changes"] == planned["changes"]
    assert {change["change"] for change in applied["changes"]} == {"added"}
    assert version(pipeline, customer) == 1
    again = upstream.json("rules", "apply", PACK, "--customer", customer, "--by", "somebody")
    assert {change["change"] for change in again["changes"]} == {"unchanged"}
    assert version(pipeline, customer) == 1
    newer = tmp_path / "denial-over-amount.yaml"
    newer.write_text((PACK / newer.name).read_text().replace("\nversion: 1\n", "\nversion: 2\n"))
    changes = upstream.json("rules", "apply", newer, "--customer", customer)["changes"]
    assert [(c["version"], c["change"]) for c in changes] == [(1, "retired"), (2, "added")]
    assert version(pipeline, customer) == 2
    in_force = {
        rule["rule_id"]: rule["version"] for rule in upstream.json("rules", "list", "--customer", customer)
    }
    assert in_force["denial-over-amount"] == 2
    assert len(in_force) == len(applied["changes"])
    assert len(upstream.json("rules", "list", "--customer", customer, "--retired")) == len(in_force) + 1


def version(pipeline: "Pipeline", customer: str) -> int:
    [row] = pipeline.rows("SELECT rules_version FROM customers WHERE name = :name", name=customer)
    return int(row["rules_version"])


def test_a_stored_version_is_never_changed(upstream: Upstream, tmp_path: Path) -> None:
    customer = name()
    upstream.add(customer)
    upstream.run("rules", "apply", PACK, "--customer", customer)
    edited = tmp_path / "denial-over-amount.yaml"
    edited.write_text((PACK / edited.name).read_text().replace("priority: 50", "priority: 51"))
    result = CliRunner().invoke(
        app, ["rules", "apply", str(edited), "--customer", customer, "--home", str(upstream.home)]
    )
    assert result.exit_code == 1
    assert "a changed rule needs a new version" in result.stderr


def test_rules_are_stopped_limited_and_let_go_on(upstream: Upstream) -> None:
    customer = name()
    upstream.add(customer)
    who = ("--customer", customer)
    upstream.run("rules", "stop", *who, "--action", "submit_appeal", "--why", "wrong letters", "--by", "ann")
    upstream.run("rules", "limit", *who, "--days", "7", "--max-actions", "5", "--max-amount", "12.50")
    shown = upstream.json("rules", "controls", *who)
    assert [(s["action_type"], s["off"], s["why"]) for s in shown["switches"]] == [
        ("submit_appeal", True, "wrong letters")
    ]
    assert shown["windows"] == [{"days": 7, "max_actions": 5, "max_amount_cents": 1250}]
    upstream.run("rules", "resume", *who, "--action", "submit_appeal", "--why", "mended")
    upstream.run("rules", "limit", *who, "--days", "7")
    shown = upstream.json("rules", "controls", *who)
    assert [s["off"] for s in shown["switches"]] == [False]
    assert shown["windows"] == []
    assert "goes on" in upstream.run("rules", "controls", *who)
    upstream.run("rules", "stop", *who, "--action", "dance", "--why", "no such thing", code=1)


def test_rules_of_nobody_are_refused(upstream: Upstream) -> None:
    upstream.run("rules", "apply", PACK, "--customer", "Nobody In Particular", code=1)


def test_tables_are_printed_without_json(upstream: Upstream) -> None:
    added = upstream.add(name())
    assert added["id"] in upstream.run("connections", "list")
    assert "rotate" not in upstream.run("connections", "rotate", added["id"])
    upstream.run("rules", "list")


RUNTIMES = [
    "embedded",
    pytest.param(
        "emulators",
        marks=[pytest.mark.emulators, pytest.mark.skipif(shutil.which("gcloud") is None, reason="no gcloud")],
    ),
]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_serve_runs_the_pipeline_and_leaves_nothing_behind(tmp_path: Path, runtime: str) -> None:
    home = tmp_path / "home"
    words = ["serve", "--runtime", runtime, "--port", "0", "--hosts", "1", "--duplicate", "0.5"]
    serving = subprocess.Popen([UPSTREAM, *words, "--home", str(home)], stdout=subprocess.PIPE, text=True)
    try:
        running = await_running(home, serving)
        [sent] = answer("send", str(ADVICE), home=home)
        assert (sent["status"], sent["code"]) == (202, "accepted")
        assert "decision" in await_story(sent["event_id"], home)
        assert done("serve", "--port", "0", home=home).returncode == 1
    finally:
        serving.terminate()
        out, _ = serving.communicate(timeout=30)
    assert serving.returncode == 0
    assert running.url in out
    assert "Nothing is left running" in out
    assert not (home / "runtime.json").exists()
    assert not [pid for pid in running.host_pids if psutil.pid_exists(pid)]
    assert answer("rules", "list", home=home)  # what was stored stays


def done(*words: str, home: Path) -> "subprocess.CompletedProcess[str]":
    command = [UPSTREAM, *words, "--home", str(home), "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def answer(*words: str, home: Path) -> Any:  # noqa: ANN401 - JSON
    finished = done(*words, home=home)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def await_story(event_id: str, home: Path) -> set[str]:
    """Return the kinds of hops, once there is a decision or half a minute has gone by."""
    deadline = time.monotonic() + 30
    kinds: set[str] = set()
    while "decision" not in kinds and time.monotonic() < deadline:
        told = done("trace", event_id, home=home)
        kinds = {hop["what"] for hop in json.loads(told.stdout)["hops"]} if told.returncode == 0 else set()
    return kinds


def await_running(home: Path, serving: "subprocess.Popen[str]") -> Running:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert serving.poll() is None
        if running := find_running(home):
            return running
        time.sleep(0.1)
    pytest.fail("serve did not come up")
