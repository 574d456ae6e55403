"""What a function does, as spans for whoever asked to see them. Nobody did: one branch, and nothing is made.

A span carries ids and codes, those of IDS, and nothing else (docs/observability.md). Two see spans: OpenTelemetry's
(`shared/runtime/telemetry.py`) and Sentry's (`shared/runtime/sentry.py`), each loaded where a setting asks for it.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Final, Literal, Protocol, Self

IDS: Final = frozenset(
    {"function", "event_id", "event_type", "customer_id", "connection_id", "provider", "trace_id", "action_id",
     "portal", "attempt", "code"}
)  # fmt: skip
Kind = Literal["server", "consumer", "producer", "client", "internal"]


class Span(Protocol):
    """One piece of work, while it goes on."""

    @property
    def trace_parent(self) -> str:
        """What is to be handed on, so that what follows becomes this span's child: a W3C `traceparent`."""
        ...

    def note(self, **ids: str) -> None:
        """Add what is known only now. ids: ids and codes; a patient's data never."""
        ...

    def fail(self, code: str) -> None:
        """Note that it came to nothing, and why."""
        ...


class Tracer(Protocol):
    """Somebody who wants to see spans."""

    def entry(
        self, name: str, kind: Kind, trace_parent: str, *, ids: Mapping[str, str], begins: bool
    ) -> AbstractContextManager[Span]:
        """Begin what a function does for one request or message, below the span that `trace_parent` names.

        begins: no such span exists; this is the first of its trace.
        """
        ...

    def step(self, name: str, kind: Kind, causes: Sequence[str]) -> AbstractContextManager[Span]:
        """Begin a part of it. causes: `traceparent`s of the spans it is done for, where that is not the current one."""
        ...

    def end(self) -> None:
        """Send what there is: the process is told to end."""
        ...


class Unseen:
    """The span that nobody sees."""

    __slots__ = ("trace_parent",)

    def __init__(self, trace_parent: str = "") -> None:
        self.trace_parent = trace_parent

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def note(self, **ids: str) -> None:
        """See nothing."""

    def fail(self, code: str) -> None:
        """See nothing."""


NOTHING = Unseen()
_tracers: tuple[Tracer, ...] = ()


def see(*tracers: Tracer) -> None:
    """Let these see every span from now on; nobody, if there are none."""
    global _tracers  # noqa: PLW0603 - one per process, as the log's configuration
    _tracers = tracers


def entry(
    name: str, kind: Kind, trace_parent: str, *, ids: Mapping[str, str], begins: bool = False
) -> AbstractContextManager[Span]:
    """Begin what a function does for one request or message. begins: it is the first of its trace."""
    if not _tracers:
        return Unseen(trace_parent)
    begun = [tracer.entry(name, kind, trace_parent, ids=ids, begins=begins) for tracer in _tracers]
    return begun[0] if len(begun) == 1 else _Together(begun)


def step(name: str, kind: Kind = "internal", causes: Sequence[str] = ()) -> AbstractContextManager[Span]:
    """Begin a part of what the function does now."""
    if not _tracers:
        return NOTHING
    return _tracers[0].step(name, kind, causes)


class _Together:
    """The spans of several tracers as one. The first of them decides what is handed on."""

    def __init__(self, begun: Sequence[AbstractContextManager[Span]]) -> None:
        self._begun = begun
        self._spans: list[Span] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._spans = [self._stack.enter_context(one) for one in self._begun]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def trace_parent(self) -> str:
        return self._spans[0].trace_parent

    def note(self, **ids: str) -> None:
        for span in self._spans:
            span.note(**ids)

    def fail(self, code: str) -> None:
        for span in self._spans:
            span.fail(code)
