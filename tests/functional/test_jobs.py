"""The scheduled jobs on the running pipeline: fired, fanned out, done once, and what they find."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import DBAPIError

from shared.adapters.embedded.callers import local_token
from shared.adapters.embedded.secrets import FileSecretStore
from shared.adapters.postgres import decisions
from shared.adapters.postgres.record import tenant
from shared.domain.events import Event, Received
from shared.domain.ids import derive
from shared.domain.jobs import NOBODY, JobName, Run, task_id, trace_of
from shared.handlers.jobs.fire import fire
from shared.handlers.jobs.run_task import run_job_task
from shared.runtime.envelope import from_headers
from shared.runtime.errors import PoisonError

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

ON = date(2026, 11, 20)
FIRE = {"x-cloudscheduler-scheduletime": "2026-11-20T06:00:00Z"}


def at(hour: int = 6, day: date = ON) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def ask(
    pipeline: "Pipeline",
    customer: UUID,
    job: JobName,
    slot: datetime,
    options: dict[str, str] | None = None,
    **more: Any,  # noqa: ANN401 - a message's content
) -> list[Any]:
    """Do one customer's share of a run that nobody else has a part in, and return the events it leads to."""
    run = Run(job, slot, {"test": str(customer), **(options or {})})
    data = {
        "run_id": str(run.id),
        "job": job,
        "slot": slot.isoformat(),
        "stage": "customer",
        "options": run.options,
    }
    identity = task_id(run.id, "customer", customer)
    event = Event(
        id=identity,
        type="job.task",
        source="/test",
        subject=f"runs/{run.id}",
        time=slot,
        customer_id=customer,
        data=json.dumps({**data, **more}).encode(),
        trace_parent=trace_of(identity),
        parent_id=run.id,
    )
    emitted = run_job_task(Received(event, 1, "", {}), record=pipeline.app.record, clock=lambda: slot)
    found = [
        from_headers({k.lower(): v for k, v in m.attributes.items()}, m.data).event for m in emitted.messages
    ]
    return [(e.type, json.loads(e.data)) for e in found if e.type != "job.task_finished"]


ADD_CLAIMS = """
WITH days AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        payer text, procedure text, carc text, day date, decided int, denied int)
), sums AS (
    INSERT INTO claim_daily_stats (customer_id, payer_key, procedure, day, decided, denied, charge_cents, paid_cents)
    SELECT CAST(:c AS uuid), payer, procedure, day, decided, denied, decided * 10000, 0 FROM days
)
INSERT INTO claim_daily_reasons (customer_id, payer_key, carc, procedure, day, denied, charge_cents)
SELECT CAST(:c AS uuid), payer, carc, procedure, day, denied, denied * 10000 FROM days WHERE denied > 0
"""


def add(pipeline: "Pipeline", customer: UUID, days: list[dict[str, object]]) -> None:
    """Add days' sums, as `process_webhook` would have left them."""
    pipeline.execute(ADD_CLAIMS, c=str(customer), rows=json.dumps(days))


def of(n: int, decided: int, denied: int, **more: str) -> dict[str, object]:
    """Return the sums of the day `n` days ago."""
    day = (ON - timedelta(days=n)).isoformat()
    return {
        "payer": "oak",
        "procedure": "99213",
        "carc": "197",
        "day": day,
        "decided": decided,
        "denied": denied,
        **more,
    }


def baselines(pipeline: "Pipeline", customer: UUID) -> list[Any]:
    return pipeline.rows(
        "SELECT payer_key, procedure, since, decided, denied FROM risk_baselines"
        " WHERE customer_id = CAST(:c AS uuid) AND NOT superseded ORDER BY 1, 2",
        c=str(customer),
    )


# Firing.


def post(pipeline: "Pipeline", job: str, headers: dict[str, str]) -> Any:  # noqa: ANN401 - the tests' Reply
    return pipeline.post(f"/functions/{job}", b"", headers)


def token(pipeline: "Pipeline") -> str:
    return local_token(FileSecretStore(pipeline.threaded.runtime.settings.home / "secrets"))


