"""`upstream dead-letters` as an engineer uses it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.workspace import announce, withdraw
from shared.ports.dead_letters import Wanted
from shared.runtime.settings import to_environment
from tests.functional.letters import PATIENT, Practice, advice, broken, forwarded

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

UPSTREAM = str(Path(sys.executable).with_name("upstream"))


class DeadLetters:
    """The command on one folder, in this process."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *words: object, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["dead-letters", *map(str, words), "--home", str(self.home)])
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        return result.stdout

    def json(self, *words: object, code: int = 0) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.run(*words, "--json", code=code))


@pytest.fixture(scope="module")
def dead_letters(pipeline: "Pipeline") -> Iterator[DeadLetters]:
    runtime = pipeline.threaded.runtime
    home = runtime.settings.home
    environment = to_environment(runtime.settings)
    announce(home, url=runtime.url, host_pids=runtime.host_pids(), environment=environment, ready=True)
    yield DeadLetters(home)
    withdraw(home)


@pytest.fixture
def practice(pipeline: "Pipeline") -> Practice:
    return Practice(pipeline)


def test_a_file_that_does_not_parse_is_corrected_and_processed(
    dead_letters: DeadLetters, practice: Practice, tmp_path: Path
) -> None:
    for number in ("A1", "A2", "A3"):
        practice.sends(broken(number))
    listed = dead_letters.json("list", "--customer", practice.name)
    [cause] = listed["causes"]
    assert (cause["consumer"], cause["code"], cause["count"]) == ("process_webhook", "unreadable_payload", 3)
    assert [letter["state"] for letter in listed["letters"]] == ["open"] * 3
    fixed = tmp_path / "fixed.edi"
    fixed.write_bytes(advice("A3"))
    words = ("replay", cause["newest_id"], "--edit", fixed)
    before = practice.rows("dead_letters")
    planned = dead_letters.json(*words)
    assert [letter["topic"] for letter in planned["letters"]] == ["webhook-events"]
    assert (planned["dry_run"], practice.rows("dead_letters")) == (True, before)
    assert practice.count("dead_letter_replays") == 0
    done = dead_letters.json(*words, "--yes", "--why", "the charge was spelt out", "--by", "ada")
    assert (done["ended"], done["published"], done["processed"], done["failed"]) == ("done", 1, 1, 0)
    shown = dead_letters.json("show", cause["newest_id"][:18])
    [replay] = shown["replays"]
    assert (shown["state"], replay["outcome"], replay["edited"]) == ("replayed", "processed", True)
    assert (replay["replayed_by"], replay["why"]) == ("ada", "the charge was spelt out")
    assert practice.count("claim_payments") == 1
    assert dead_letters.json("list", "--customer", practice.name)["total"] == 2


def test_a_replay_that_fails_again_says_so(dead_letters: DeadLetters, practice: Practice) -> None:
    practice.sends(broken("B1"))
    words = ("replay", "--customer", practice.name, "--no-dry-run", "--why", "hope")
    done = dead_letters.json(*words, code=1)
    assert (done["ended"], done["failed"]) == ("done", 1)
    assert "1 failed again" in dead_letters.run(*words, code=1)
    assert "hope" in dead_letters.run("show", practice.letters(practice.ours, limit=1)[0].id)


def test_filters_choose_letters(dead_letters: DeadLetters, practice: Practice) -> None:
    practice.keep(forwarded(practice.event(advice("Q1"))))
    practice.sends(broken("Q2"))
    ours = ("--customer", practice.name)

    def total(*words: object) -> int:
        return int(dead_letters.json("list", *ours, *words)["total"])

    assert total() == 2
    assert total("--code", "unhandled") == total("--text", "DELIVERED too often") == 1
    assert total("--function", "process_webhook", "--connection", practice.connection.id) == 2
    assert total("--function", "notify") == total("--until", "1h") == total("--state", "discarded") == 0
    assert total("--since", "1h", "--state", "all") == 2
    page = dead_letters.json("list", *ours, "--limit", 1)
    [rest] = dead_letters.json("list", *ours, "--limit", 5, "--after", page["after"])["letters"]
    assert rest["id"] != page["letters"][0]["id"]
    assert dead_letters.json("replay", *ours, "--code", "unhandled")["total"] == 1
    assert "Would replay 2 of 2" in dead_letters.run("replay", *ours, "--yes", "--dry-run")


