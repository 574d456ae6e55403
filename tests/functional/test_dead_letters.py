"""Dead letters on the running pipeline: kept whole, listed by cause, replayed once, never behind anyone's back."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from cli.app import app
from cli.workspace import announce, withdraw
from shared.adapters.memory import InMemoryPublisher
from shared.adapters.postgres.dead_letters import PostgresDeadLetterDesk
from shared.adapters.postgres.record import tenant
from shared.domain.events import Event, Message
from shared.domain.ids import derive
from shared.handlers.dead_letters.plan import plan_replay
from shared.handlers.dead_letters.replay import Bench, Limits, Report, message, replay_dead_letters
from shared.handlers.dead_letters.routes import routes
from shared.ports.connections import Connection
from shared.ports.dead_letters import Claimed, Run, Wanted
from shared.runtime.envelope import acting_id, to_attributes
from shared.runtime.errors import PoisonError, TransientError
from shared.runtime.settings import to_environment

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

UPSTREAM = str(Path(sys.executable).with_name("upstream"))
ADVICE = (
    "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PRACTICE       *261101*1200*^*00501*000000001*0*P*:~"
    "GS*HP*PAYER*PRACTICE*20261101*1200*1*X*005010X221A1~ST*835*0001~BPR*I*0*H*NON************20261101~"
    "TRN*1*{number}*1512345678~DTM*405*20261101~N1*PR*OAK HEALTH~N1*PE*PRACTICE*XX*9999999995~LX*1~"
    "CLP*{number}*4*900*0**12*P1~CAS*CO*197*900~NM1*QC*1*ZYXWVUTSON*PAT****MI*QQ998877ZZ~"
    "SVC*HC:99213*900*0~SE*12*0001~GE*1*1~IEA*1*000000001~"
)
SECRETS = ("ZYXWVUTSON", "QQ998877ZZ")
OF_CUSTOMER = " WHERE customer_id = CAST(:customer AS uuid)"


def advice(number: str) -> bytes:
    return ADVICE.format(number=number).encode()


def broken(number: str) -> bytes:
    return advice(number).replace(b"*4*900*0*", b"*4*nine hundred*0*")


def event_of(connection: Connection, body: bytes, event_id: UUID | None = None) -> Event:
    return Event(
        id=event_id or uuid4(),
        type="webhook.received",
        source=f"/connections/{connection.id}",
        subject=f"connections/{connection.id}",
        time=datetime.now(UTC),
        customer_id=connection.customer_id,
        data=body,
        content_type="application/edi-x12",
        trace_parent=f"00-{uuid4().hex}-{uuid4().hex[:16]}-01",
        extensions={"connectionid": str(connection.id), "provider": "acme", "payloadformat": "auto"},
    )


def forwarded(event: Event, subscription: str = "process-webhook", **more: str) -> Message:
    """Return the message as Pub/Sub forwards it after five attempts."""
    source = {
        "CloudPubSubDeadLetterSourceSubscription": subscription,
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
    }
    return Message("dead-letters", event.data, {**to_attributes(event), **source, **more})


class Desk(PostgresDeadLetterDesk):
    """The desk, and how a test looks at what it wrote."""

    def __init__(self, pipeline: "Pipeline", *, lease_s: int = 30) -> None:
        super().__init__(pipeline.operator, lease_s=lease_s)
        self.pipeline = pipeline

    def keep(self, *messages: Message) -> None:
        publish(self.pipeline, messages)
        assert self.pipeline.drained()

    def rows(self, customer: UUID) -> list[Mapping[str, Any]]:
        return self.pipeline.rows("SELECT * FROM dead_letters" + OF_CUSTOMER, customer=str(customer))

    def history(self, customer: UUID) -> list[Mapping[str, Any]]:
        statement = f"SELECT * FROM dead_letter_replays {OF_CUSTOMER} ORDER BY claimed_at"
        return self.pipeline.rows(statement, customer=str(customer))

    def count(self, table: str, customer: UUID) -> int:
        [row] = self.pipeline.rows(f"SELECT count(*) AS n FROM {table}" + OF_CUSTOMER, customer=str(customer))  # noqa: S608
        return int(row["n"])

    def states(self, customer: UUID) -> set[tuple[str, str]]:
        outcomes = {row["dead_letter_id"]: row["outcome"] for row in self.history(customer)}
        return {(row["state"], outcomes.get(row["id"], "")) for row in self.rows(customer)}


def publish(pipeline: "Pipeline", messages: Sequence[Message]) -> None:
    asyncio.run(pipeline.app.publisher.publish(messages, timeout_s=10))


def go(
    desk: Desk,
    wanted: Wanted,
    *,
    publisher: Any = None,  # noqa: ANN401 - a publisher
    limits: Limits | None = None,
    **more: Any,  # noqa: ANN401 - of the run
) -> Report:
    run = Run(**{"batch_id": uuid4(), "by": "ada", "why": "fixed", **more})
    bench = Bench(desk, publisher or desk.pipeline.app.publisher, routes(), time.monotonic)
    return asyncio.run(
        replay_dead_letters(wanted, run, bench=bench, limits=limits or Limits(patience_s=20, rate_per_s=500))
    )


def refusals(desk: Desk, wanted: Wanted, **more: Any) -> list[str | None]:  # noqa: ANN401 - of the plan
    return [one.refusal for page in plan_replay(wanted, desk=desk, routes=routes(), **more) for one in page]


@pytest.fixture
def desk(pipeline: "Pipeline") -> Desk:
    return Desk(pipeline)


@pytest.fixture
def connection(pipeline: "Pipeline") -> Connection:
    return pipeline.connection(pipeline.customer(f"Practice {uuid4().hex[:8]}"))


@pytest.fixture
def ours(connection: Connection) -> Wanted:
    return Wanted(customer_id=connection.customer_id, state="open")


@pytest.fixture(scope="module")
def home(pipeline: "Pipeline") -> Iterator[Path]:
    runtime = pipeline.threaded.runtime
    folder = runtime.settings.home
    environment = to_environment(runtime.settings)
    announce(folder, url=runtime.url, host_pids=runtime.host_pids(), environment=environment, ready=True)
    yield folder
    withdraw(folder)


def run_command(home: Path, *words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["dead-letters", *map(str, words), "--home", str(home)])
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    return result.stdout


def as_json(home: Path, *words: object, code: int = 0) -> Any:  # noqa: ANN401 - JSON
    return json.loads(run_command(home, *words, "--json", code=code))


def name_of(pipeline: "Pipeline", customer: UUID) -> str:
    [row] = pipeline.rows("SELECT name FROM customers WHERE id = CAST(:id AS uuid)", id=str(customer))
    return str(row["name"])


def test_a_file_that_does_not_parse_is_corrected_and_processed(
    pipeline: "Pipeline", desk: Desk, connection: Connection, home: Path, tmp_path: Path
) -> None:
    customer = connection.customer_id
    name = name_of(pipeline, customer)
    for number in ("A1", "A2", "A3"):
        assert pipeline.send(connection, broken(number)).status == 202
    assert pipeline.drained()
    listed = as_json(home, "list", "--customer", name)
    [cause] = listed["causes"]
    assert (cause["consumer"], cause["code"], cause["count"]) == ("process_webhook", "unreadable_payload", 3)
    assert [letter["state"] for letter in listed["letters"]] == ["open"] * 3
    letter_id = cause["newest_id"]
    before = desk.rows(customer)
    fixed = tmp_path / "fixed.edi"
    fixed.write_bytes(advice("A3"))
    words = ("replay", letter_id, "--edit", fixed)
    planned = as_json(home, *words)
    assert planned["dry_run"] is True
    assert [letter["topic"] for letter in planned["letters"]] == ["webhook-events"]
    assert (desk.rows(customer), desk.history(customer)) == (before, [])
    done = as_json(home, *words, "--yes", "--why", "charge was spelt out", "--by", "ada")
    assert (done["ended"], done["published"], done["processed"], done["failed"]) == ("done", 1, 1, 0)
    shown = as_json(home, "show", letter_id[:18])
    assert shown["state"] == "replayed"
    [replay] = shown["replays"]
    assert (replay["replayed_by"], replay["why"], replay["outcome"], replay["edited"]) == (
        "ada",
        "charge was spelt out",
        "processed",
        True,
    )
    [kept] = [row for row in desk.rows(customer) if str(row["id"]) == letter_id]
    [history] = desk.history(customer)
    assert (kept["body"], history["edited_body"]) == (broken("A3"), advice("A3"))
    assert desk.count("claim_payments", customer) == 1
    assert as_json(home, "list", "--customer", name)["total"] == 2


def test_what_crashed_five_times_is_processed_once_when_the_bug_is_fixed(
    pipeline: "Pipeline", desk: Desk, connection: Connection, ours: Wanted
) -> None:
    customer = connection.customer_id
    with pipeline.owner.begin() as session:
        session.exec_driver_sql("REVOKE INSERT ON remittances FROM upstream_app")
    try:
        sent = pipeline.send(connection, advice("B1"))
        assert pipeline.drained()
    finally:
        with pipeline.owner.begin() as session:
            session.exec_driver_sql("GRANT INSERT ON remittances TO upstream_app")
    [letter] = desk.letters(ours, limit=5)
    assert (letter.consumer, letter.code, letter.attempts) == ("process_webhook", "unhandled", 5)
    assert str(letter.event_id) == sent.body["event_id"]
    assert desk.count("claim_payments", customer) == 0
    report = go(desk, ours)
    assert (report.ended, report.progress.tally.processed) == ("done", 1)
    assert desk.count("claim_payments", customer) == 1
    assert desk.states(customer) == {("replayed", "processed")}
    assert go(desk, Wanted(ids=(letter.id,))).progress.refused == 1
    assert desk.count("claim_payments", customer) == 1


def test_a_letter_that_fails_again_is_the_same_letter_with_its_history(
    pipeline: "Pipeline", desk: Desk, connection: Connection, ours: Wanted
) -> None:
    customer = connection.customer_id
    pipeline.send(connection, broken("C1"))
    assert pipeline.drained()
    [first] = desk.rows(customer)
    for _ in range(2):
        report = go(desk, ours)
        assert (report.progress.tally.failed, report.progress.published) == (1, 1)
    [last] = desk.rows(customer)
    assert (last["id"], last["state"], last["body"]) == (first["id"], "open", broken("C1"))
    assert last["first_at"] == first["first_at"] < first["last_at"] + timedelta(0) < last["last_at"]
    assert [(row["outcome"], row["code"]) for row in desk.history(customer)] == [
        ("failed", "unreadable_payload")
    ] * 2


def test_a_late_copy_of_a_failure_reopens_nothing_and_a_new_delivery_does(
    desk: Desk, connection: Connection, ours: Wanted
) -> None:
    customer = connection.customer_id
    event = event_of(connection, broken("D1"))
    copy = forwarded(event)
    desk.keep(copy)
    [letter] = desk.letters(ours, limit=5)
    assert list(desk.discard([letter.id], by="ada", why="a test file")) == [letter.id]
    desk.keep(copy)
    assert desk.states(customer) == {("discarded", "")}
    sent_again = Message(
        "dead-letters", b"again", {**copy.attributes, "ce-time": datetime.now(UTC).isoformat()}
    )
    desk.keep(sent_again)
    [row] = desk.rows(customer)
    assert (row["state"], row["body"]) == ("open", b"again")
    assert go(desk, ours, publisher=InMemoryPublisher(), limits=Limits(patience_s=0)).progress.published == 1
    desk.keep(copy, sent_again)
    assert desk.states(customer) == {("replayed", "published")}


def test_what_would_act_twice_is_refused(
    pipeline: "Pipeline", desk: Desk, connection: Connection, ours: Wanted
) -> None:
    customer = connection.customer_id
    sent = pipeline.send(connection, advice("E1"))
    assert pipeline.drained()
    event_id = UUID(sent.body["event_id"])
    desk.keep(forwarded(event_of(connection, advice("E1"), event_id)))
    assert refusals(desk, ours) == ["settled"]
    assert go(desk, ours).progress.refused == 1
    unknown = event_of(connection, advice("E2"))
    desk.keep(forwarded(unknown))
    pipeline.execute(
        "INSERT INTO actions (id, customer_id, execution_id, event_id, rule_id, subject, type, params, state)"
        " VALUES (gen_random_uuid(), CAST(:customer AS uuid), gen_random_uuid(), CAST(:event AS uuid), 'r', 's',"
        " 'submit_appeal', '{}', 'unknown')",
        customer=str(customer),
        event=str(unknown.id),
    )
    assert refusals(desk, ours) == ["settled", "outcome_unknown"]
    assert refusals(desk, ours, replay_id="again") == [None, "outcome_unknown"]
    report = go(desk, ours, replay_id="again")
    assert (report.progress.published, report.progress.refused) == (1, 1)
    assert {row["replay_id"] for row in desk.history(customer)} == {"again"}


def test_a_replay_id_makes_one_consumer_act_again_once(
    pipeline: "Pipeline", desk: Desk, connection: Connection
) -> None:
    customer = connection.customer_id
    pipeline.send(connection, advice("F1"))
    assert pipeline.drained()
    [row] = pipeline.rows(
        "SELECT id, attributes, data FROM outbox WHERE customer_id = CAST(:customer AS uuid)"
        " AND event_type = 'claim.denied'",
        customer=str(customer),
    )
    source = {"CloudPubSubDeadLetterSourceSubscription": "apply-rules"}
    desk.keep(Message("dead-letters", bytes(row["data"]), {**row["attributes"], **source}))
    wanted = Wanted(customer_id=customer, consumer="apply_rules")
    assert refusals(desk, wanted) == ["settled"]
    assert desk.count("executions", customer) == 1
    assert go(desk, wanted, replay_id="2026-02-03").progress.tally.processed == 1
    assert refusals(desk, wanted, replay_id="2026-02-03") == ["settled"]
    assert refusals(desk, wanted, replay_id="2026-02-04") == [None]
    decided = pipeline.rows("SELECT event_id FROM executions" + OF_CUSTOMER, customer=str(customer))
    again = acting_id(row["id"], "apply_rules", "2026-02-03")
    assert {one["event_id"] for one in decided} == {row["id"], again}
    [story] = pipeline.rows(
        "SELECT count(DISTINCT trace_id) AS n FROM executions" + OF_CUSTOMER, customer=str(customer)
    )
    assert story["n"] == 1
    publish(pipeline, [message_of(desk, row["id"])])  # a copy of the same replay
    assert pipeline.drained()
    assert desk.count("executions", customer) == 2


def message_of(desk: Desk, event_id: UUID) -> Message:
    """Return the message of an event's newest replay, as it was published."""
    [row] = desk.pipeline.rows(
        "SELECT r.id, r.replay_id, d.id AS letter_id, d.consumer, d.attributes, d.body FROM dead_letter_replays r"
        " JOIN dead_letters d ON d.last_replay = r.id WHERE d.event_id = CAST(:event AS uuid)",
        event=str(event_id),
    )
    claimed = Claimed(row["id"], row["letter_id"], row["consumer"], row["attributes"], bytes(row["body"]))
    return message(
        claimed, routes()[row["consumer"]], Run(uuid4(), by="ada", why="copy", replay_id=row["replay_id"])
    )


