"""Error reports and samples of transactions for Sentry, where `SENTRY_DSN` says so.

None of the SDK's integrations is on: they look into requests, arguments and loggers. What is sent is what the entry
points hand over, and of that what stands on the lists below: what a new release of the SDK adds is not on them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration

from shared.runtime.outcomes import code_of
from shared.runtime.settings import Settings
from shared.runtime.spans import IDS, NOTHING, Kind, Span

if TYPE_CHECKING:
    from sentry_sdk.tracing import Span as SentrySpan
    from sentry_sdk.types import Event, Hint

EVENT: Final = frozenset(
    {"event_id", "timestamp", "start_timestamp", "type", "level", "platform", "release", "environment", "sdk",
     "transaction", "tags", "profile"}
)  # fmt: skip
FRAME: Final = frozenset({"filename", "abs_path", "module", "function", "lineno", "in_app"})
SPAN: Final = frozenset(
    {"trace_id", "span_id", "parent_span_id", "op", "status", "timestamp", "start_timestamp"}
)
LONGEST_S: Final = 2.0  # what is left is sent for at most so long when the process ends


class Sentry:
    """Takes errors and spans to Sentry. One a process: the SDK's client is."""

    def __init__(self, settings: Settings) -> None:
        """Start the client. No I/O: it connects in a thread of its own, when there is something to send."""
        sentry_sdk.init(
            settings.sentry_dsn,
            release=settings.release or None,
            environment=settings.environment,
            traces_sample_rate=settings.sentry_sample_rate,
            profiles_sample_rate=settings.sentry_sample_rate,
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[AtexitIntegration(callback=lambda *_: None)],
            shutdown_timeout=LONGEST_S,
            before_send=_scrubbed,
            before_send_transaction=_scrubbed,
            before_breadcrumb=lambda *_: None,
            max_breadcrumbs=0,
            include_local_variables=False,
            include_source_context=False,
            max_request_body_size="never",
            send_default_pii=False,
            send_client_reports=False,
            auto_session_tracking=False,
            server_name="",
        )

    def send(self, error: BaseException, line: Mapping[str, Any]) -> None:
        """Report an error with the ids of its log line."""
        with sentry_sdk.new_scope() as scope:
            for name in IDS:
                if line.get(name):
                    scope.set_tag(name, str(line[name]))
            scope.capture_exception(error)

    def end(self) -> None:
        """Send what there is."""
        sentry_sdk.flush(timeout=LONGEST_S)

    @contextmanager
    def entry(
        self,
        name: str,
        kind: Kind,
        trace_parent: str,
        *,
        ids: Mapping[str, str],
        begins: bool,  # noqa: ARG002
    ) -> Iterator[Span]:
        """Begin a transaction, in the trace of our own ids. Sampled by itself: a payer's flag decides nothing here."""
        with sentry_sdk.isolation_scope():
            sent = {"sentry-trace": "-".join(trace_parent.split("-")[1:3])}  # what is none begins a trace
            begun = sentry_sdk.continue_trace(sent, op=f"function.{kind}", name=name)
            with sentry_sdk.start_transaction(begun) as transaction:
                seen = _Seen(transaction, trace_parent)
                seen.note(**ids)
                try:
                    yield seen
                except Exception as exc:
                    seen.fail(code_of(exc))
                    raise

    def step(self, _name: str, _kind: Kind, _causes: Sequence[str]) -> AbstractContextManager[Span]:
        """See nothing: where the time went, the profile says."""
        return NOTHING


class _Seen:
    def __init__(self, span: "SentrySpan", trace_parent: str) -> None:
        self._span = span
        self.trace_parent = trace_parent

    def note(self, **ids: str) -> None:
        for name in ids.keys() & IDS:
            self._span.set_tag(name, ids[name])

    def fail(self, code: str) -> None:
        self._span.set_status("internal_error")
        self._span.set_tag("code", code)


def _scrubbed(event: "Event", _hint: "Hint") -> "Event":
    """Return the event with what is on the lists, and nothing else."""
    sent: dict[str, Any] = {name: value for name, value in event.items() if name in EVENT}
    given: Mapping[str, Any] = event
    sent["tags"] = {name: value for name, value in given.get("tags", {}).items() if name in IDS}
    if "exception" in given:
        sent["exception"] = {"values": [_error(value) for value in given["exception"]["values"]]}
    if "trace" in given.get("contexts", {}):
        sent["contexts"] = {"trace": _some(given["contexts"]["trace"], SPAN)}
    if "spans" in given:
        sent["spans"] = [_some(span, SPAN) for span in given["spans"]]
    return sent  # type: ignore[return-value]  # a part of what came in


def _error(value: Mapping[str, Any]) -> dict[str, Any]:
    frames = (value.get("stacktrace") or {}).get("frames", ())
    return {
        "type": value.get("type"),
        "module": value.get("module"),
        "stacktrace": {"frames": [_some(frame, FRAME) for frame in frames]},
    }


def _some(members: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name in names}
