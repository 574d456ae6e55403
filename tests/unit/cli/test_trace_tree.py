from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import UUID

from rich.console import Console

from cli.trace_tree import since_start_ms, tree
from shared.ports.record import Hop

START = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
WEBHOOK, DENIED, TOLD = UUID(int=1), UUID(int=2), UUID(int=3)


def hop(what: str, event_id: UUID, parent_id: UUID | None, outcome: str, ms: float, **detail: object) -> Hop:
    names = {WEBHOOK: "webhook.received", DENIED: "claim.denied", TOLD: "notification.requested"}
    return Hop(
        START + timedelta(milliseconds=ms), what, event_id, parent_id, names[event_id], outcome, detail
    )


STORY = [
    hop("receive_webhook", WEBHOOK, None, "accepted", 0, trace_id="ab" * 16, customer_id="c"),
    hop("process_webhook", WEBHOOK, None, "taken", 3, attempt=1),
    hop("event", DENIED, WEBHOOK, "published", 5, topic="domain-events"),
    hop("apply_rules", DENIED, WEBHOOK, "taken", 9, attempt=2),
    hop(
        "decision",
        DENIED,
        WEBHOOK,
        "fired",
        11.25,
        rule_id="r",
        rule_version=3,
        result="SUCCESS",
        execution_time_ms=0.5,
    ),
    hop("event", TOLD, DENIED, "waiting", 12, topic="notifications"),
    hop("notification", TOLD, DENIED, "delivered", 20, channel_id="mail", code=""),
]


def printed(hops: list[Hop]) -> list[str]:
    out = StringIO()
    Console(file=out, width=160).print(tree(hops, asked=DENIED))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_events_hang_below_what_caused_them() -> None:
    lines = printed(STORY)
    depth = {
        event: next(line.index(str(event)) for line in lines if str(event) in line)
        for event in (WEBHOOK, DENIED, TOLD)
    }
    columns = {event: next(line for line in lines if str(event) in line).index("── ") for event in depth}
    assert columns[WEBHOOK] < columns[DENIED] < columns[TOLD]


def test_every_hop_says_when_what_and_how_it_ended() -> None:
    text = "\n".join(printed(STORY))
    assert "2026-02-03 04:05:06.000 UTC  trace " + "ab" * 16 in text
    assert "+11.2 ms  decision          fired       r version 3, SUCCESS, 0.5 ms" in text
    assert "+12.0 ms  published         waiting     to notifications" in text
    assert "+9.0 ms  apply_rules       taken       attempt 2" in text


def test_a_story_without_its_beginning_is_still_told() -> None:
    lines = printed(STORY[3:])
    assert any("decision" in line for line in lines)
    assert since_start_ms(STORY[4], STORY[3:]) == 2.2