def test_what_a_consumer_committed_and_never_published_is_published_by_a_replay(
    pipeline: "Pipeline", desk: Desk, connection: Connection, ours: Wanted
) -> None:
    customer = connection.customer_id
    sent = pipeline.send(connection, advice("G1"))
    assert pipeline.drained()
    pipeline.execute(
        "UPDATE outbox SET published_at = NULL" + OF_CUSTOMER, customer=str(customer)
    )  # as if the broker was away five times, after the commit
    desk.keep(forwarded(event_of(connection, advice("G1"), UUID(sent.body["event_id"]))))
    [[planned]] = plan_replay(ours, desk=desk, routes=routes())
    assert (planned.refusal, planned.unfinished) == (None, True)
    assert go(desk, ours).progress.tally.processed == 1
    assert pipeline.drained()
    assert not pipeline.rows(
        "SELECT id FROM outbox" + OF_CUSTOMER + " AND published_at IS NULL", customer=str(customer)
    )
    assert desk.count("claim_payments", customer) == desk.count("executions", customer) == 1


def test_a_letter_of_a_customer_that_did_not_exist_is_theirs_once_it_does(
    pipeline: "Pipeline", desk: Desk, connection: Connection
) -> None:
    customer = uuid4()
    event = event_of(pipeline.connection(customer), advice("H1"))
    desk.keep(forwarded(event))
    [row] = pipeline.rows(
        "SELECT id, customer_id FROM dead_letters WHERE event_id = CAST(:e AS uuid)", e=str(event.id)
    )
    assert row["customer_id"] == UUID(int=0)
    wanted = Wanted(ids=(row["id"],))
    assert refusals(desk, wanted) == ["unknown_customer"]
    pipeline.execute("INSERT INTO customers (id, name) VALUES (CAST(:id AS uuid), 'Late')", id=str(customer))
    assert go(desk, wanted).progress.tally.processed == 1
    assert desk.states(customer) == {("replayed", "processed")}
    failing = event_of(connection, broken("H2"))
    desk.keep(forwarded(failing))
    assert go(desk, Wanted(customer_id=connection.customer_id, state="open")).progress.tally.failed == 1


