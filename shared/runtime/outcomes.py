"""What follows from a failure: STYLE's error table as one pure function.

A handler raises a kind of error; this table alone says how the sender is answered, what happens to the message and
the key, and how loud the log is.
"""

from dataclasses import dataclass
from typing import Literal

from shared.runtime.errors import (
    AmbiguousOutcomeError,
    ErrorCode,
    PermanentError,
    PoisonError,
    TransientError,
    UpstreamError,
)

MessageFate = Literal["ack", "nack", "dead_letter"]
KeyFate = Literal["released", "settled_failed", "untouched", "unknown"]
LogLevel = Literal["warning", "info", "error", "critical"]

# Every code that a sender is told, and its status: `schemas/openapi.json` says the same.
STATUS_BY_CODE: dict[ErrorCode, int] = {
    "bad_request": 400,
    "invalid_signature": 401,
    "stale_timestamp": 401,
    "not_found": 404,
    "method_not_allowed": 405,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "key_reused": 422,
    "rate_limited": 429,
    "unhandled": 500,
    "unavailable": 503,
}
CODE_BY_STATUS: dict[int, ErrorCode] = {400: "bad_request", 500: "unhandled", 503: "unavailable"}


@dataclass(frozen=True, slots=True)
class Consequence:
    """What an error leads to. http_status: the reply to a webhook's sender."""

    http_status: int
    message: MessageFate
    key: KeyFate
    log: LogLevel
    page: bool = False


def consequence(error: BaseException, *, committing: bool = False) -> Consequence:
    """Return what follows from `error`. committing: an irreversible step may have begun."""
    match error:
        case TransientError():
            return Consequence(STATUS_BY_CODE.get(error.code, 503), "nack", "released", "warning")
        case PermanentError():
            return Consequence(202, "ack", "settled_failed", "info")
        case PoisonError():
            return Consequence(STATUS_BY_CODE.get(error.code, 400), "dead_letter", "untouched", "error")
        case AmbiguousOutcomeError():
            return Consequence(500, "ack", "unknown", "critical", page=True)
        case _:
            return Consequence(500, "nack", "unknown" if committing else "released", "critical")


def code_of(error: BaseException) -> ErrorCode:
    """Return the stable code of any error; what is not ours is `unhandled`."""
    return error.code if isinstance(error, UpstreamError) else "unhandled"


def told_code(error: BaseException) -> ErrorCode:
    """Return the code that a sender is told: what only we see becomes the code that every such status has."""
    code, status = code_of(error), consequence(error).http_status
    return code if STATUS_BY_CODE.get(code) == status else CODE_BY_STATUS.get(status, code)
