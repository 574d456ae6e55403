"""Limits are held in the database: two workers cannot both pass one."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from shared.adapters.postgres.operators import PostgresOperatorDesk
from shared.domain.events import Event, Received
from shared.domain.spending import Window
from shared.handlers.apply_rules import apply_rules
from shared.handlers.rule_book import RuleBook
from shared.rules.indexed import IndexedEngine

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

NOW = datetime(2026, 2, 3, 12, tzinfo=UTC)


def limited(name: str = "limited", **fields: object) -> dict[str, object]:
    return {
        "id": name, "version": 1, "name": name, "trigger": "claim.denied", "mode": "live",
        "when": {"fact": "denial.carc", "op": "eq", "value": "29"},
        "then": [{"action": "create_task", "params": {"kind": "call", "title": "Call"}}],
        "examples": [{"given": {"denial.carc": "29"}, "expect": "fires"}],
    } | fields  # fmt: skip


def denied(customer_id: UUID, cents: int = 100) -> Received:
    data = {
        "claim": {"id": str(uuid4()), "payer_id": "oak"},
        "denial": {"carc": "29", "amount_cents": cents},
    }
    event = Event(
        id=uuid4(),
        type="claim.denied",
        source="/test",
        subject=f"claims/{uuid4()}",
        time=NOW,
        customer_id=customer_id,
        data=json.dumps(data).encode(),
    )
    return Received(event, 1, "test", {})


class Worker:
    """A process's own compiled rules, on the one record."""

    def __init__(self, pipeline: "Pipeline") -> None:
        self.record = pipeline.app.record
        self.book = RuleBook(IndexedEngine())

    def take(self, events: Sequence[Received]) -> None:
        apply_rules(events, record=self.record, book=self.book, clock=lambda: NOW)


def outcomes(pipeline: "Pipeline", customer_id: UUID) -> Mapping[str, int]:
    rows = pipeline.rows(
        "SELECT decision FROM executions WHERE customer_id = CAST(:c AS uuid)", c=str(customer_id)
    )
    return Counter(row["decision"] for row in rows)


def test_two_workers_and_a_thousand_events_fire_a_limit_of_ten_exactly_ten_times(
    pipeline: "Pipeline",
) -> None:
    customer_id = pipeline.customer()
    pipeline.rule(customer_id, limited(limits={"windows": [{"days": 1, "max_actions": 10}]}))
    turns = [[denied(customer_id) for _ in range(5)] for _ in range(200)]
    workers = [Worker(pipeline), Worker(pipeline)]
    with ThreadPoolExecutor(2) as threads:
        done = [threads.submit(workers[nth % 2].take, turn) for nth, turn in enumerate(turns)]
    for each in done:
        each.result()
    assert outcomes(pipeline, customer_id) == {"fired": 10, "escalated": 990}
    (spent,) = pipeline.rows(
        "SELECT scope, actions, amount_cents FROM rule_spending WHERE customer_id = CAST(:c AS uuid)",
        c=str(customer_id),
    )
    assert spent == {"scope": "rule:limited", "actions": 10, "amount_cents": 1000}


def test_the_dollars_of_a_customer_are_shared_by_its_rules(pipeline: "Pipeline") -> None:
    customer_id = pipeline.customer()
    pipeline.rule(customer_id, limited("one"))
    pipeline.rule(customer_id, limited("two", priority=-1))
    PostgresOperatorDesk(pipeline.operator).limit(customer_id, Window(7, max_amount_cents=2500), by="test")
    worker = Worker(pipeline)
    for _ in range(3):
        worker.take([denied(customer_id, 1000)])
    assert outcomes(pipeline, customer_id) == {"fired": 2, "escalated": 4}
    explained = pipeline.rows(
        "SELECT explanation FROM executions WHERE customer_id = CAST(:c AS uuid) AND decision = 'escalated'",
        c=str(customer_id),
    )
    assert all({"limited_by": "customer_windows"} in row["explanation"] for row in explained)
    assert all(any(part.get("used_amount_cents") == 2000 for part in row["explanation"]) for row in explained)


def test_what_was_rolled_back_was_not_used(pipeline: "Pipeline") -> None:
    customer_id = pipeline.customer()
    pipeline.rule(customer_id, limited(limits={"windows": [{"days": 1, "max_actions": 1}]}))
    record = pipeline.app.record
    with record.events("apply_rules", [denied(customer_id)]) as (transaction,):
        transaction.spent("rule:limited", since=NOW.date())
        transaction.spend("rule:limited", on=NOW.date(), amount_cents=1)
    assert outcomes(pipeline, customer_id) == {}
    worker = Worker(pipeline)
    worker.take([denied(customer_id)])
    assert outcomes(pipeline, customer_id) == {"escalated": 1}


def test_a_switch_stops_the_next_event_and_lets_it_go_on(pipeline: "Pipeline") -> None:
    customer_id = pipeline.customer()
    pipeline.rule(customer_id, limited())
    worker, desk = Worker(pipeline), PostgresOperatorDesk(pipeline.operator)
    worker.take([denied(customer_id)])
    desk.switch(customer_id, "create_task", off=True, by="ann", why="wrong tasks")
    worker.take([denied(customer_id)])
    worker.take([denied(customer_id)])
    assert outcomes(pipeline, customer_id) == {"fired": 1, "escalated": 2}
    alerts = pipeline.rows(
        "SELECT title FROM alerts WHERE customer_id = CAST(:c AS uuid)", c=str(customer_id)
    )
    assert alerts == [{"title": "A rule is switched off: a person decides"}]
    waiting = pipeline.rows(
        "SELECT id FROM actions WHERE customer_id = CAST(:c AS uuid) AND state = 'open'", c=str(customer_id)
    )
    assert len(waiting) == 3  # a task is open in any case
    desk.switch(customer_id, "create_task", off=False, by="ann", why="mended")
    desk.switch(customer_id, "", off=True, by="ann", why="everything")
    worker.take([denied(customer_id)])
    desk.switch(customer_id, "", off=False, by="ann", why="go on")
    worker.take([denied(customer_id)])
    assert outcomes(pipeline, customer_id) == {"fired": 2, "escalated": 3}
    assert [(switch.action_type, switch.off, switch.changed_by) for switch in desk.switches(customer_id)] == [
        ("", False, "ann"),
        ("create_task", False, "ann"),
    ]