def test_what_was_never_one_of_our_events_is_kept_once_and_never_published(desk: Desk) -> None:
    mark = uuid4().hex
    strange = Message("dead-letters", b"?", {"ce-id": mark, "upstream-code": "invalid_event"})
    desk.keep(strange, strange)
    found = desk.pipeline.rows("SELECT * FROM dead_letters WHERE attributes ->> 'ce-id' = :mark", mark=mark)
    assert len(found) == 1
    assert found[0]["customer_id"] == UUID(int=0)
    assert refusals(desk, Wanted(ids=(found[0]["id"],))) == ["not_an_event"]


def test_two_engineers_at_once_publish_no_letter_twice(
    pipeline: "Pipeline", desk: Desk, connection: Connection, ours: Wanted
) -> None:
    customer = connection.customer_id
    desk.keep(*(forwarded(event_of(connection, advice(f"I{n}"))) for n in range(80)))
    publishers = [Counting(pipeline), Counting(pipeline)]
    reports: list[Report] = []
    gate = threading.Barrier(2)

    def engineer(publisher: Counting) -> None:
        gate.wait()
        reports.append(go(desk, ours, publisher=publisher))

    threads = [threading.Thread(target=engineer, args=(publisher,)) for publisher in publishers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    published = [event for publisher in publishers for event in publisher.published]
    assert len(published) == len(set(published)) == 80
    assert sum(report.progress.published for report in reports) == 80
    assert sum(report.progress.looked_at for report in reports) <= 160
    assert pipeline.drained()
    desk.settle()
    assert desk.states(customer) == {("replayed", "processed")}
    assert len(desk.history(customer)) == desk.count("claim_payments", customer) == 80


class Counting:
    """The pipeline's publisher, and the ids of what went through it."""

    def __init__(self, pipeline: "Pipeline") -> None:
        self._pipeline = pipeline
        self.published: list[str] = []

    async def publish(self, messages: Sequence[Message], *, timeout_s: float) -> None:
        self.published += [message.attributes["ce-id"] for message in messages]
        await self._pipeline.app.publisher.publish(messages, timeout_s=timeout_s)

    async def ready(self) -> None:
        await self._pipeline.app.publisher.ready()


def test_a_run_killed_at_either_side_of_the_publish_loses_and_doubles_nothing(
    pipeline: "Pipeline", desk: Desk, connection: Connection, ours: Wanted
) -> None:
    customer = connection.customer_id
    hasty = Desk(pipeline, lease_s=1)
    desk.keep(*(forwarded(event_of(connection, advice(f"J{n}"))) for n in range(3)))
    [page] = plan_replay(ours, desk=desk, routes=routes())
    before, between, after = [planned.asked for planned in page if planned.asked]
    run = Run(uuid4(), by="ada", why="killed")
    hasty.claim([before], run)  # died here
    claimed = [*hasty.claim([between], run), *hasty.claim([after], run)]
    publish(pipeline, [message(one, "webhook-events", run) for one in claimed])
    desk.mark_published(claimed[1:])  # died before it marked the first of the two
    assert refusals(desk, ours)[0] == "held"
    assert not desk.discard([before.letter.id], by="ada", why="held by a run")
    assert pipeline.drained()
    time.sleep(1.1)
    report = go(desk, ours)
    assert (report.progress.published, report.progress.tally.processed) == (1, 1)
    outcomes = {(row["dead_letter_id"], row["outcome"]) for row in desk.history(customer)}
    assert outcomes == {
        (before.letter.id, "interrupted"),
        (before.letter.id, "processed"),
        (between.letter.id, "processed"),
        (after.letter.id, "processed"),
    }
    assert {row["state"] for row in desk.rows(customer)} == {"replayed"}
    assert desk.count("claim_payments", customer) == 3


def test_a_letter_that_changed_since_it_was_looked_at_is_left_alone(
    desk: Desk, connection: Connection, ours: Wanted
) -> None:
    desk.keep(*(forwarded(event_of(connection, advice(f"K{n}"))) for n in range(2)))
    [page] = plan_replay(ours, desk=desk, routes=routes())
    asked = [planned.asked for planned in page if planned.asked]
    desk.discard([asked[0].letter.id], by="ada", why="meanwhile")
    claimed = desk.claim(asked, Run(uuid4(), by="ada", why="late"))
    assert [one.letter_id for one in claimed] == [asked[1].letter.id]
    assert not desk.claim(asked, Run(uuid4(), by="bob", why="later"))


def test_a_run_stops_when_too_many_fail_again(
    pipeline: "Pipeline", desk: Desk, connection: Connection, ours: Wanted
) -> None:
    desk.keep(*(forwarded(event_of(connection, broken(f"L{n}"))) for n in range(90)))
    report = go(desk, ours, limits=Limits(rate_per_s=60, patience_s=20))
    assert report.ended == "failing"
    assert 20 <= report.progress.published < 90
    assert pipeline.drained()
    assert desk.states(connection.customer_id) == {("open", "failed"), ("open", "")}


def test_a_run_stops_when_nobody_takes_what_it_publishes(
    desk: Desk, connection: Connection, ours: Wanted
) -> None:
    desk.keep(*(forwarded(event_of(connection, advice(f"M{n}"))) for n in range(30)))
    silent = InMemoryPublisher()
    report = go(desk, ours, publisher=silent, limits=Limits(rate_per_s=40, max_waiting=10, patience_s=0.5))
    assert (report.ended, report.progress.published) == ("no_outcome", 10)
    assert refusals(desk, Wanted(customer_id=connection.customer_id)).count("in_flight") == 10


def test_a_broker_that_is_away_leaves_every_letter_open(
    desk: Desk, connection: Connection, ours: Wanted
) -> None:
    desk.keep(forwarded(event_of(connection, advice("N1"))))
    away = InMemoryPublisher()
    away.failure = TransientError("unavailable", "broker")
    with pytest.raises(TransientError):
        go(Desk(desk.pipeline, lease_s=1), ours, publisher=away)
    assert desk.states(connection.customer_id) == {("open", "claimed")}
    time.sleep(1.1)
    assert go(desk, ours).progress.tally.processed == 1


def test_nothing_is_done_without_who_and_why(desk: Desk, ours: Wanted) -> None:
    for more in ({"why": " "}, {"by": ""}, {"replay_id": "a b"}, {"edited": b"x"}):
        with pytest.raises(PoisonError):
            go(desk, ours, **more)


def test_five_hundred_are_replayed_once_each_though_ctrl_c_came_half_way(
    pipeline: "Pipeline", desk: Desk, connection: Connection, home: Path
) -> None:
    customer = connection.customer_id
    events = [event_of(connection, advice(f"P{n:03}")) for n in range(500)]
    desk.keep(*(forwarded(event) for event in events))
    words = [
        "--customer",
        name_of(pipeline, customer),
        "--yes",
        "--why",
        "the parser is fixed",
        "--rate",
        "100",
    ]
    command = [UPSTREAM, "dead-letters", "replay", *words, "--home", str(home), "--json"]
    started = time.monotonic()
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = started + 60
    while desk.count("dead_letter_replays", customer) < 200:
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    out, _ = first.communicate(timeout=30)
    assert first.returncode == 130
    half = json.loads(out)
    assert half["ended"] == "interrupted"
    assert 200 <= half["published"] < 500
    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    rest = json.loads(second.stdout)
    elapsed_s = time.monotonic() - started
    assert second.returncode == 0, second.stderr
    assert half["published"] + rest["published"] == 500
    assert rest["ended"] == "done"
    assert elapsed_s < 60
    assert pipeline.drained()
    desk.settle()
    assert desk.states(customer) == {("replayed", "processed")}
    history = desk.history(customer)
    assert len(history) == len({row["dead_letter_id"] for row in history}) == 500
    assert {row["why"] for row in history} == {"the parser is fixed"}
    for table in ("claim_payments", "remittances", "claims", "executions"):
        assert desk.count(table, customer) == 500, table
    taken = pipeline.rows(
        "SELECT attempt FROM inbox" + OF_CUSTOMER + " AND consumer = 'process_webhook'",
        customer=str(customer),
    )
    assert len(taken) == 500
    if "UPSTREAM_SHOW_FIGURES" in os.environ:
        print(f"500 replays, interrupted and resumed: {elapsed_s:.1f} s")  # noqa: T201


def test_filters_choose_letters(pipeline: "Pipeline", desk: Desk, connection: Connection, home: Path) -> None:
    name = name_of(pipeline, connection.customer_id)
    desk.keep(forwarded(event_of(connection, advice("Q1"))))
    pipeline.send(connection, broken("Q2"))
    assert pipeline.drained()

    def total(*words: object) -> int:
        return int(as_json(home, "list", "--customer", name, *words)["total"])

    assert total() == 2
    assert total("--code", "unhandled") == total("--text", "DELIVERED too often") == 1
    assert total("--function", "process_webhook", "--connection", connection.id) == 2
    assert total("--function", "notify") == total("--until", "1h") == total("--state", "discarded") == 0
    assert total("--since", "1h", "--state", "all") == 2
    page = as_json(home, "list", "--customer", name, "--limit", 1)
    [rest] = as_json(home, "list", "--customer", name, "--limit", 5, "--after", page["after"])["letters"]
    assert rest["id"] != page["letters"][0]["id"]
    plan = as_json(home, "replay", "--customer", name, "--code", "unhandled")
    assert plan["total"] == 1
    would = as_json(home, "discard", "--customer", name, "--code", "unhandled")
    assert would == {"dry_run": True, "would_discard": 1}
    run_command(home, "discard", "--customer", name, "--code", "unhandled", "--yes", code=2)
    done = as_json(home, "discard", "--customer", name, "--code", "unhandled", "--yes", "--why", "sent twice")
    assert done == {"dry_run": False, "discarded": 1}
    assert (total(), total("--state", "discarded")) == (1, 1)


def test_a_command_needs_to_know_which(home: Path) -> None:
    run_command(home, "replay", code=2)
    run_command(home, "discard", "--yes", "--why", "all of them", code=2)
    run_command(home, "replay", "zz", code=1)
    run_command(home, "show", uuid4(), code=1)
    run_command(home, "list", "--since", "yesterday", code=2)
    run_command(home, "list", "--after", "yesterday", code=2)


def test_no_patient_data_is_shown_unless_asked_for(
    pipeline: "Pipeline", desk: Desk, connection: Connection, home: Path
) -> None:
    body = broken("R1")
    pipeline.send(connection, body)
    assert pipeline.drained()
    name = name_of(pipeline, connection.customer_id)
    [letter] = desk.letters(Wanted(customer_id=connection.customer_id), limit=5)
    listings = (
        ("list", "--customer", name),
        ("show", letter.id),
        ("replay", "--customer", name),
        ("replay", letter.id, "--yes", "--why", "to see"),
        ("show", letter.id),
        ("discard", letter.id, "--yes", "--why", "to see"),
        ("list", "--customer", name, "--state", "all"),
    )
    for words in listings:
        for more in ((), ("--json",)):
            result = CliRunner().invoke(app, ["dead-letters", *map(str, words), *more, "--home", str(home)])
            assert result.exit_code in {0, 1}, result.stderr
            assert not any(secret in result.output for secret in SECRETS), words
    result = CliRunner().invoke(app, ["dead-letters", "show", str(letter.id), "--body", "--home", str(home)])
    assert result.stdout_bytes == body
    assert "patient data" in result.stderr


def test_a_replay_is_invisible_and_unwritable_for_another_customer(
    pipeline: "Pipeline", desk: Desk, connection: Connection, ours: Wanted
) -> None:
    desk.keep(forwarded(event_of(connection, advice("S1"))))
    go(desk, ours)
    [row] = desk.history(connection.customer_id)
    stranger = pipeline.customer()
    with tenant(pipeline.app.engine, stranger) as session:
        assert session.exec_driver_sql("SELECT count(*) FROM dead_letter_replays").scalar_one() == 0
        assert session.exec_driver_sql("UPDATE dead_letter_replays SET why = ''").rowcount == 0
    with tenant(pipeline.app.engine, connection.customer_id) as session:
        assert session.exec_driver_sql("SELECT id FROM dead_letter_replays").scalar_one() == row["id"]
    insert = text(
        "INSERT INTO dead_letter_replays (id, dead_letter_id, customer_id, batch_id, event_id, replayed_by, why,"
        " lease_expires_at) VALUES (gen_random_uuid(), CAST(:letter AS uuid), CAST(:customer AS uuid),"
        " gen_random_uuid(), gen_random_uuid(), '', '', now())"
    )
    given = {"letter": str(row["dead_letter_id"]), "customer": str(stranger)}
    with pytest.raises(DBAPIError), tenant(pipeline.app.engine, stranger) as session:
        session.execute(insert, given)


def test_the_letter_of_an_event_and_consumer_is_one_however_often_it_comes(
    desk: Desk, connection: Connection
) -> None:
    event = event_of(connection, advice("T1"))
    desk.keep(*[forwarded(event)] * 3)
    [row] = desk.rows(connection.customer_id)
    assert row["id"] == derive(event.id, "process_webhook")
    assert (row["state"], row["attempts"], row["trace_id"]) == ("open", 5, event.trace_parent.split("-")[1])
