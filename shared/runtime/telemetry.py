"""OpenTelemetry's spans, where `UPSTREAM_TRACES` says so: sent by OTLP, to Google or to a collector (docs/adr/0024).

The trace id is the one that the audit trail has. A `traceparent` is taken for its ids; whether a trace is sampled
follows from its id, so that every function decides alike, whoever set the flag: a payer, or a front end between two of
ours. Spans leave in batches, a second after they ended, and all that is left when the process is told to end.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Final, Self

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, TraceIdRatioBased

from shared.runtime.outcomes import code_of
from shared.runtime.settings import EXPORT_TIMEOUT_S, Settings
from shared.runtime.spans import IDS, NOTHING, Kind, Span

KINDS: Final[Mapping[Kind, trace.SpanKind]] = {
    "server": trace.SpanKind.SERVER,
    "consumer": trace.SpanKind.CONSUMER,
    "producer": trace.SpanKind.PRODUCER,
    "client": trace.SpanKind.CLIENT,
    "internal": trace.SpanKind.INTERNAL,
}


class Telemetry:
    """Sees spans, and exports those that are sampled. One a process."""

    def __init__(self, settings: Settings, exporter: SpanExporter | None = None) -> None:
        """Start the exporting thread. No I/O: it connects when there is something to send."""
        self._ratio = TraceIdRatioBased(settings.trace_sampling)
        self._ids = _Ids()
        provider = TracerProvider(
            sampler=ParentBased(self._ratio),
            resource=_resource(settings),
            id_generator=self._ids,
            shutdown_on_exit=True,
            span_limits=SpanLimits(max_span_attribute_length=128),
        )
        provider.add_span_processor(
            BatchSpanProcessor(
                exporter or _AtFirst(settings),
                schedule_delay_millis=settings.traces_batch_s * 1000,
                export_timeout_millis=EXPORT_TIMEOUT_S * 1000,
            )
        )
        self._tracer = provider.get_tracer("upstream")
        self._provider = provider
        self._ending = False

    def end(self) -> None:
        """Send what there is, and from now on each function's spans as it ends: the server takes no more requests."""
        self._ending = True
        self._provider.force_flush(int(EXPORT_TIMEOUT_S * 1000))

    def close(self) -> None:
        """Send what there is, and see nothing more."""
        self._provider.shutdown()

    def entry(
        self, name: str, kind: Kind, trace_parent: str, *, ids: Mapping[str, str], begins: bool
    ) -> AbstractContextManager[Span]:
        """Begin a function's span below the one that `trace_parent` names or, where it begins a trace, as its root."""
        begun = self._enter(name, kind, _read(trace_parent), begins=begins)
        begun.note(**ids)
        begun.left = self._left
        return begun

    def _left(self) -> None:
        if self._ending:
            self.end()

    def _enter(self, name: str, kind: Kind, sent: trace.SpanContext | None, *, begins: bool) -> "_Live":
        if sent is None:
            return self._begin(name, kind, contexts.Context())
        if begins:
            with self._ids.of(sent.trace_id):
                return self._begin(name, kind, contexts.Context())
        return self._begin(name, kind, _below(self._decided(sent)))

    def step(self, name: str, kind: Kind, causes: Sequence[str]) -> AbstractContextManager[Span]:
        """Begin a part of what the current span is, or of the first of `causes`, with links to the others."""
        named = [found for cause in causes if (found := _read(cause)) is not None]
        if named:
            return self._begin(name, kind, _below(named[0]), named[1:])
        if not trace.get_current_span().get_span_context().is_valid:
            return NOTHING
        return self._begin(name, kind, None)

    def _begin(
        self,
        name: str,
        kind: Kind,
        context: contexts.Context | None,
        links: Sequence[trace.SpanContext] = (),
    ) -> "_Live":
        targets = [trace.Link(link) for link in links]
        return _Live(
            self._tracer.start_span(name, context, KINDS[kind], links=targets, record_exception=False)
        )

    def _decided(self, sent: trace.SpanContext) -> trace.SpanContext:
        """Return what was sent, sampled as we sample: whoever is between two of our functions may set the flag."""
        sampled = self._ratio.should_sample(None, sent.trace_id, "").decision is Decision.RECORD_AND_SAMPLE
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if sampled else trace.TraceFlags.DEFAULT)
        return trace.SpanContext(sent.trace_id, sent.span_id, is_remote=True, trace_flags=flags)


class _Live:
    """A span that is the current one until it is left. An error that passes leaves its code, never its message."""

    left: Callable[[], None] | None = None

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def __enter__(self) -> Self:
        self._token = contexts.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if error is not None:
            self.fail(code_of(error))
        contexts.detach(self._token)
        self._span.end()
        if self.left is not None:
            self.left()

    @property
    def trace_parent(self) -> str:
        """Return this span, for what follows."""
        own = self._span.get_span_context()
        return f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"

    def note(self, **ids: str) -> None:
        """Add attributes. What is no id or code of ours is dropped."""
        for name in ids.keys() & IDS:
            self._span.set_attribute(name, ids[name])

    def fail(self, code: str) -> None:
        """Note that it came to nothing."""
        self._span.set_status(trace.StatusCode.ERROR)
        self._span.set_attribute("code", code)


class _Ids(RandomIdGenerator):
    """Random ids, but for a root whose trace has its id already."""

    def __init__(self) -> None:
        self._given: int | None = None

    @contextmanager
    def of(self, trace_id: int) -> Iterator[None]:
        """Begin the next root in this trace. A span is begun without giving up the thread's turn to another task."""
        self._given = trace_id
        try:
            yield
        finally:
            self._given = None

    def generate_trace_id(self) -> int:
        """Return the given id, else a random one."""
        return self._given or super().generate_trace_id()


def _read(trace_parent: str) -> trace.SpanContext | None:
    """Return what a `traceparent` names. Source: W3C Trace Context, "traceparent"."""
    try:
        version, trace_id, span_id, flags = trace_parent.split("-")
        found = trace.SpanContext(
            int(trace_id, 16),
            int(span_id, 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(int(flags, 16) & 1),
        )
    except ValueError:
        return None
    return found if version == "00" and found.is_valid else None


def _below(parent: trace.SpanContext) -> contexts.Context:
    return trace.set_span_in_context(trace.NonRecordingSpan(parent), contexts.Context())


def _resource(settings: Settings) -> Resource:
    named = {
        "service.name": os.environ.get("K_SERVICE", "upstream"),  # Cloud Run names the service
        "service.version": settings.release,
        "deployment.environment.name": settings.environment,
        "gcp.project_id": settings.project_id if settings.traces == "cloud" else "",
    }
    return Resource({name: value for name, value in named.items() if value})


class _AtFirst(SpanExporter):
    """An exporter that is imported and made when it is first needed: on the exporting thread, after a first reply."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: SpanExporter | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans, as the settings say."""
        if self._made is None:
            from shared.runtime.trace_exporters import exporter  # noqa: PLC0415 - see the class

            self._made = exporter(self._settings)
        return self._made.export(spans)

    def shutdown(self) -> None:
        """Send no more."""
        if self._made is not None:
            self._made.shutdown()
