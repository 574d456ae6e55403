"""What is reported of an error: where and what kind, as Cloud Error Reporting parses it, and never its text."""

import json
import re
import traceback
from collections.abc import Mapping
from typing import Any

import pytest

from shared.runtime.error_reports import MOST_PLACES, REPORTED, ErrorReports, described, traceback_of, where


class PayerError(Exception):
    pass


def read_amount(text: str) -> int:
    return int(text)


def wrapped(name: str) -> None:
    try:
        read_amount(name)
    except ValueError as exc:
        raise PayerError(name) from exc


def raised() -> PayerError:
    with pytest.raises(PayerError) as caught:
        wrapped("DOE, JANE")
    return caught.value


def as_python_prints_it(error: BaseException) -> str:
    """Return Python's own traceback without source lines, carets and messages."""
    text = "".join(traceback.format_exception(error))
    text = re.sub(r"^    .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^([\w.]+): .*$", r"\1", text, flags=re.MULTILINE)
    return re.sub(r'File ".*?/(tests/|site-packages/)', r'File "\1', text).replace('"site-packages/', '"')


def test_the_traceback_is_pythons_own_less_what_it_quotes() -> None:
    error = raised()
    assert traceback_of(error) == as_python_prints_it(error)
    assert "ValueError\n" in traceback_of(error)
    assert "JANE" not in traceback_of(error)


def test_a_deep_traceback_and_a_long_chain_are_cut() -> None:
    def deeper(n: int) -> None:
        if n == 0:
            raise RecursionError
        deeper(n - 1)

    with pytest.raises(RecursionError) as caught:
        deeper(2 * MOST_PLACES)
    assert traceback_of(caught.value).count("  File ") == MOST_PLACES
    first = last = ValueError()
    for _ in range(20):
        last.__cause__ = ValueError()
        last = last.__cause__
    assert traceback_of(first).count("Traceback") == 5


def test_the_line_has_what_cloud_error_reporting_groups_by() -> None:
    members = described(raised(), service="notify", release="abc123")
    assert members["@type"] == REPORTED
    assert members["serviceContext"] == {"service": "notify", "version": "abc123"}
    location = members["context"]["reportLocation"]
    assert (location["filePath"], location["functionName"]) == ("tests/unit/test_error_reports.py", "wrapped")
    assert location["lineNumber"] > 0
    assert members["error"] == "PayerError"
    assert "JANE" not in json.dumps(members)


def test_an_error_that_was_never_raised_has_no_place() -> None:
    members = described(KeyError("DOE, JANE"), service="notify", release="")
    assert "context" not in members
    assert members["stack_trace"] == "Traceback (most recent call last):\nKeyError\n"


def test_an_error_is_sent_once_with_its_line_and_leaves_no_object_behind() -> None:
    sent: list[tuple[BaseException, str]] = []

    def send(error: BaseException, line: Mapping[str, Any]) -> None:
        sent.append((error, line["event_id"]))

    error = raised()
    reports = ErrorReports(release="abc123", send=send)
    line = reports(None, "error", {"event": "event.failed", "event_id": "e-1", "raised": error})
    assert sent == [(error, "e-1")]
    assert line["stack"] == where(error)
    assert "raised" not in line
    assert json.loads(json.dumps(line))["serviceContext"]["version"] == "abc123"


def test_what_is_no_error_is_dropped_and_other_lines_pass() -> None:
    reports = ErrorReports(send=lambda *_: pytest.fail("sent"))
    assert reports(None, "error", {"event": "x.failed", "raised": "DOE, JANE"}) == {"event": "x.failed"}
    assert reports(None, "info", {"event": "x.done", "count": 1}) == {"event": "x.done", "count": 1}