def test_discarding_needs_a_reason_and_keeps_the_letter(
    dead_letters: DeadLetters, practice: Practice
) -> None:
    practice.keep_advices(2)
    words = ("discard", "--customer", practice.name)
    assert dead_letters.json(*words) == {"dry_run": True, "would_discard": 2}
    dead_letters.run(*words, "--yes", code=2)
    assert practice.states() == {("open", "")}
    done = dead_letters.json(*words, "--yes", "--why", "sent twice", "--by", "ada")
    assert done == {"dry_run": False, "discarded": 2}
    listed = dead_letters.json("list", "--customer", practice.name, "--state", "discarded")
    assert {(one["discarded_by"], one["discarded_why"]) for one in listed["letters"]} == {
        ("ada", "sent twice")
    }
    assert "sent twice" in dead_letters.run("show", listed["letters"][0]["id"])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("replay",), 2),
        (("replay", "--all", "--yes"), 2),
        (("discard", "--yes", "--why", "all of them"), 2),
        (("list", "--since", "yesterday"), 2),
        (("list", "--after", "yesterday"), 2),
        (("replay", "zz"), 1),
        (("show", str(uuid4())), 1),
    ],
)
def test_a_command_that_does_not_know_which_does_nothing(
    dead_letters: DeadLetters, words: tuple[str, ...], code: int
) -> None:
    dead_letters.run(*words, code=code)


def test_no_patient_data_is_shown_unless_asked_for(dead_letters: DeadLetters, practice: Practice) -> None:
    practice.sends(broken("R1"))
    [letter] = practice.letters(Wanted(customer_id=practice.customer), limit=5)
    everything = (
        ("list", "--customer", practice.name),
        ("show", letter.id),
        ("replay", "--customer", practice.name),
        ("replay", letter.id, "--yes", "--why", "to see"),
        ("show", letter.id),
        ("discard", letter.id, "--yes", "--why", "to see"),
        ("list", "--customer", practice.name, "--state", "all"),
    )
    home = ("--home", str(dead_letters.home))
    for words in everything:
        for more in ((), ("--json",)):
            result = CliRunner().invoke(app, ["dead-letters", *map(str, words), *more, *home])
            assert result.exit_code in {0, 1}, result.stderr
            assert not any(secret in result.output for secret in PATIENT), words
    asked = CliRunner().invoke(app, ["dead-letters", "show", str(letter.id), "--body", *home])
    assert asked.stdout_bytes == broken("R1")
    assert "patient data" in asked.stderr


def test_five_hundred_are_replayed_once_each_though_ctrl_c_came_half_way(
    pipeline: "Pipeline", dead_letters: DeadLetters, practice: Practice
) -> None:
    practice.keep_advices(500)
    words = ("--customer", practice.name, "--yes", "--why", "the parser is fixed", "--rate", "100", "--json")
    command = [UPSTREAM, "dead-letters", "replay", *words, "--home", str(dead_letters.home)]
    started = time.monotonic()
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while practice.count("dead_letter_replays") < 200:
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < started + 60
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    out, _ = first.communicate(timeout=30)
    assert first.returncode == 130
    half = json.loads(out)
    assert half["ended"] == "interrupted"
    assert 200 <= half["published"] < 500
    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode == 0, second.stderr
    rest = json.loads(second.stdout)
    elapsed_s = time.monotonic() - started
    print(f"500 replays, interrupted and resumed: {elapsed_s:.1f} s")  # noqa: T201 - shown by `pytest -rP`
    assert (rest["ended"], half["published"] + rest["published"]) == ("done", 500)
    assert elapsed_s < 60
    assert pipeline.drained()
    practice.settle()
    assert practice.states() == {("replayed", "processed")}
    letters = [row["dead_letter_id"] for row in practice.rows("dead_letter_replays")]
    assert len(letters) == len(set(letters)) == 500
    for table in ("remittances", "claims", "claim_payments", "executions"):
        assert practice.count(table) == 500, table
