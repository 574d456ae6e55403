"""`upstream demo`, as `make run` runs it, on a small month."""

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.timeout(240)  # portals are visited in it

UPSTREAM = str(Path(sys.executable).with_name("upstream"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def summary(home: Path) -> dict[str, Any]:
    done = run("demo", "--claims", "150", "--hosts", "1", "--home", str(home), "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([UPSTREAM, *words], capture_output=True, text=True, check=False, timeout=200)


def test_every_count_is_what_the_data_implies(summary: dict[str, Any]) -> None:
    assert summary["ok"]
    assert [check for check in summary["checks"] if not check["kept"]] == []
    assert sum(check["expected"] > 0 for check in summary["checks"]) > 40


def test_the_mishaps_happened(summary: dict[str, Any]) -> None:
    refused = {"key_reused", "invalid_signature", "stale_timestamp", "unsupported_media_type"}
    assert refused | {"accepted", "duplicate"} == summary["deliveries"].keys()
    assert {letter["code"] for letter in summary["dead_letters"]} >= {"unreadable_payload", "unknown_format"}


def test_customers_were_told_in_all_three_ways(summary: dict[str, Any], home: Path) -> None:
    delivered = {row["kind"]: row["n"] for row in summary["notifications"] if row["outcome"] == "delivered"}
    assert delivered.keys() == {"email", "slack", "webhook"}
    lines = [json.loads(line) for line in (home / "notifications.jsonl").read_text().splitlines()]
    assert len(lines) == sum(delivered.values())


def test_every_hop_was_timed(summary: dict[str, Any]) -> None:
    for hop, times in summary["latency_ms"].items():
        assert times["n"] > 0, hop
        assert 0 < times["p50"] <= times["p95"], hop


def test_what_it_says_to_try_next_works_afterwards(summary: dict[str, Any]) -> None:
    trace, rules, _ = summary["try_next"]
    for line in (trace, rules):
        words = line.split(" ", 1)[1]
        done = subprocess.run(f"{UPSTREAM} {words}", shell=True, capture_output=True, text=True, check=False)  # noqa: S602 - as a reader would type it
        assert done.returncode == 0, done.stderr
        assert "upstream" not in done.stderr
    assert "notification" in run(*trace.split()[1:]).stdout


def test_it_starts_afresh_even_where_one_was_killed(summary: dict[str, Any], home: Path) -> None:
    (home / "left-over").write_text("")
    killed = subprocess.Popen(
        [UPSTREAM, "demo", "--hosts", "1", "--home", str(home)], stderr=subprocess.DEVNULL
    )
    orphans = await_hosts(home)
    killed.kill()
    killed.wait()
    done = run("demo", "--claims", "60", "--hosts", "1", "--home", str(home))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "counts are what the data implies" in done.stdout
    assert not (home / "left-over").exists()
    assert not (home / "runtime.json").exists()
    assert not any(alive(pid) for pid in orphans)
    assert summary["ok"]


def await_hosts(home: Path) -> list[int]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError):
            pids: list[int] = json.loads((home / "runtime.json").read_text())["host_pids"]
            return pids
        time.sleep(0.05)
    pytest.fail("the demo did not start")


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
