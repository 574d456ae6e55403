from dataclasses import astuple
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.errors import (
    AmbiguousOutcomeError,
    ErrorCode,
    PermanentError,
    PoisonError,
    TransientError,
    UnreadableError,
    UpstreamError,
)
from shared.runtime.outcomes import STATUS_BY_CODE, code_of, consequence, told_code
from tests.documented import problem_codes

CODES: tuple[ErrorCode, ...] = get_args(ErrorCode)

TABLE: list[tuple[BaseException, bool, tuple[object, ...]]] = [
    (TransientError("unavailable"), False, (503, "nack", "released", "warning", False)),
    (TransientError("timeout"), False, (503, "nack", "released", "warning", False)),
    (TransientError("rate_limited"), False, (429, "nack", "released", "warning", False)),
    (PermanentError("delivery_refused"), False, (202, "ack", "settled_failed", "info", False)),
    (PoisonError("invalid_signature"), False, (401, "dead_letter", "untouched", "error", False)),
    (PoisonError("key_reused"), False, (422, "dead_letter", "untouched", "error", False)),
    (PoisonError("invalid_event"), False, (400, "dead_letter", "untouched", "error", False)),
    (UnreadableError("", place="$"), False, (400, "dead_letter", "untouched", "error", False)),
    (AmbiguousOutcomeError("timeout"), False, (500, "ack", "unknown", "critical", True)),
    (RuntimeError(), False, (500, "nack", "released", "critical", False)),
    (KeyboardInterrupt(), False, (500, "nack", "released", "critical", False)),
    (RuntimeError(), True, (500, "nack", "unknown", "critical", False)),
    # Once a submission may have begun, only what we know about changes nothing.
    (TransientError("unavailable"), True, (503, "nack", "released", "warning", False)),
    (PermanentError("delivery_refused"), True, (202, "ack", "settled_failed", "info", False)),
    (PoisonError("invalid_event"), True, (400, "dead_letter", "untouched", "error", False)),
    (AmbiguousOutcomeError("timeout"), True, (500, "ack", "unknown", "critical", True)),
]


@pytest.mark.parametrize(("error", "committing", "expected"), TABLE)
def test_the_kind_of_error_decides_what_follows(
    error: BaseException,
    committing: bool,  # noqa: FBT001 - a column of the table
    expected: tuple[object, ...],
) -> None:
    assert astuple(consequence(error, committing=committing)) == expected


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("kind", [TransientError, PermanentError, PoisonError, AmbiguousOutcomeError])
def test_every_code_of_every_kind_has_a_reply_whose_code_is_documented(
    kind: type[UpstreamError], code: ErrorCode
) -> None:
    error = kind(code)
    status = consequence(error).http_status
    assert code_of(error) == code
    assert (status, told_code(error)) in problem_codes() or kind is PermanentError


def test_the_document_and_the_table_name_the_same_codes_and_statuses() -> None:
    assert problem_codes() == {(status, code) for code, status in STATUS_BY_CODE.items()}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (TransientError("timeout"), "unavailable"),
        (TransientError("key_held"), "unavailable"),
        (PoisonError("invalid_event"), "bad_request"),
        (PoisonError("stale_timestamp"), "stale_timestamp"),
        (TransientError("rate_limited"), "rate_limited"),
        (ZeroDivisionError(), "unhandled"),
    ],
)
def test_a_sender_is_told_its_own_mistakes_and_of_ours_only_that_there_was_one(
    error: Exception, told: ErrorCode
) -> None:
    assert told_code(error) == told


@given(detail=st.text(), code=st.sampled_from(CODES))
def test_the_text_of_an_error_is_its_detail_or_else_its_code(detail: str, code: ErrorCode) -> None:
    assert str(TransientError(code, detail)) == (detail or code)
