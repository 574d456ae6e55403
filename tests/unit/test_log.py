"""Every line is one JSON object with known members, whatever is logged and by whom.

Each test configures a process of its own, as functions do: structlog keeps its first configuration.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.error_reports import where
from shared.runtime.log import MEMBERS

ROOT = Path(__file__).parents[2]
ALWAYS = {"event", "severity", "timestamp"}


def lines(script: str, level: str = "info") -> list[dict[str, Any]]:
    """Run a script after `configure`, and return what it logged."""
    prepared = "import logging, structlog\nfrom shared.runtime import log as runtime_log\n"
    prepared += f"runtime_log.configure({level!r})\nlog = structlog.get_logger()\n"
    ran = subprocess.run(
        [sys.executable, "-c", prepared + script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_a_line_has_its_members_its_severity_and_its_time() -> None:
    (line,) = lines('log.info("event.processed", event_id="e-1", count=3, duration_ms=1.5)')
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "event.processed", "severity": "INFO", "event_id": "e-1", "count": 3, "duration_ms": 1.5,
        "duration_s": 0.0015,
    }  # fmt: skip


def test_what_nobody_declared_is_dropped_and_counted() -> None:
    (line,) = lines(
        'log.warning("x.done", patient="Jane Doe", body=b"...", code="timeout", exc=ValueError("Jane"))'
    )
    assert line.keys() == ALWAYS | {"code", "dropped"}
    assert line["dropped"] == 3


def test_what_is_bound_to_the_context_goes_the_same_way() -> None:
    (line,) = lines(
        'structlog.contextvars.bind_contextvars(trace_id="t-1", member_name="Jane Doe")\nlog.error("x.failed")'
    )
    assert line.keys() == ALWAYS | {"trace_id", "dropped"}
    assert line["severity"] == "ERROR"


@pytest.mark.parametrize(("level", "expected"), [("info", 4), ("warning", 3), ("error", 2)])
def test_quieter_lines_than_the_level_are_not_written(level: str, expected: int) -> None:
    each = "for name in ('debug', 'info', 'warning', 'error', 'critical'): getattr(log, name)('x.done')"
    written = lines(each, level)
    assert [line["severity"] for line in written] == ["INFO", "WARNING", "ERROR", "CRITICAL"][-expected:]


def test_an_exception_is_one_line_without_its_text() -> None:
    (line,) = lines(
        'try:\n    raise ValueError("Jane Doe")\nexcept ValueError:\n    log.exception("x.failed")'
    )
    assert line["severity"] == "ERROR"
    assert "Jane" not in str(line)


def test_what_a_library_logs_is_one_line_without_its_text() -> None:
    (line,) = lines(
        "def insert():\n    raise ValueError('Jane Doe')\n"
        "try:\n    insert()\n"
        "except ValueError:\n    logging.getLogger('pool').exception('while inserting %s', 'Jane Doe')"
    )
    assert (line["event"], line["library"], line["severity"]) == ("library.logged", "pool", "ERROR")
    assert line["error"] == "ValueError"
    assert "insert" in line["stack"]
    assert "Jane" not in str(line)


def test_values_that_json_does_not_know_do_not_stop_a_line() -> None:
    written = lines(
        "import uuid\n"
        "values = uuid.UUID(int=1), {1}, None, 'é\\n\\x00', '\\ud800', 10**30, b'', float('nan'), {(1, 2): 3}\n"
        "for value in values: log.info('x.done', place=value)"
    )
    assert len(written) == 9
    assert written[3]["place"] == "é\n\x00"
    assert written[4]["place"] == "\ud800"
    assert written[5]["place"] == 10**30


def test_an_error_that_nobody_caught_is_one_line() -> None:
    """A bug in what the function uses: one line and a problem, not the framework's traceback."""
    (line,) = lines(
        "import asyncio\n"
        "from starlette.requests import Request\n"
        "from shared.runtime import bootstrap\n"
        "from shared.runtime.settings import Settings\n"
        "from main import receive_webhook\n"
        "class Bug(bootstrap.App):\n"
        "    @property\n"
        "    def ingress(self):\n"
        "        raise ZeroDivisionError('Jane Doe')\n"
        "bootstrap.use(Bug(Settings()))\n"
        "scope = {'type': 'http', 'method': 'POST', 'path': '/v1/webhooks/a/b', 'headers': [], 'query_string': b''}\n"
        "reply = asyncio.run(receive_webhook(Request(scope)))\n"
        "assert reply.status_code == 500, reply.status_code\n"
        "assert b'unhandled' in reply.body\n"
    )
    assert (line["event"], line["severity"], line["code"]) == ("webhook.refused", "CRITICAL", "unhandled")
    assert (line["error"], line["status"]) == ("ZeroDivisionError", 500)
    assert "ingress" in line["stack"]
    assert "Jane" not in str(line)


def test_where_names_places_and_not_what_was_said() -> None:
    def claim_of(name: str) -> None:
        raise KeyError(name)

    with pytest.raises(KeyError) as raised:
        claim_of("Jane Doe")
    assert where(raised.value).endswith(":claim_of")
    assert "Jane" not in where(raised.value)
    assert where(KeyError("never raised")) == ""


def test_no_member_is_named_like_a_patients_data() -> None:
    assert not {
        name
        for name in MEMBERS
        if any(word in name for word in ("patient", "member", "name", "body", "text"))
    }
