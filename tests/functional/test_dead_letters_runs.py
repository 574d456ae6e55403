"""Replays that meet each other, are killed, or had better stop."""

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from shared.adapters.embedded.publisher import EmbeddedPublisher
from shared.adapters.memory import InMemoryPublisher
from shared.adapters.postgres.dead_letters import PostgresDeadLetterDesk
from shared.domain.events import Message
from shared.handlers.dead_letters.replay import Limits, Report, message
from shared.ports.dead_letters import Run, Wanted
from shared.runtime.errors import PoisonError, TransientError
from tests.functional.letters import Practice, advice, broken

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline


@pytest.fixture
def practice(pipeline: "Pipeline") -> Practice:
    return Practice(pipeline)


class CountingPublisher:
    """A publisher of one engineer's own, as each process has one, and the ids of what went through it."""

    def __init__(self, pipeline: "Pipeline") -> None:
        self._publisher = EmbeddedPublisher(pipeline.app.local_engine)
        self.published: list[str] = []

    async def publish(self, messages: Sequence[Message], *, timeout_s: float) -> None:
        self.published += [one.attributes["ce-id"] for one in messages]
        await self._publisher.publish(messages, timeout_s=timeout_s)

    async def ready(self) -> None:
        await self._publisher.ready()


def test_two_engineers_at_once_publish_no_letter_twice(pipeline: "Pipeline", practice: Practice) -> None:
    practice.keep_advices(80)
    publishers = [CountingPublisher(pipeline), CountingPublisher(pipeline)]
    reports: list[Report] = []
    gate = threading.Barrier(2)

    def engineer(publisher: CountingPublisher) -> None:
        gate.wait()
        reports.append(practice.replay(publisher=publisher))

    threads = [threading.Thread(target=engineer, args=(publisher,)) for publisher in publishers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    published = [event for publisher in publishers for event in publisher.published]
    assert len(published) == len(set(published)) == 80
    assert sum(report.progress.published for report in reports) == 80
    assert pipeline.drained()
    practice.settle()
    assert practice.states() == {("replayed", "processed")}
    assert practice.count("dead_letter_replays") == practice.count("claim_payments") == 80


def test_a_run_killed_at_either_side_of_the_publish_loses_and_doubles_nothing(
    pipeline: "Pipeline", practice: Practice
) -> None:
    practice.keep_advices(3)
    before, between, after = [planned.asked for planned in practice.plan() if planned.asked]
    hasty = PostgresDeadLetterDesk(pipeline.operator, lease_s=1)
    run = Run(uuid4(), by="ada", why="killed")
    hasty.claim([before], run)  # and died
    claimed = [*hasty.claim([between], run), *hasty.claim([after], run)]
    practice.publish([message(one, "webhook-events", run) for one in claimed])
    hasty.mark_published(claimed[1:])  # and died before it marked the first of the two
    assert practice.refusals()[0] == "held"
    assert not practice.discard([before.letter.id], by="ada", why="a run holds it")
    assert pipeline.drained()
    time.sleep(1.1)
    report = practice.replay()
    assert (report.progress.published, report.progress.tally.processed) == (1, 1)
    assert {(row["dead_letter_id"], row["outcome"]) for row in practice.rows("dead_letter_replays")} == {
        (before.letter.id, "interrupted"),
        (before.letter.id, "processed"),
        (between.letter.id, "processed"),
        (after.letter.id, "processed"),
    }
    assert practice.states() == {("replayed", "processed")}
    assert practice.count("claim_payments") == 3


def test_a_letter_that_changed_since_it_was_looked_at_is_left_alone(practice: Practice) -> None:
    practice.keep_advices(2)
    asked = [planned.asked for planned in practice.plan() if planned.asked]
    practice.discard([asked[0].letter.id], by="ada", why="meanwhile")
    claimed = practice.claim(asked, Run(uuid4(), by="ada", why="late"))
    assert [one.letter_id for one in claimed] == [asked[1].letter.id]
    assert not practice.claim(asked, Run(uuid4(), by="bob", why="later still"))


def test_a_run_stops_when_too_many_fail_again(pipeline: "Pipeline", practice: Practice) -> None:
    practice.keep_advices(90, broken)
    report = practice.replay(limits=Limits(rate_per_s=60, patience_s=20))
    assert report.ended == "failing"
    assert 20 <= report.progress.published < 90
    assert pipeline.drained()
    assert practice.states() == {("open", "failed"), ("open", "")}


def test_a_run_stops_when_nobody_takes_what_it_publishes(practice: Practice) -> None:
    practice.keep_advices(30)
    limits = Limits(rate_per_s=40, max_waiting=10, patience_s=0.5)
    report = practice.replay(publisher=InMemoryPublisher(), limits=limits)
    assert (report.ended, report.progress.published) == ("no_outcome", 10)
    assert practice.refusals(Wanted(customer_id=practice.customer)).count("in_flight") == 10


def test_while_the_broker_is_away_letters_stay_open(pipeline: "Pipeline", practice: Practice) -> None:
    practice.keep_advices(1)
    away = InMemoryPublisher()
    away.failure = TransientError("unavailable", "broker")
    asked = [planned.asked for planned in practice.plan() if planned.asked]
    with pytest.raises(TransientError):
        practice.replay(publisher=away)
    assert practice.states() == {("open", "claimed")}
    assert practice.refusals() == ["held"]
    pipeline.execute(
        "UPDATE dead_letter_replays SET lease_expires_at = now() WHERE dead_letter_id = CAST(:id AS uuid)",
        id=str(asked[0].letter.id),
    )
    assert practice.replay().progress.tally.processed == 1


@pytest.mark.parametrize(
    "more", [{"why": " "}, {"by": ""}, {"replay_id": "a b"}, {"replay_id": "x" * 65}, {"edited": b"x"}]
)
def test_nothing_is_done_for_a_run_that_does_not_say_enough(practice: Practice, more: dict[str, Any]) -> None:
    practice.keep_advices(1)
    with pytest.raises(PoisonError):
        practice.replay(**more)
    assert practice.states() == {("open", "")}


def test_a_corrected_body_is_published_and_the_original_is_kept(practice: Practice) -> None:
    practice.sends(broken("X1"))
    [letter] = practice.letters(practice.ours, limit=5)
    report = practice.replay(Wanted(ids=(letter.id,)), edited=advice("X1"))
    assert report.progress.tally.processed == 1
    [row], [replay] = practice.rows("dead_letters"), practice.rows("dead_letter_replays")
    assert (row["body"], replay["edited_body"]) == (broken("X1"), advice("X1"))


def test_a_letter_discarded_by_mistake_is_replayed_when_it_is_named(practice: Practice) -> None:
    practice.keep_advices(1)
    [letter] = practice.letters(practice.ours, limit=5)
    practice.discard([letter.id], by="ada", why="the wrong one")
    assert practice.replay().progress.looked_at == 0
    assert practice.replay(Wanted(ids=(letter.id,))).progress.tally.processed == 1
    assert practice.states() == {("replayed", "processed")}
