"""What becomes of a dead letter: kept whole, published again once, the same one when it fails again."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.adapters.memory import InMemoryPublisher
from shared.adapters.postgres.record import tenant
from shared.domain.events import Message
from shared.domain.ids import derive
from shared.handlers.dead_letters.replay import Limits, message
from shared.ports.dead_letters import Claimed, Run, Wanted
from shared.runtime.envelope import acting_id
from tests.functional.letters import Practice, advice, broken, forwarded

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline


@pytest.fixture
def practice(pipeline: "Pipeline") -> Practice:
    return Practice(pipeline)


def test_the_letter_of_an_event_and_consumer_is_one_however_often_it_comes(practice: Practice) -> None:
    event = practice.event(advice("A1"))
    practice.keep(*[forwarded(event)] * 3)
    [row] = practice.rows("dead_letters")
    assert row["id"] == derive(event.id, "process_webhook")
    assert (row["state"], row["attempts"], row["body"]) == ("open", 5, advice("A1"))
    assert row["trace_id"] == event.trace_parent.split("-")[1]


def test_what_crashed_five_times_is_processed_once_when_the_bug_is_fixed(
    pipeline: "Pipeline", practice: Practice
) -> None:
    with pipeline.owner.begin() as session:
        session.exec_driver_sql("REVOKE INSERT ON remittances FROM upstream_app")
    try:
        event_id = practice.sends(advice("B1"))
    finally:
        with pipeline.owner.begin() as session:
            session.exec_driver_sql("GRANT INSERT ON remittances TO upstream_app")
    [letter] = practice.letters(practice.ours, limit=5)
    assert (letter.consumer, letter.code, letter.attempts) == ("process_webhook", "unhandled", 5)
    assert letter.event_id == event_id
    assert practice.count("claim_payments") == 0
    report = practice.replay()
    assert (report.ended, report.progress.tally.processed) == ("done", 1)
    assert practice.states() == {("replayed", "processed")}
    assert practice.replay(Wanted(ids=(letter.id,))).progress.refused == 1
    assert practice.count("claim_payments") == practice.count("executions") == 1


def test_a_letter_that_fails_again_is_the_same_letter_with_its_history(practice: Practice) -> None:
    practice.sends(broken("C1"))
    [first] = practice.rows("dead_letters")
    for _ in range(2):
        report = practice.replay()
        assert (report.progress.published, report.progress.tally.failed) == (1, 1)
    [last] = practice.rows("dead_letters")
    assert (last["id"], last["state"], last["body"]) == (first["id"], "open", broken("C1"))
    assert last["first_at"] == first["first_at"]
    assert last["last_at"] > first["last_at"]
    history = [(row["outcome"], row["code"]) for row in practice.rows("dead_letter_replays")]
    assert history == [("failed", "unreadable_payload")] * 2


def test_a_late_copy_of_a_failure_reopens_nothing_and_a_new_delivery_does(practice: Practice) -> None:
    copy = forwarded(practice.event(broken("D1")))
    practice.keep(copy)
    [letter] = practice.letters(practice.ours, limit=5)
    assert practice.discard([letter.id], by="ada", why="a test file") == [letter.id]
    practice.keep(copy)
    assert practice.states() == {("discarded", "")}
    later = {**copy.attributes, "ce-time": datetime.now(UTC).isoformat(timespec="microseconds")}
    sent_again = Message("dead-letters", b"again", later)
    practice.keep(sent_again)
    [row] = practice.rows("dead_letters")
    assert (row["state"], row["body"]) == ("open", b"again")
    practice.replay(publisher=InMemoryPublisher(), limits=Limits(patience_s=0))
    practice.keep(copy, sent_again)
    assert practice.states() == {("replayed", "published")}


@pytest.mark.parametrize("state", ["committing", "unknown"])
def test_what_would_act_twice_is_refused(pipeline: "Pipeline", practice: Practice, state: str) -> None:
    event_id = practice.sends(advice("E1"))
    practice.keep(forwarded(practice.event(advice("E1"), event_id)))
    assert practice.refusals() == ["settled"]
    doubtful = practice.event(advice("E2"))
    practice.keep(forwarded(doubtful))
    pipeline.execute(
        "INSERT INTO actions (id, customer_id, execution_id, event_id, rule_id, subject, type, params, state)"
        " VALUES (gen_random_uuid(), CAST(:customer AS uuid), gen_random_uuid(), CAST(:event AS uuid), 'r', 's',"
        " 'submit_appeal', '{}', :state)",
        state=state,
        customer=str(practice.customer),
        event=str(doubtful.id),
    )
    assert practice.refusals() == ["settled", "outcome_unknown"]
    assert practice.replay().progress.refused == 2
    assert practice.refusals(replay_id="again") == [None, "outcome_unknown"]
    report = practice.replay(replay_id="again")
    assert (report.progress.published, report.progress.refused) == (1, 1)
    assert [row["replay_id"] for row in practice.rows("dead_letter_replays")] == ["again"]


def test_a_doubt_that_arises_after_the_plan_is_respected_by_the_claim(
    pipeline: "Pipeline", practice: Practice
) -> None:
    event = practice.event(advice("E3"))
    practice.keep(forwarded(event))
    asked = [planned.asked for planned in practice.plan() if planned.asked]
    pipeline.execute(
        "INSERT INTO actions (id, customer_id, execution_id, event_id, rule_id, subject, type, params, state)"
        " VALUES (CAST(:event AS uuid), CAST(:customer AS uuid), gen_random_uuid(), gen_random_uuid(), 'r', 's',"
        " 'submit_appeal', '{}', 'unknown')",
        customer=str(practice.customer),
        event=str(event.id),
    )
    assert not practice.claim(asked, Run(uuid4(), by="ada", why="too late"))
    assert not practice.rows("dead_letter_replays")


def test_a_replay_id_makes_one_consumer_act_again_once(pipeline: "Pipeline", practice: Practice) -> None:
    practice.sends(advice("F1"))
    [denied] = [row for row in practice.rows("outbox") if row["event_type"] == "claim.denied"]
    source = {"CloudPubSubDeadLetterSourceSubscription": "apply-rules"}
    practice.keep(Message("dead-letters", bytes(denied["data"]), {**denied["attributes"], **source}))
    wanted = Wanted(customer_id=practice.customer, consumer="apply_rules")
    assert practice.refusals(wanted) == ["settled"]
    assert practice.count("executions") == 1
    assert practice.replay(wanted, replay_id="2026-02-03").progress.tally.processed == 1
    assert practice.refusals(wanted, replay_id="2026-02-03") == ["settled"]
    assert practice.refusals(wanted, replay_id="2026-02-04") == [None]
    again = acting_id(denied["id"], "apply_rules", "2026-02-03")
    decided = practice.rows("executions")
    assert {row["event_id"] for row in decided} == {denied["id"], again}
    assert len({row["trace_id"] for row in decided}) == 1
    practice.publish([copy_of_replay(practice, "2026-02-03")])
    assert pipeline.drained()
    assert practice.count("executions") == 2


def copy_of_replay(practice: Practice, replay_id: str) -> Message:
    """Return the one letter's message as it was published, for a broker that delivers it once more."""
    [letter], [replay] = practice.rows("dead_letters"), practice.rows("dead_letter_replays")
    claimed = Claimed(replay["id"], letter["id"], letter["consumer"], letter["attributes"], letter["body"])
    return message(claimed, "domain-events", Run(uuid4(), by="ada", why="copy", replay_id=replay_id))


