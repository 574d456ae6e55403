"""Spans are seen by whoever asked, name nothing but ids and codes, and cost nobody anything else."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.runtime import spans
from shared.runtime.errors import PoisonError
from shared.runtime.settings import Settings
from shared.runtime.spans import NOTHING, Unseen, entry, step
from shared.runtime.telemetry import Telemetry

ROOT = Path(__file__).parents[2]
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = f"00-{TRACE}-{SPAN}-01"
UNSAMPLED = f"00-{TRACE}-{SPAN}-00"


class Seen:
    """What a tracer exported, once it is closed."""

    def __init__(self, sampling: float) -> None:
        self._exporter = InMemorySpanExporter()
        self._telemetry = Telemetry(Settings(traces="otlp", trace_sampling=sampling), self._exporter)
        spans.see(self._telemetry)

    def end(self) -> Sequence[ReadableSpan]:
        self._telemetry.close()
        return self._exporter.get_finished_spans()


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Iterator[Seen]:
    yield Seen(getattr(request, "param", 1.0))
    spans.see()


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def test_what_nobody_sees_hands_on_what_came() -> None:
    with entry("notify", "consumer", SENT, ids={"event_id": "e-1"}) as span, step("publish") as inner:
        span.note(event_id="e-2")
        span.fail("timeout")
        assert span.trace_parent == SENT
    assert isinstance(span, Unseen)
    assert inner is NOTHING


def test_what_nobody_asked_for_is_not_loaded() -> None:
    script = "import sys\nfrom shared.runtime.bootstrap import app\napp()\n"
    script += "print([m for m in sys.modules if m.startswith(('opentelemetry', 'sentry_sdk', 'prometheus'))])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_consumer_is_a_child_of_what_sent_it_its_message(seen: Seen) -> None:
    with entry("notify", "consumer", SENT, ids={"function": "notify", "event_id": "e-1"}) as span:
        with step("publish", "producer"):
            pass
        handed_on = span.trace_parent
    publish, notify = seen.end()
    assert (parent_of(notify), notify.attributes) == (SPAN, {"function": "notify", "event_id": "e-1"})
    assert notify.context is not None
    assert publish.parent == notify.context
    assert handed_on == f"00-{TRACE}-{notify.context.span_id:016x}-01"


def test_the_first_of_a_trace_has_its_id_and_no_parent(seen: Seen) -> None:
    with entry("receive_webhook", "server", SENT, ids={}, begins=True):
        pass
    with entry("receive_webhook", "server", "", ids={}, begins=True):
        pass
    first, other = seen.end()
    assert (parent_of(first), parent_of(other)) == (None, None)
    assert first.context is not None
    assert other.context is not None
    assert f"{first.context.trace_id:032x}" == TRACE
    assert other.context.trace_id not in (first.context.trace_id, 0)


@pytest.mark.parametrize("seen", [0.0], indirect=True)
def test_a_payers_flag_does_not_make_us_keep_a_trace(seen: Seen) -> None:
    with entry("receive_webhook", "server", SENT, ids={}) as span:
        assert span.trace_parent.startswith(f"00-{TRACE}-")
        assert span.trace_parent.endswith("-00")
        with entry("process_webhook", "consumer", span.trace_parent, ids={}) as next_hop:
            assert next_hop.trace_parent.endswith("-00")
    assert seen.end() == ()


def test_nor_does_a_flag_that_somebody_took_away_on_the_way_keep_us_from_it(seen: Seen) -> None:
    with entry("process_webhook", "consumer", UNSAMPLED, ids={}), step("publish"):
        pass
    publish, span = seen.end()
    assert parent_of(span) == SPAN
    assert publish.parent == span.context


@pytest.mark.parametrize("seen", [0.125], indirect=True)
def test_one_trace_in_eight_is_kept_whole(seen: Seen) -> None:
    for n in range(800):
        with (
            entry(
                "receive_webhook", "server", f"00-{n + 1:016x}{n * 2**64 // 800:016x}-{SPAN}-01", ids={}
            ) as first,
            entry("process_webhook", "consumer", first.trace_parent, ids={}) as second,
            entry("notify", "consumer", second.trace_parent, ids={}),
        ):
            pass
    found = seen.end()
    traces = {span.context.trace_id for span in found if span.context is not None}
    assert len(traces) == 100
    assert len(found) == 300


def test_an_error_leaves_its_code_and_not_its_words(seen: Seen) -> None:
    with pytest.raises(PoisonError), entry("notify", "consumer", SENT, ids={}):
        raise PoisonError("invalid_event", "DOE, JANE")
    with pytest.raises(KeyError), entry("notify", "consumer", SENT, ids={}):
        raise KeyError("DOE, JANE")
    found = seen.end()
    assert [span.attributes for span in found] == [{"code": "invalid_event"}, {"code": "unhandled"}]
    assert [span.status.is_ok for span in found] == [False, False]
    assert "JANE" not in "".join(span.to_json() for span in found)


def test_what_is_no_id_or_code_of_ours_is_dropped(seen: Seen) -> None:
    with entry("notify", "consumer", SENT, ids={"patient": "DOE, JANE", "event_id": "e-1"}) as span:
        span.note(subject="DOE, JANE", code="timeout")
    (found,) = seen.end()
    assert found.attributes == {"event_id": "e-1", "code": "timeout"}


def test_a_step_of_several_is_below_the_first_and_linked_to_the_others(seen: Seen) -> None:
    others = [f"00-{TRACE}-{n:016x}-01" for n in (1, 2, 3)]
    with step("transaction", "client", others):
        pass
    (span,) = seen.end()
    assert parent_of(span) == f"{1:016x}"
    assert [link.context.span_id for link in span.links] == [2, 3]


@pytest.mark.parametrize("causes", [[], [""], ["none"], ["00-zz-1-01"], [f"01-{TRACE}-{SPAN}-01"]])
def test_a_step_of_nothing_is_nothing(seen: Seen, causes: list[str]) -> None:
    with step("transaction", "client", causes):
        pass
    assert seen.end() == ()


async def test_tasks_at_once_keep_their_spans_apart(seen: Seen) -> None:
    async def handle(n: int) -> None:
        with entry("notify", "consumer", f"00-{n:032x}-{SPAN}-01", ids={}):
            await asyncio.sleep(0.001 * (n % 3))
            with step("publish"):
                await asyncio.sleep(0)

    await asyncio.gather(*(handle(n) for n in range(1, 21)))
    found = seen.end()
    by_id = {span.context.span_id: span for span in found if span.context is not None}
    steps = [span for span in found if span.name == "publish"]
    assert len(steps) == 20
    for one in steps:
        assert one.parent is not None
        assert one.context is not None
        assert by_id[one.parent.span_id].name == "notify"
        assert one.parent.trace_id == one.context.trace_id