def runs(pipeline: "Pipeline", run_id: str) -> Any:  # noqa: ANN401 - a row
    (row,) = pipeline.rows(
        "SELECT r.state, r.tasks, r.tasks_done, r.stage, (SELECT count(*) FROM job_tasks t WHERE t.run_id = r.id"
        " AND t.state = 'done') AS done FROM job_runs r WHERE id = CAST(:id AS uuid)",
        id=run_id,
    )
    return row


@pytest.mark.parametrize(
    "job", ["check_expiring_authorizations", "build_risk_baselines", "detect_behavioral_changes"]
)
def test_a_job_fired_twice_at_once_and_again_runs_once(pipeline: "Pipeline", job: str) -> None:
    customers = [pipeline.customer() for _ in range(3)]
    headers = {"Authorization": f"Bearer {token(pipeline)}", **FIRE}
    with ThreadPoolExecutor(4) as threads:
        replies = list(threads.map(lambda _: post(pipeline, job, headers), range(4)))
    assert [reply.status for reply in replies] == [202] * 4
    assert sorted(reply.body["status"] for reply in replies) == ["fired", *["fired before"] * 3]
    (run_id,) = {reply.body["run_id"] for reply in replies}
    assert pipeline.drained()
    run = runs(pipeline, run_id)
    assert (run["state"], run["tasks_done"]) == ("finished", run["tasks"])
    assert run["done"] == run["tasks"] >= len(customers)
    again = post(pipeline, job, headers)
    assert (again.body["status"], again.body["published"]) == ("fired before", 0)
    ended = pipeline.rows(
        "SELECT o.id FROM outbox o WHERE o.event_type = 'job.finished' AND o.customer_id = CAST(:n AS uuid)"
        " AND o.id = CAST(:id AS uuid)",
        n=str(NOBODY),
        id=str(derive(UUID(run_id), "job.finished")),
    )
    assert len(ended) == 1
    taken = pipeline.rows(
        "SELECT consumer FROM inbox WHERE event_id = CAST(:id AS uuid)", id=str(ended[0]["id"])
    )
    assert [row["consumer"] for row in taken] == ["apply_rules"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": "Bearer of-bad-news", **FIRE}, 401, "invalid_signature"),
        (FIRE, 401, "invalid_signature"),
        ({"Authorization": "ours"}, 400, "bad_request"),
    ],
)
def test_nobody_but_the_scheduler_fires_a_job(
    pipeline: "Pipeline", headers: dict[str, str], status: int, code: str
) -> None:
    sent = {k: f"Bearer {token(pipeline)}" if v == "ours" else v for k, v in headers.items()}
    reply = post(pipeline, "build_risk_baselines", sent)
    assert (reply.status, reply.body["code"]) == (status, code)


def test_a_run_that_died_half_way_is_finished_by_the_next_firing(pipeline: "Pipeline") -> None:
    for _ in range(3):
        pipeline.customer()
    run = Run("build_risk_baselines", at(3))
    opened, messages = fire(run, runs=pipeline.app.job_runs, now=at(3))
    assert opened.new
    first, *rest = messages
    taken = from_headers({k.lower(): v for k, v in first.attributes.items()}, first.data)
    run_job_task(taken, record=pipeline.app.record, clock=lambda: at(3))  # and its outbox is never published
    again, messages = fire(run, runs=pipeline.app.job_runs, now=at(4))
    assert not again.new
    assert [m.attributes["ce-id"] for m in messages] == [m.attributes["ce-id"] for m in rest]


def test_whoever_fires_jobs_sees_nothing_of_customers_but_that_they_are(pipeline: "Pipeline") -> None:
    for statement in (
        "SELECT name FROM customers",
        "SELECT * FROM claims",
        "SELECT * FROM outbox",
        "UPDATE job_tasks SET state = 'done'",
        "DELETE FROM job_runs",
        "SELECT * FROM findings",
    ):
        with pytest.raises(DBAPIError), pipeline.app.scheduler_engine.begin() as connection:
            connection.exec_driver_sql(statement)


def test_a_share_that_names_no_run_of_ours_is_poison(pipeline: "Pipeline") -> None:
    event = Event(uuid4(), "job.task", "/test", "", at(), pipeline.customer(), b'{"job": "sweep"}')
    with pytest.raises(PoisonError):
        run_job_task(Received(event, 1, "", {}), record=pipeline.app.record, clock=at)