def test_what_a_consumer_committed_and_never_published_is_published_by_a_replay(
    pipeline: "Pipeline", practice: Practice
) -> None:
    event_id = practice.sends(advice("G1"))
    pipeline.execute(  # as if the broker had been away five times, after the commit
        "UPDATE outbox SET published_at = NULL WHERE customer_id = CAST(:customer AS uuid)",
        customer=str(practice.customer),
    )
    practice.keep(forwarded(practice.event(advice("G1"), event_id)))
    [planned] = practice.plan()
    assert (planned.refusal, planned.unfinished) == (None, True)
    assert practice.replay().progress.tally.processed == 1
    assert pipeline.drained()
    assert all(row["published_at"] for row in practice.rows("outbox"))
    assert practice.count("claim_payments") == practice.count("executions") == 1


def test_a_letter_of_a_customer_that_did_not_exist_is_theirs_once_it_does(
    pipeline: "Pipeline", practice: Practice
) -> None:
    customer = uuid4()
    event = practice.event(broken("H1"), customer=customer)
    practice.keep(forwarded(event))
    [row] = pipeline.rows(
        "SELECT id, customer_id FROM dead_letters WHERE event_id = CAST(:event AS uuid)", event=str(event.id)
    )
    assert row["customer_id"] == UUID(int=0)
    wanted = Wanted(ids=(row["id"],))
    assert practice.refusals(wanted) == ["unknown_customer"]
    pipeline.execute("INSERT INTO customers (id, name) VALUES (CAST(:id AS uuid), 'Late')", id=str(customer))
    assert practice.replay(wanted).progress.tally.failed == 1
    assert practice.replay(wanted, edited=advice("H1")).progress.tally.processed == 1
    [found] = practice.letters(Wanted(customer_id=customer), limit=5)
    assert (found.id, found.state) == (row["id"], "replayed")


def test_what_was_never_one_of_our_events_is_kept_once_and_never_published(
    pipeline: "Pipeline", practice: Practice
) -> None:
    mark = uuid4().hex
    strange = Message("dead-letters", b"?", {"ce-subject": mark, "upstream-code": "invalid_event"})
    practice.keep(strange, strange)
    [row] = pipeline.rows(
        "SELECT id, customer_id FROM dead_letters WHERE attributes ->> 'ce-subject' = :mark", mark=mark
    )
    assert row["customer_id"] == UUID(int=0)
    assert practice.refusals(Wanted(ids=(row["id"],))) == ["not_an_event"]


def test_a_replay_is_invisible_and_unwritable_for_another_customer(
    pipeline: "Pipeline", practice: Practice
) -> None:
    practice.keep_advices(1)
    practice.replay()
    [row] = practice.rows("dead_letter_replays")
    stranger = pipeline.customer()
    with tenant(pipeline.app.engine, stranger) as session:
        assert session.exec_driver_sql("SELECT count(*) FROM dead_letter_replays").scalar_one() == 0
        assert session.exec_driver_sql("UPDATE dead_letter_replays SET why = ''").rowcount == 0
    with tenant(pipeline.app.engine, practice.customer) as session:
        assert session.exec_driver_sql("SELECT id FROM dead_letter_replays").scalar_one() == row["id"]
    insert = text(
        "INSERT INTO dead_letter_replays (id, dead_letter_id, customer_id, batch_id, event_id, replayed_by, why,"
        " lease_expires_at) VALUES (gen_random_uuid(), CAST(:letter AS uuid), CAST(:customer AS uuid),"
        " gen_random_uuid(), gen_random_uuid(), '', '', now())"
    )
    given = {"letter": str(row["dead_letter_id"]), "customer": str(stranger)}
    with pytest.raises(DBAPIError), tenant(pipeline.app.engine, stranger) as session:
        session.execute(insert, given)
