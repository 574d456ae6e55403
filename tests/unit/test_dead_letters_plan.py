"""What a replay refuses, when it stops, and how much it takes on at a time."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from shared.handlers.dead_letters.plan import REFUSALS, Planned, Refusal, decide, identify
from shared.handlers.dead_letters.replay import MAX_CHUNK_BYTES, Limits, _chunks, check_run
from shared.handlers.dead_letters.routes import DECLARED, read_routes, routes
from shared.ports.dead_letters import Asked, Facts, Letter, Run, Tally, Wanted
from shared.runtime.envelope import acting_id
from shared.runtime.errors import PoisonError
from shared.runtime.settings import MAX_EDITED_BYTES

NOW = datetime(2026, 2, 3, tzinfo=UTC)
EVENT_ID, CUSTOMER = UUID(int=1), UUID(int=2)
LETTER = Letter(
    id=uuid4(),
    customer_id=CUSTOMER,
    customer="Practice",
    event_id=EVENT_ID,
    connection_id=None,
    consumer="process_webhook",
    subscription="process-webhook",
    event_type="webhook.received",
    code="unhandled",
    reason="delivered too often without an acknowledgement",
    attempts=5,
    trace_id="",
    state="open",
    first_at=NOW,
    last_at=NOW,
    last_replay=None,
    discarded_by="",
    discarded_why="",
    discarded_at=None,
    body_bytes=1000,
    attributes={
        "ce-id": str(EVENT_ID),
        "ce-type": "app.upstream.webhook.received",
        "ce-source": "/connections/1",
        "ce-time": NOW.isoformat(),
        "ce-specversion": "1.0",
        "ce-customerid": str(CUSTOMER),
        "ce-parentid": str(EVENT_ID),
    },
)
FREE = Facts(
    taken=False,
    unfinished=False,
    outcome_unknown=False,
    has_customer=True,
    held_until=None,
    in_flight_since=None,
)
RUN = Run(uuid4(), by="ada", why="fixed")


@pytest.mark.parametrize(
    ("facts", "refusal", "unfinished"),
    [
        (FREE, None, False),
        (replace(FREE, taken=True), "settled", False),
        (replace(FREE, taken=True, unfinished=True), None, True),
        (replace(FREE, outcome_unknown=True), "outcome_unknown", False),
        (replace(FREE, outcome_unknown=True, taken=True, unfinished=True), "outcome_unknown", True),
        (replace(FREE, has_customer=False), "unknown_customer", False),
        (replace(FREE, purged=True), "purged", False),
        (replace(FREE, held_until=NOW), "held", False),
        (replace(FREE, in_flight_since=NOW), "in_flight", False),
        (None, "gone", False),
    ],
)
def test_what_is_known_of_a_letter_decides(
    facts: Facts | None, refusal: Refusal | None, *, unfinished: bool
) -> None:
    planned = decide(LETTER, identify(LETTER), facts, "webhook-events")
    assert (planned.refusal, planned.unfinished, planned.topic) == (refusal, unfinished, "webhook-events")


def test_a_letter_without_a_route_or_without_an_event_is_refused() -> None:
    assert decide(LETTER, identify(LETTER), FREE, None).refusal == "no_route"
    strange = replace(LETTER, attributes={"ce-id": "?"})
    assert identify(strange) is None
    assert decide(strange, None, None, "webhook-events").refusal == "not_an_event"


def test_every_refusal_is_explained() -> None:
    assert all(REFUSALS.values())


def test_a_letter_is_looked_up_as_its_consumer_would_take_it() -> None:
    assert identify(LETTER) == Asked(LETTER, EVENT_ID, CUSTOMER)
    again = identify(LETTER, "r-1")
    assert again == Asked(LETTER, acting_id(EVENT_ID, "process_webhook", "r-1"), CUSTOMER)


def test_every_declared_consumer_has_its_topic() -> None:
    declared = json.loads(DECLARED.read_text())["subscriptions"]
    assert set(routes()) == {subscription["function"] for subscription in declared.values()}
    assert (routes()["process_webhook"], routes()["notify"]) == ("webhook-events", "notifications")


def test_a_topic_that_the_code_does_not_know_is_an_error() -> None:
    declared = {"topics": {"new": {"subscriptions": ["s"]}}, "subscriptions": {"s": {"function": "f"}}}
    with pytest.raises(KeyError):
        read_routes(json.dumps(declared))


@pytest.mark.parametrize(
    ("processed", "failed", "failing"),
    [
        (0, 19, False),
        (0, 20, True),
        (18, 2, False),
        (17, 3, True),
        (900, 100, False),
        (900, 101, True),
        (500, 0, False),
    ],
)
def test_a_run_is_failing_when_more_than_its_share_failed_again(
    processed: int, failed: int, *, failing: bool
) -> None:
    assert Limits().failing(Tally(waiting=1000, processed=processed, failed=failed)) is failing


@pytest.mark.parametrize(("rate", "chunk"), [(0.1, 1), (4, 1), (40, 10), (1000, 25)])
def test_a_slow_run_claims_few_at_a_time(rate: float, chunk: int) -> None:
    assert Limits(rate_per_s=rate).chunk == chunk


def planned(count: int, *, body_bytes: int = 10, refusal: Refusal | None = None) -> list[Planned]:
    letter = replace(LETTER, body_bytes=body_bytes)
    return [Planned(letter, "webhook-events", identify(letter), refusal) for _ in range(count)]


def test_letters_are_claimed_in_chunks_without_the_refused_ones() -> None:
    page = [*planned(3), *planned(2, refusal="settled"), *planned(4)]
    assert [len(chunk) for chunk in _chunks(page, 5)] == [5, 2]
    assert not list(_chunks(planned(2, refusal="held"), 5))


def test_large_letters_are_claimed_alone() -> None:
    page = [*planned(2, body_bytes=MAX_CHUNK_BYTES), *planned(3)]
    assert [len(chunk) for chunk in _chunks(page, 25)] == [1, 1, 3]


ONE, ALL = Wanted(ids=(LETTER.id,)), Wanted(state="open")


@pytest.mark.parametrize(
    ("wanted", "change", "code"),
    [
        (ALL, lambda run: replace(run, by=""), "bad_request"),
        (ALL, lambda run: replace(run, why="  "), "bad_request"),
        (ALL, lambda run: replace(run, edited=b"x"), "bad_request"),
        (ONE, lambda run: replace(run, edited=b"x" * (MAX_EDITED_BYTES + 1)), "payload_too_large"),
        (ALL, lambda run: replace(run, replay_id="x" * 65), "bad_request"),
        (ALL, lambda run: replace(run, replay_id="a/b"), "bad_request"),
    ],
)
def test_a_run_that_does_not_say_enough_is_refused(
    wanted: Wanted, change: Callable[[Run], Run], code: str
) -> None:
    with pytest.raises(PoisonError) as caught:
        check_run(wanted, change(RUN), Limits())
    assert caught.value.code == code


def test_a_run_that_says_enough_is_not() -> None:
    check_run(ALL, replace(RUN, replay_id="2026-02-03T04:05_a.b"), Limits())
    check_run(ONE, replace(RUN, edited=b""), Limits())
    with pytest.raises(PoisonError):
        check_run(ALL, RUN, Limits(rate_per_s=0))


def test_a_state_alone_does_not_choose_letters() -> None:
    assert ALL.everything
    assert not ONE.everything
    assert not replace(ALL, text="ISA").everything
    assert not replace(ALL, since=NOW).everything
