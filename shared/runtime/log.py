"""One JSON line an outcome, with ids and codes and never a patient's data."""

import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import orjson
import structlog

from shared.runtime.error_reports import ErrorReports, where

SEVERITY = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "critical": "CRITICAL"}
MEMBERS = frozenset(
    {
        "event", "severity", "timestamp", "function", "event_id", "event_type", "parent_id", "customer_id",
        "connection_id", "provider", "trace_id", "subscription", "attempt", "duration_ms", "decision", "code",
        "place", "status", "count", "error", "stack", "rule_id", "rule_version", "action_id", "channel_id",
        "check", "runtime", "port", "pid", "topic", "library", "run_id", "delivery_key",
        # read by the log-based metrics of schemas/metrics.json:
        "duration_s", "age_s", "action_type", "result", "kind", "job",
        # an exception; shared/runtime/error_reports.py makes of it what is written:
        "raised",
    }
)  # fmt: skip


def _only_known_members(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop what nobody declared: a field added in haste cannot carry a patient's data into the logs."""
    unknown = line.keys() - MEMBERS
    for name in unknown:
        del line[name]
    if unknown:
        line["dropped"] = len(unknown)
    return line


def _in_seconds(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say the duration in seconds too: the unit of the metrics that are made from these lines."""
    if isinstance(duration_ms := line.get("duration_ms"), (int, float)):
        line.setdefault("duration_s", round(duration_ms / 1000, 6))
    return line


def _severity(_: object, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    line["severity"] = SEVERITY.get("error" if method == "exception" else method, "DEFAULT")
    return line


def _json(line: MutableMapping[str, Any], *, default: Callable[[object], object]) -> bytes:
    """Return the line as JSON. What orjson refuses (a lone surrogate, a number over 64 bits) must not stop a reply."""
    try:
        return orjson.dumps(line, default=default)
    except TypeError:
        return json.dumps(line, default=default, skipkeys=True).encode()


class _Libraries(logging.Handler):
    """Turns what a library logs into a line of ours, without its text, which may quote a payload.

    SQLAlchemy's pool is one: losing the server, it logs the whole chain of errors, statement and all.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Say which library said something, how loudly, and which error it was about."""
        members: dict[str, object] = {"library": record.name, "place": f"{record.filename}:{record.lineno}"}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and record.levelno >= logging.ERROR:
            members["raised"] = error
        elif error is not None:
            members |= {"error": type(error).__name__, "stack": where(error)}
        method = record.levelname.lower() if record.levelname.lower() in SEVERITY else "warning"
        getattr(structlog.get_logger(), method)("library.logged", **members)


def configure(
    level: str = "info",
    *,
    count: structlog.typing.Processor | None = None,
    reports: structlog.typing.Processor | None = None,
) -> None:
    """Make what we and libraries log JSON lines on standard output, as Cloud Logging reads them. Idempotent.

    count: sees each line as it is written (`shared/runtime/metrics.py`). reports: of errors that nobody expected.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _severity,
            _in_seconds,
            _only_known_members,
            reports or ErrorReports(),
            *([] if count is None else [count]),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Libraries()], force=True)