def test_a_share_that_comes_late_leaves_alone_what_a_later_run_did(pipeline: "Pipeline") -> None:
    customer, late = pipeline.customer(), ON - timedelta(days=17)
    past(pipeline, customer, until=3)
    add(pipeline, customer, [of(n, 50, 15) for n in range(3)])
    one = authorization(pipeline, customer, ON - timedelta(days=1))
    steps: list[tuple[JobName, list[str]]] = [
        ("detect_behavioral_changes", ["payer.change_detected"]),
        ("check_expiring_authorizations", ["authorization.expired"]),
        ("build_risk_baselines", []),
    ]
    for job, told in steps:
        assert [kind for kind, _ in ask(pipeline, customer, job, at(6))] == told
        pipeline.execute(
            "UPDATE claim_daily_stats SET denied = denied, changed_tx = pg_current_xact_id()"
            " WHERE customer_id = CAST(:c AS uuid)",
            c=str(customer),
        )
        before = everything(pipeline, customer)
        assert ask(pipeline, customer, job, at(6, late)) == []
        assert everything(pipeline, customer) == before
        share = task_id(Run(job, at(6, late), {"test": str(customer)}).id, "customer", customer)
        (task,) = pipeline.rows(
            "SELECT state, counts FROM job_tasks WHERE id = CAST(:id AS uuid)", id=str(share)
        )
        assert (task["state"], task["counts"]) == ("done", {"superseded": 1})
        ask(pipeline, customer, job, at(6), {"again": "yes"})  # another run of the same slot is not late
    assert states(pipeline, customer)[one] == ["EXPIRED:lapsed"]


def everything(pipeline: "Pipeline", customer: UUID) -> list[Any]:
    """Return what the jobs left of a customer, in any order of its rows."""
    tables = (
        "findings",
        "authorizations",
        "risk_baselines",
        "payer_baselines",
        "baseline_builds",
        "newest_shares",
    )
    return [
        pipeline.rows(
            f"SELECT to_jsonb(t) AS row FROM {table} t WHERE customer_id = CAST(:c AS uuid) ORDER BY 1",  # noqa: S608
            c=str(customer),
        )
        for table in tables
    ]


# Baselines.


def test_a_build_looks_at_what_changed_and_ends_as_a_full_one(pipeline: "Pipeline") -> None:
    customer, twin = pipeline.customer(), pipeline.customer()
    days = [day for n in range(40) for day in (of(200 - n * 5, 10, n % 4), of(n, 5, 1, procedure="99214"))]
    for each in (customer, twin):
        add(pipeline, each, days)
    ask(pipeline, customer, "build_risk_baselines", at(2, ON - timedelta(days=10)))
    for each in (customer, twin):
        add(pipeline, each, [of(30, 7, 7, procedure="late")])
    ask(pipeline, customer, "build_risk_baselines", at(2))
    ask(pipeline, twin, "build_risk_baselines", at(2), {"full": "yes"})

    def shape(of: UUID) -> list[Any]:
        return [(b["payer_key"], b["procedure"], b["decided"], b["denied"]) for b in baselines(pipeline, of)]

    assert shape(customer) == shape(twin)
    assert ("oak", "late", 7, 7) in shape(customer)
    payers = [
        pipeline.rows(
            "SELECT decided, denied, procedures, squares, spread, alpha, beta FROM payer_baselines"
            " WHERE customer_id = CAST(:c AS uuid) AND NOT superseded",
            c=str(each),
        )
        for each in (customer, twin)
    ]
    for name, value in payers[0][0].items():
        assert value == pytest.approx(payers[1][0][name]), name


def test_what_was_believed_then_can_be_asked(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    add(pipeline, customer, [of(5, 10, 1)])
    ask(pipeline, customer, "build_risk_baselines", at(2, ON - timedelta(days=3)))
    add(pipeline, customer, [of(2, 10, 9)])
    ask(pipeline, customer, "build_risk_baselines", at(2))
    ask(pipeline, customer, "build_risk_baselines", at(3))  # nothing new: no new row
    history = pipeline.rows(
        "SELECT since, decided, denied, superseded FROM risk_baselines WHERE customer_id = CAST(:c AS uuid)"
        " ORDER BY since",
        c=str(customer),
    )
    assert [tuple(row.values()) for row in history] == [
        (ON - timedelta(days=3), 10, 1, True),
        (ON, 20, 10, False),
    ]


def test_a_backfill_writes_the_past_as_it_would_have_been(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    add(pipeline, customer, [of(5, 10, 1)])
    add(pipeline, customer, [of(2, 10, 9)])
    ask(pipeline, customer, "build_risk_baselines", at(2))
    span = {"from": (ON - timedelta(days=6)).isoformat(), "to": (ON - timedelta(days=1)).isoformat()}
    ask(pipeline, customer, "build_risk_baselines", at(4), span)
    history = pipeline.rows(
        "SELECT since, decided, superseded FROM risk_baselines WHERE customer_id = CAST(:c AS uuid) ORDER BY since",
        c=str(customer),
    )
    assert [(str(row["since"]), row["decided"], row["superseded"]) for row in history] == [
        ("2026-11-15", 10, True),
        ("2026-11-18", 20, True),
        ("2026-11-20", 20, False),
    ]


def test_the_risk_score_reads_the_baseline_drawn_to_the_payers(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()

    def rate(procedure: str) -> float | None:
        with tenant(pipeline.app.engine, customer) as connection:
            return decisions.denial_rate(
                connection, customer, payer_key="oak", procedure=procedure, since=ON - timedelta(days=180)
            )

    add(
        pipeline,
        customer,
        [of(n, 40, 4, procedure=f"P{n}") for n in range(5)] + [of(1, 2, 2, procedure="thin")],
    )
    assert (rate("thin"), rate("P1"), rate("unknown")) == (1.0, 0.1, None)  # before the first night
    ask(pipeline, customer, "build_risk_baselines", at(2))
    thin, plenty, unknown = rate("thin"), rate("P1"), rate("unknown")
    assert thin is not None
    assert plenty is not None
    assert unknown is not None
    assert 0.09 < plenty < unknown < thin < 0.6


# Changes.


def past(pipeline: "Pipeline", customer: UUID, *, until: int = 0) -> None:
    add(pipeline, customer, [of(n, 50, 5 + n % 2) for n in range(until, 70)])


def findings(pipeline: "Pipeline", customer: UUID) -> list[Any]:
    return pipeline.rows(
        "SELECT kind, payer_key, subject, state, first_seen_on, closed_why, current, baseline, at_stake_cents, detail"
        " FROM findings WHERE customer_id = CAST(:c AS uuid) ORDER BY first_seen_on, kind, subject",
        c=str(customer),
    )


def test_a_rise_is_found_told_once_and_closed_when_it_is_over(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    past(pipeline, customer, until=3)
    add(pipeline, customer, [of(n, 50, 15) for n in range(3)])
    told = ask(pipeline, customer, "detect_behavioral_changes", at(0))
    assert [kind for kind, _ in told] == ["payer.change_detected"]
    change = told[0][1]["change"]
    assert (change["kind"], change["payer_id"], change["procedures"], change["carcs"]) == (
        "denial_rate", "oak", ["99213"], ["197"],
    )  # fmt: skip
    assert change["baseline"] == pytest.approx(0.11, abs=0.005)
    assert change["current"] == pytest.approx(0.3)
    assert change["q"] < 0.05 / 120
    assert change["low"] < 0.3 < change["high"]
    assert change["at_stake_cents"] > 0
    assert ask(pipeline, customer, "detect_behavioral_changes", at(6)) == []
    later = ON + timedelta(days=20)
    add(pipeline, customer, [of(-20 + n, 50, 5) for n in range(14)])
    told = ask(pipeline, customer, "detect_behavioral_changes", at(6, later))
    assert [(kind, data["change"]["closed_why"]) for kind, data in told] == [
        ("payer.change_closed", "recovered")
    ]
    (finding,) = findings(pipeline, customer)
    assert (finding["state"], finding["first_seen_on"]) == ("closed", ON)


def test_a_rise_of_one_procedure_or_one_reason_is_found_within_an_even_payer(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    days = [
        day
        for n in range(70)
        for day in (
            of(n, 400, 40),
            of(n, 10, 9 if n < 3 else 1, procedure="29881", carc="16" if n < 3 else "50"),
        )
    ]
    add(pipeline, customer, days)
    ask(pipeline, customer, "detect_behavioral_changes", at(0))
    kinds = {(f["kind"], f["subject"]) for f in findings(pipeline, customer)}
    assert ("denial_rate_procedure", "29881") in kinds
    assert ("denial_rate", "") not in kinds


def test_a_payer_that_does_as_before_is_left_alone(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    past(pipeline, customer)
    assert ask(pipeline, customer, "detect_behavioral_changes", at(0)) == []


def lags(pipeline: "Pipeline", customer: UUID, *, slower_since: int, more_days: int, on: date = ON) -> None:
    """Ten claims a day, decided after ten days or so, and later from a day on; what is due after `on` is open."""
    counted: Counter[tuple[str, int]] = Counter()
    for n in range(84):
        slow = max(0, min(more_days, (slower_since - n) * more_days // 21))
        for lag in range(6 + slow, 16 + slow):
            counted[(on - timedelta(days=n)).isoformat(), lag if lag <= n else -1] += 1
    rows = [{"day": day, "lag": lag, "n": n} for (day, lag), n in counted.items()]
    pipeline.execute(
        "INSERT INTO claim_lags (customer_id, payer_key, submitted_on, lag_days, claims)"
        " SELECT CAST(:c AS uuid), 'oak', day, lag, n"
        " FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(day date, lag int, n int)",
        c=str(customer), rows=json.dumps(rows),
    )  # fmt: skip


def test_a_payer_that_becomes_slower_is_found_though_the_slow_claims_are_not_paid(
    pipeline: "Pipeline",
) -> None:
    customer, even = pipeline.customer(), pipeline.customer()
    lags(pipeline, customer, slower_since=35, more_days=12)
    lags(pipeline, even, slower_since=0, more_days=0)
    (told,) = ask(pipeline, customer, "detect_behavioral_changes", at(0))
    change = told[1]["change"]
    assert (told[0], change["kind"]) == ("payer.change_detected", "payment_delay")
    assert change["baseline"] == pytest.approx(10, abs=1)
    assert change["current"] >= 14
    assert ask(pipeline, even, "detect_behavioral_changes", at(0)) == []


def paid_lines(pipeline: "Pipeline", customer: UUID, received: dict[int, int], *, on: date = ON) -> None:
    """Ten lines a day, paid two weeks after the service, as `process_webhook` would have left them.

    received: cents by how many days ago.
    """
    for n, cents in received.items():
        pipeline.execute(
            "INSERT INTO payment_service_lines VALUES (CAST(:c AS uuid), CAST(:day AS date), 'oak', '99213',"
            " CAST(:day AS date) - 14, 10, 10, CAST(:received AS bigint))",
            c=str(customer), day=(on - timedelta(days=n)).isoformat(), received=cents,
        )  # fmt: skip


def fee(pipeline: "Pipeline", customer: UUID, effective_from: date, cents: int) -> None:
    pipeline.execute(
        "INSERT INTO fee_schedules VALUES (CAST(:c AS uuid), 'oak', '99213', CAST(:since AS date),"
        " CAST(:cents AS bigint))",
        c=str(customer), since=effective_from.isoformat(), cents=cents,
    )  # fmt: skip


@pytest.mark.parametrize(("more_days", "why"), [(12, "settled"), (0, "recovered")])
def test_a_payer_that_stays_slow_has_settled_and_one_that_does_not_has_recovered(
    pipeline: "Pipeline", more_days: int, why: str
) -> None:
    customer, later = pipeline.customer(), ON + timedelta(days=98)
    lags(pipeline, customer, slower_since=35, more_days=12)
    ask(pipeline, customer, "detect_behavioral_changes", at(0))
    lags(pipeline, customer, slower_since=200, more_days=more_days, on=later)
    (told,) = ask(pipeline, customer, "detect_behavioral_changes", at(0, later))
    assert (told[0], told[1]["change"]["closed_why"]) == ("payer.change_closed", why)
    assert told[1]["change"]["current"] == pytest.approx(10 + more_days, abs=1)


def test_a_payer_that_pays_below_the_fee_schedule_is_found(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    fee(pipeline, customer, date(2026, 1, 1), 10_000)
    paid_lines(pipeline, customer, {n: 100_000 if n >= 14 else 93_000 for n in range(60)})
    past(pipeline, customer)
    (told,) = ask(pipeline, customer, "detect_behavioral_changes", at(0))
    change = told[1]["change"]
    assert (change["kind"], change["procedure"]) == ("underpayment", "99213")
    assert change["q"] == pytest.approx(change["p"] * 4)  # beside a payer, its procedure and its reason
    assert (change["baseline"], change["current"]) == (pytest.approx(1), pytest.approx(0.93))
    assert change["at_stake_cents"] == 14 * 7_000
    later = ON + timedelta(days=70)
    paid_lines(pipeline, customer, dict.fromkeys(range(70), 93_000), on=later)
    (told,) = ask(pipeline, customer, "detect_behavioral_changes", at(0, later))
    assert (told[0], told[1]["change"]["closed_why"]) == ("payer.change_closed", "settled")
    assert told[1]["change"]["current"] == pytest.approx(0.93)


@pytest.mark.parametrize("new_cents", [9_000, 10_400])
def test_a_new_fee_is_held_against_services_from_its_day_on_and_not_against_payments(
    pipeline: "Pipeline", new_cents: int
) -> None:
    customer = pipeline.customer()
    fee(pipeline, customer, date(2026, 1, 1), 10_000)
    fee(pipeline, customer, ON - timedelta(days=28), new_cents)
    paid_lines(pipeline, customer, {n: 10 * (new_cents if n + 14 <= 28 else 10_000) for n in range(-14, 70)})
    for days in range(-13, 15):
        slot = at(0, ON + timedelta(days=days))
        assert ask(pipeline, customer, "detect_behavioral_changes", slot) == []


def test_lines_that_an_older_release_added_count_by_their_day_of_payment(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    fee(pipeline, customer, date(2026, 1, 1), 10_000)
    paid_lines(pipeline, customer, dict.fromkeys(range(14), 93_000))
    pipeline.execute(
        "INSERT INTO payment_daily_lines (customer_id, payer_key, procedure, day, lines, units, received_cents)"
        " SELECT CAST(:c AS uuid), 'oak', '99213', CAST(:on AS date) - n, 10, 10, 100000"
        " FROM generate_series(14, 60) n",
        c=str(customer), on=ON.isoformat(),
    )  # fmt: skip
    (told,) = ask(pipeline, customer, "detect_behavioral_changes", at(0))
    assert told[1]["change"]["baseline"] == pytest.approx(1)


def test_a_change_at_three_customers_is_told_to_the_payers_others_and_names_nobody(
    pipeline: "Pipeline",
) -> None:
    payer = f"elm-{uuid4().hex[:6]}"
    hit = [pipeline.customer(f"Hit {n}") for n in range(3)]
    other, stranger = pipeline.customer("Other"), pipeline.customer("Stranger")
    calm = [of(n, 50, 5, payer=payer, carc="50") for n in range(70)]
    rising = [of(n, 50, 20, payer=payer, carc="252") for n in range(3)] + calm[3:]
    for customer in hit:
        add(pipeline, customer, rising)
    add(pipeline, other, calm)
    add(pipeline, stranger, [of(0, 50, 5)])
    headers = {
        "Authorization": f"Bearer {token(pipeline)}",
        "x-cloudscheduler-scheduletime": "2026-11-20T12:00:00Z",
    }
    reply = post(pipeline, "detect_behavioral_changes", headers)
    assert pipeline.drained()
    assert runs(pipeline, reply.body["run_id"])["state"] == "finished"
    assert runs(pipeline, reply.body["run_id"])["stage"] == "network"
    (finding,) = findings(pipeline, other)
    assert (finding["kind"], finding["payer_key"], finding["subject"], finding["current"]) == (
        "network", payer, "252", 3,
    )  # fmt: skip
    assert findings(pipeline, stranger) == []
    (told,) = pipeline.rows(
        "SELECT convert_from(data, 'UTF8') AS data FROM outbox WHERE customer_id = CAST(:c AS uuid)"
        " AND event_type = 'payer.change_detected'",
        c=str(other),
    )
    for customer in hit:
        assert str(customer) not in told["data"]
        assert "Hit" not in told["data"]


# Authorizations.


def authorization(pipeline: "Pipeline", customer: UUID, expires_on: date | None, **more: object) -> UUID:
    row = {
        "id": str(uuid4()), "payer_key": "blue-cross", "number": uuid4().hex[:8], "member": "M1", "procedure": "97110",
        "status": "active", "effective_on": ON - timedelta(days=100), "units": None, "used": None, **more,
    }  # fmt: skip
    pipeline.execute(
        "INSERT INTO authorizations (id, customer_id, payer_key, payer_name, number, patient, procedure, status,"
        " effective_on, expires_on, units_authorized, units_used, stated_on, event_id) VALUES (CAST(:id AS uuid),"
        " CAST(:c AS uuid), :payer_key, 'Payer', :number, jsonb_build_object('member_id', CAST(:member AS text)),"
        " :procedure, :status, CAST(:effective_on AS date), CAST(:expires_on AS date), CAST(:units AS int),"
        " CAST(:used AS int), CAST(:stated AS date), CAST(:id AS uuid))",
        c=str(customer), expires_on=None if expires_on is None else str(expires_on), stated=str(ON),
        **{name: None if value is None else str(value) for name, value in row.items()},
    )  # fmt: skip
    return UUID(str(row["id"]))


def states(pipeline: "Pipeline", customer: UUID) -> dict[UUID, list[str]]:
    found: dict[UUID, list[str]] = {}
    for row in pipeline.rows(
        "SELECT authorization_id, state, reason FROM authorization_states WHERE customer_id = CAST(:c AS uuid)"
        " ORDER BY authorization_id, ordinal",
        c=str(customer),
    ):
        found.setdefault(row["authorization_id"], []).append(f"{row['state']}:{row['reason']}")
    return found


def test_an_authorization_is_told_of_once_in_its_window_and_lives_on(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    soon = authorization(pipeline, customer, ON + timedelta(days=20))
    authorization(pipeline, customer, ON + timedelta(days=22))
    told = ask(pipeline, customer, "check_expiring_authorizations", at())
    assert [
        (kind, data["authorization"]["id"], data["authorization"]["lead_days"]) for kind, data in told
    ] == [("authorization.expiring", str(soon), 21)]
    assert ask(pipeline, customer, "check_expiring_authorizations", at(6, ON + timedelta(days=1))) != told
    assert ask(pipeline, customer, "check_expiring_authorizations", at(7, ON + timedelta(days=1))) == []
    successor = authorization(
        pipeline, customer, ON + timedelta(days=200), effective_on=ON + timedelta(days=21), number="NEW"
    )
    told = ask(pipeline, customer, "check_expiring_authorizations", at(6, ON + timedelta(days=8)))
    assert {kind for kind, _ in told} == {"authorization.renewed"}
    assert {data["authorization"]["renewed_by"] for _, data in told} == {str(successor)}
    assert states(pipeline, customer)[soon] == ["EXPIRING_SOON:date", "RENEWED:replaced"]


def test_nothing_took_its_place_so_it_expires_after_its_last_day(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    one = authorization(pipeline, customer, ON)
    ask(pipeline, customer, "check_expiring_authorizations", at(6, ON))
    assert states(pipeline, customer)[one] == ["EXPIRING_SOON:date"]  # its last day still counts
    told = ask(pipeline, customer, "check_expiring_authorizations", at(6, ON + timedelta(days=1)))
    assert [kind for kind, _ in told] == ["authorization.expired"]
    pipeline.execute(
        "UPDATE authorizations SET expires_on = CAST(:later AS date) WHERE id = CAST(:id AS uuid)",
        later=str(ON + timedelta(days=300)), id=str(one),
    )  # fmt: skip
    ask(pipeline, customer, "check_expiring_authorizations", at(6, ON + timedelta(days=2)))
    assert states(pipeline, customer)[one][-1] == "ACTIVE:extended"


def test_units_that_run_out_first_count_as_expiring(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    burning = authorization(pipeline, customer, ON + timedelta(days=150), units=20, used=18)
    authorization(pipeline, customer, ON + timedelta(days=150), units=200, used=18, member="M2")
    ((kind, data),) = ask(pipeline, customer, "check_expiring_authorizations", at())
    assert (kind, data["authorization"]["id"], data["authorization"]["reason"]) == (
        "authorization.expiring", str(burning), "units",
    )  # fmt: skip
    assert data["authorization"]["ends_on"] == str(ON + timedelta(days=12))  # 18 in 101 days, 2 left


def test_units_that_run_out_again_after_the_payer_added_some_are_told_again(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    one = authorization(pipeline, customer, ON + timedelta(days=300), units=20, used=18)

    def check(day: int) -> list[str]:
        slot = at(6, ON + timedelta(days=day))
        return [kind for kind, _ in ask(pipeline, customer, "check_expiring_authorizations", slot)]

    def now(units: int, used: int, day: int) -> None:
        pipeline.execute(
            "UPDATE authorizations SET units_authorized = CAST(:units AS int), units_used = CAST(:used AS int),"
            " stated_on = CAST(:stated AS date) WHERE id = CAST(:id AS uuid)",
            units=units, used=used, stated=str(ON + timedelta(days=day)), id=str(one),
        )  # fmt: skip

    assert check(0) == ["authorization.expiring"]
    now(60, 18, 1)
    assert check(1) == []
    now(60, 55, 40)
    assert check(40) == ["authorization.expiring"]
    assert states(pipeline, customer)[one] == [
        "EXPIRING_SOON:units", "ACTIVE:extended", "EXPIRING_SOON:units",
    ]  # fmt: skip


def test_the_day_is_the_practices_own(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    authorization(pipeline, customer, ON + timedelta(days=21))
    pipeline.execute(
        "UPDATE customers SET time_zone = 'Pacific/Honolulu' WHERE id = CAST(:c AS uuid)", c=str(customer)
    )
    # 06:00 UTC is yesterday evening in Honolulu: one more day is left there.
    assert ask(pipeline, customer, "check_expiring_authorizations", at(6)) == []
    assert len(ask(pipeline, customer, "check_expiring_authorizations", at(6, ON + timedelta(days=1)))) == 1


def test_a_customers_own_lead_time_goes_before_ours(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    authorization(pipeline, customer, ON + timedelta(days=45))
    authorization(pipeline, customer, ON + timedelta(days=45), procedure="73721")
    pipeline.execute(
        "INSERT INTO authorization_lead_times VALUES (CAST(:c AS uuid), 'blue-cross', '73721', 60)",
        c=str(customer),
    )
    ((_, data),) = ask(pipeline, customer, "check_expiring_authorizations", at())
    assert (data["authorization"]["procedure"], data["authorization"]["lead_days"]) == ("73721", 60)


def test_a_request_that_a_portal_took_is_looked_at_days_later_and_each_time_once(
    pipeline: "Pipeline",
) -> None:
    customer = pipeline.customer()
    one = authorization(pipeline, customer, ON + timedelta(days=20))
    ask(pipeline, customer, "check_expiring_authorizations", at())
    pipeline.execute(
        "INSERT INTO actions (id, customer_id, execution_id, event_id, rule_id, subject, type, params, state,"
        " updated_at)"
        " VALUES (gen_random_uuid(), CAST(:c AS uuid), gen_random_uuid(), gen_random_uuid(), 'r', :subject,"
        " 'submit_reauth_request', '{}', 'settled', CAST(:at AS timestamptz))",
        c=str(customer), subject=f"authorizations/{one}", at=at(8).isoformat(),
    )  # fmt: skip
    asked = {
        days: ask(pipeline, customer, "check_expiring_authorizations", at(6, ON + timedelta(days=days)))
        for days in range(1, 8)
    }
    due = {days: [kind for kind, _ in told] for days, told in asked.items() if told}
    assert due == {2: ["authorization.check_due"], 5: ["authorization.check_due"]}
    assert asked[5][0][1]["authorization"]["days_since_request"] == 5
