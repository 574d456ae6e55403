"""One suite for every ledger of actions: in memory, and PostgreSQL as the application's own role."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from shared.adapters.memory_ledger import InMemoryActionLedger, StoredAction
from shared.adapters.postgres.engine import build_engine
from shared.adapters.postgres.ledger import PostgresActionLedger
from shared.adapters.postgres.operators import PostgresOperatorDesk
from shared.adapters.postgres.record import PostgresEventRecord
from shared.domain.events import Event, Received
from shared.ports.ledger import ActionClaim, ActionLedger, Ended, Ending, Visit, Waits
from shared.runtime.errors import PermanentError, PoisonError, TransientError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shared.runtime.settings import Settings
    from tests.contract.conftest import Hands

LEASE_S = 30.0


@dataclass
class Shelf:
    """One backend with one requested action."""

    clock: "Hands"
    ledger: ActionLedger
    action: ActionClaim
    end: Callable[[ActionClaim, Ending], None]
    result: Callable[[], tuple[str, str]]
    switch: Callable[[str, bool], None]
    add: Callable[[ActionClaim], None]

    def another(self, **changes: Any) -> "Shelf":  # noqa: ANN401 - any member of a claim
        """Return the same backend with another action of the customer, about the same claim."""
        action = replace(self.action, action_id=uuid4(), **changes)
        self.add(action)
        return replace(self, action=action)

    def claim(self, *, lease_s: float = LEASE_S, event_id: UUID | None = None) -> ActionClaim | Waits | Ended:
        return self.ledger.claim(
            self.action.customer_id,
            self.action.action_id,
            event_id=event_id or uuid4(),
            token=uuid4(),
            now=self.clock(),
            lease_s=lease_s,
        )

    def own(self) -> ActionClaim:
        claim = self.claim()
        assert isinstance(claim, ActionClaim)
        return claim

    def commit(self, claim: ActionClaim, *, reference: str = "UP-1", seen: tuple[str, ...] = ()) -> None:
        self.ledger.mark_committing(
            claim, client_reference=reference, seen_before=seen, now=self.clock(), lease_s=LEASE_S
        )

    def settled(self) -> Ending:
        return Ending("settled", self.clock(), reference="CNF-1")


def requested(clock: "Hands") -> ActionClaim:
    return ActionClaim(
        action_id=uuid4(),
        customer_id=uuid4(),
        token=uuid4(),
        type="submit_appeal",
        subject=f"claims/{uuid4()}",
        rule_id="rule",
        params={"template": "auto"},
        payer_key="",
        lease_expires_at=clock(),
        requested_at=clock(),
    )


@pytest.fixture(scope="session")
def engines(embedded_settings: "Settings") -> "Iterator[tuple[Engine, Engine]]":
    both = (
        build_engine(embedded_settings, user="upstream_app", database=embedded_settings.database_name),
        build_engine(
            replace(embedded_settings, pool_size=2),
            user="upstream_operator",
            database=embedded_settings.database_name,
        ),
    )
    yield both
    for engine in both:
        engine.dispose()


@pytest.fixture(params=["memory", "postgres"])
def shelf(request: pytest.FixtureRequest, clock: "Hands") -> Shelf:
    action = requested(clock)
    if request.param == "memory":
        memory = InMemoryActionLedger([action])

        def in_memory() -> tuple[str, str]:
            stored = memory.actions[action.action_id]
            return stored.state, stored.ending.reference if stored.ending else ""

        def in_set(action_type: str, off: bool) -> None:  # noqa: FBT001 - as the desk has it
            change = memory.switched_off.add if off else memory.switched_off.discard
            change((action.customer_id, action_type))

        def add(more: ActionClaim) -> None:
            memory.actions[more.action_id] = StoredAction(more)

        return Shelf(clock, memory, action, memory.end_action, in_memory, in_set, add)
    app, operator = request.getfixturevalue("engines")
    return _in_postgres(clock, action, app, operator)


def _in_postgres(clock: "Hands", action: ActionClaim, app: "Engine", operator: "Engine") -> Shelf:
    record = PostgresEventRecord(app)
    with operator.begin() as connection:
        connection.execute(
            text("INSERT INTO customers (id, name) VALUES (CAST(:id AS uuid), 'Practice')"),
            {"id": str(action.customer_id)},
        )

    def add(more: ActionClaim) -> None:
        with operator.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO actions"
                    " (id, customer_id, execution_id, event_id, rule_id, subject, type, params, state)"
                    " VALUES (CAST(:id AS uuid), CAST(:customer AS uuid), CAST(:id AS uuid), CAST(:id AS uuid), 'rule',"
                    " :subject, :type, CAST(:params AS jsonb), 'requested')"
                ),
                {
                    "id": str(more.action_id),
                    "customer": str(more.customer_id),
                    "subject": more.subject,
                    "type": more.type,
                    "params": json.dumps(more.params),
                },
            )

    add(action)

    def end(claim: ActionClaim, ending: Ending) -> None:
        event = Event(uuid4(), "action.requested", "/test", "", clock(), action.customer_id, b"{}")
        with record.event("execute_action", Received(event, 1, "", {})) as transaction:
            transaction.end_action(claim, ending)

    def result() -> tuple[str, str]:
        with operator.begin() as connection:
            row = connection.execute(
                text("SELECT state, reference FROM actions WHERE id = CAST(:id AS uuid)"),
                {"id": str(action.action_id)},
            ).one()
            return row.state, row.reference

    def switch(action_type: str, off: bool) -> None:  # noqa: FBT001 - as the desk has it
        desk = PostgresOperatorDesk(operator)
        desk.switch(action.customer_id, action_type, off=off, by="dana", why="wrong appeals")

    return Shelf(clock, PostgresActionLedger(app), action, end, result, switch, add)


def lost(call: Callable[[], object]) -> str:
    with pytest.raises(TransientError) as caught:
        call()
    return caught.value.code


def test_a_requested_action_is_ours_with_what_it_asks_for(shelf: Shelf) -> None:
    claim = shelf.own()
    assert (claim.type, claim.subject, claim.params) == (
        "submit_appeal",
        shelf.action.subject,
        {"template": "auto"},
    )
    assert (claim.reconciling, claim.attempts, claim.submissions, claim.flow) == (False, 0, 0, "")
    assert claim.lease_expires_at == shelf.clock() + timedelta(seconds=LEASE_S)


def test_sixteen_threads_claim_one_action_and_one_wins(shelf: Shelf) -> None:
    start = threading.Barrier(16)

    def race(_: int) -> ActionClaim | Waits | Ended:
        start.wait(timeout=30)
        return shelf.claim()

    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(race, range(16)))
    won = [result for result in results if isinstance(result, ActionClaim)]
    assert len(won) == 1
    assert [result for result in results if isinstance(result, Waits) and result.why == "held"] == [
        Waits("held", won[0].lease_expires_at)
    ] * 15
    shelf.commit(won[0])
    shelf.end(won[0], shelf.settled())
    assert shelf.result() == ("settled", "CNF-1")


def test_a_lease_that_ended_frees_what_is_only_claimed(shelf: Shelf) -> None:
    first = shelf.own()
    shelf.clock.forward(LEASE_S - 1)
    assert isinstance(shelf.claim(), Waits)
    shelf.clock.forward(1)
    second = shelf.own()
    assert second.token != first.token
    assert not second.reconciling


def test_a_worker_that_was_overtaken_changes_nothing(shelf: Shelf) -> None:
    first = shelf.own()
    shelf.clock.forward(LEASE_S)
    second = shelf.own()
    now = shelf.clock()
    for call in (
        lambda: shelf.commit(first),
        lambda: shelf.ledger.renew(first, now=now, lease_s=LEASE_S),
        lambda: shelf.ledger.begin_visit(first, flow="f", now=now),
        lambda: shelf.ledger.postpone(first, until=now, code="portal_busy"),
        lambda: shelf.end(first, shelf.settled()),
    ):
        assert lost(call) == "claim_lost"
    shelf.commit(second)
    shelf.end(second, shelf.settled())
    assert shelf.result() == ("settled", "CNF-1")


def test_nobody_is_let_press_submit_after_the_lease(shelf: Shelf) -> None:
    claim = shelf.own()
    shelf.clock.forward(LEASE_S)
    assert lost(lambda: shelf.commit(claim)) == "claim_lost"


def test_a_lease_can_be_made_longer_while_it_lasts(shelf: Shelf) -> None:
    claim = shelf.own()
    shelf.clock.forward(LEASE_S - 1)
    shelf.ledger.renew(claim, now=shelf.clock(), lease_s=LEASE_S)
    shelf.clock.forward(LEASE_S - 1)
    assert isinstance(shelf.claim(), Waits)
    shelf.commit(claim)


def test_submit_is_allowed_once_a_claim(shelf: Shelf) -> None:
    claim = shelf.own()
    shelf.commit(claim)
    assert lost(lambda: shelf.commit(claim)) == "claim_lost"


def test_committing_past_its_lease_is_to_be_reconciled(shelf: Shelf) -> None:
    first = shelf.own()
    committed_at = shelf.clock()
    shelf.commit(first, reference="UP-1", seen=("A", "B"))
    assert isinstance(shelf.claim(), Waits)
    shelf.clock.forward(LEASE_S)
    second = shelf.own()
    assert second.reconciling
    assert (second.client_reference, second.seen_before, second.submissions) == (
        "UP-1",
        frozenset("AB"),
        1,
    )
    assert second.committed_at == committed_at
    assert shelf.result()[0] == "unknown"
    assert lost(lambda: shelf.end(first, shelf.settled())) == "claim_lost"


def test_what_is_reconciled_stays_so_whoever_takes_it(shelf: Shelf) -> None:
    shelf.commit(shelf.own())
    for _ in range(3):
        shelf.clock.forward(LEASE_S)
        assert shelf.own().reconciling
    shelf.clock.forward(LEASE_S)
    claim = shelf.own()
    shelf.ledger.postpone(claim, until=shelf.clock(), code="commit_unclear")
    assert shelf.result()[0] == "unknown"
    assert shelf.own().reconciling


def test_what_surely_was_not_taken_may_be_committed_again(shelf: Shelf) -> None:
    shelf.commit(shelf.own())
    shelf.clock.forward(LEASE_S)
    claim = shelf.own()
    shelf.commit(claim)
    shelf.end(claim, shelf.settled())
    assert shelf.result() == ("settled", "CNF-1")


@pytest.mark.parametrize("result", ["settled", "failed", "open", "unknown"])
def test_an_action_that_ended_is_nobodys(shelf: Shelf, result: str) -> None:
    claim = shelf.own()
    shelf.end(claim, Ending(result, shelf.clock(), code="captcha"))  # type: ignore[arg-type]
    shelf.clock.forward(LEASE_S * 100)
    assert shelf.claim() == Ended()
    assert lost(lambda: shelf.end(claim, shelf.settled())) == "claim_lost"


@pytest.mark.parametrize(
    ("result", "code", "ended"),
    [
        ("open", "gave_up", "unknown"),
        ("failed", "gave_up", "unknown"),
        ("failed", "payer_refused", "failed"),
        ("settled", "", "settled"),
    ],
)
def test_with_submit_perhaps_pressed_only_the_payer_says_that_nothing_was_taken(
    shelf: Shelf, result: str, code: str, ended: str
) -> None:
    claim = shelf.own()
    shelf.commit(claim)
    shelf.end(claim, Ending(result, shelf.clock(), code=code))  # type: ignore[arg-type]
    assert shelf.result()[0] == ended


def test_what_was_postponed_is_not_due_before_its_time(shelf: Shelf) -> None:
    due_at = shelf.clock() + timedelta(minutes=5)
    shelf.ledger.postpone(shelf.own(), until=due_at, code="portal_unavailable")
    assert shelf.claim() == Waits("not_due", due_at)
    shelf.clock.forward(300)
    assert not shelf.own().reconciling


def test_a_portal_that_is_disabled_holds_its_action_and_is_told_apart_from_others(shelf: Shelf) -> None:
    customer = shelf.action.customer_id
    assert not shelf.ledger.disabled(customer, "aetna")
    shelf.end(shelf.own(), Ending("open", shelf.clock(), code="wrong_password", disables="aetna"))
    assert shelf.claim() == Waits("disabled", None)
    assert shelf.ledger.disabled(customer, "aetna")
    assert not shelf.ledger.disabled(customer, "blue-cross")
    assert not shelf.ledger.disabled(uuid4(), "aetna")


def test_visits_are_counted_and_the_first_ones_flow_is_kept(shelf: Shelf) -> None:
    claim = shelf.own()
    assert shelf.ledger.begin_visit(claim, flow="aetna/submit_appeal@1", now=shelf.clock()) == 1
    visit = Visit(
        1, "again", shelf.clock(), "portal_unavailable", steps=[{"name": "sign_in"}], files={"a": "b"}
    )
    shelf.ledger.end_visit(claim, visit)
    assert shelf.ledger.begin_visit(claim, flow="aetna/submit_appeal@2", now=shelf.clock()) == 2
    shelf.ledger.postpone(claim, until=shelf.clock(), code="portal_unavailable")
    again = shelf.own()
    assert (again.flow, again.attempts) == ("aetna/submit_appeal@1", 2)


def test_there_is_no_such_action(shelf: Shelf) -> None:
    for customer_id, action_id in (
        (shelf.action.customer_id, uuid4()),
        (uuid4(), shelf.action.action_id),
    ):
        with pytest.raises(PoisonError, match="no action"):
            shelf.ledger.claim(
                customer_id, action_id, event_id=uuid4(), token=uuid4(), now=shelf.clock(), lease_s=LEASE_S
            )


@pytest.mark.parametrize("stopped", ["", "submit_appeal"])
def test_what_was_switched_off_is_nobodys_until_it_is_switched_on(shelf: Shelf, stopped: str) -> None:
    shelf.switch(stopped, True)
    assert shelf.claim() == Waits("switched_off", None)
    shelf.clock.forward(LEASE_S * 100)
    assert shelf.claim() == Waits("switched_off", None)
    shelf.switch(stopped, False)
    claim = shelf.own()
    shelf.commit(claim)
    shelf.end(claim, shelf.settled())
    assert shelf.result() == ("settled", "CNF-1")


def test_a_switch_of_other_actions_holds_nothing(shelf: Shelf) -> None:
    shelf.switch("submit_reauth_request", True)
    shelf.commit(shelf.own())


def test_nobody_presses_submit_after_the_switch_and_the_action_waits(shelf: Shelf) -> None:
    claim = shelf.own()
    shelf.switch("", True)
    assert lost(lambda: shelf.commit(claim)) == "switched_off"
    shelf.ledger.postpone(claim, until=shelf.clock(), code="switched_off")
    assert shelf.result()[0] == "requested"
    assert shelf.claim() == Waits("switched_off", None)
    shelf.switch("", False)
    assert shelf.own().submissions == 0


def test_a_switch_changes_nothing_for_what_is_committing(shelf: Shelf) -> None:
    claim = shelf.own()
    shelf.commit(claim)
    shelf.switch("", True)
    shelf.ledger.renew(claim, now=shelf.clock(), lease_s=LEASE_S)
    shelf.end(claim, shelf.settled())
    assert shelf.result() == ("settled", "CNF-1")


def test_what_may_have_been_submitted_is_looked_up_whatever_is_switched_off_and_not_sent_again(
    shelf: Shelf,
) -> None:
    shelf.commit(shelf.own())
    shelf.switch("submit_appeal", True)
    shelf.clock.forward(LEASE_S)
    claim = shelf.own()
    assert claim.reconciling
    assert lost(lambda: shelf.commit(claim)) == "switched_off"
    shelf.ledger.postpone(claim, until=shelf.clock(), code="switched_off")
    assert shelf.result()[0] == "unknown"
    assert shelf.claim() == Waits("switched_off", None)
    shelf.switch("submit_appeal", False)
    again = shelf.own()
    assert again.reconciling
    shelf.commit(again)


# One submission at a time for a claim, whoever asked for it.


def under_way(shelf: Shelf) -> bool:
    """Try to press Submit; return whether another action has it."""
    try:
        shelf.commit(shelf.own())
    except PermanentError as exc:
        return exc.code == "under_way"
    return False


def test_of_sixteen_actions_about_one_claim_one_may_press_submit(shelf: Shelf) -> None:
    shelves = [shelf, *(shelf.another() for _ in range(15))]
    start = threading.Barrier(16)

    def race(one: Shelf) -> bool:
        start.wait(timeout=30)
        return under_way(one)

    with ThreadPoolExecutor(16) as threads:
        assert sorted(threads.map(race, shelves)) == [False] + [True] * 15


def test_what_is_in_doubt_or_a_persons_keeps_others_from_submitting(shelf: Shelf) -> None:
    claim = shelf.own()
    shelf.commit(claim)
    assert under_way(shelf.another())
    shelf.ledger.postpone(claim, until=shelf.clock(), code="commit_unclear")
    assert under_way(shelf.another())
    shelf.end(shelf.own(), Ending("unknown", shelf.clock(), code="commit_unclear"))
    assert under_way(shelf.another())


def test_what_a_person_is_to_submit_is_not_submitted_by_another_action(shelf: Shelf) -> None:
    shelf.end(shelf.own(), Ending("open", shelf.clock(), code="captcha"))
    assert under_way(shelf.another())


def test_what_was_not_submitted_keeps_nobody_from_it(shelf: Shelf) -> None:
    claim = shelf.own()
    shelf.commit(claim)
    shelf.end(claim, Ending("failed", shelf.clock(), code="payer_refused"))
    second = shelf.another()
    shelf.end(second.own(), Ending("open", shelf.clock(), code="under_way"))
    assert not under_way(shelf.another())


def test_what_was_filed_is_filed_again_by_nobody(shelf: Shelf) -> None:
    claim = shelf.own()
    shelf.commit(claim)
    shelf.end(claim, shelf.settled())
    assert under_way(shelf.another())
    assert under_way(shelf.another(params={"level": 2}))  # the payer has not answered the first
    assert not under_way(shelf.another(subject=f"claims/{uuid4()}"))


def test_a_letter_has_every_claim_that_it_names(shelf: Shelf) -> None:
    named = [str(uuid4()), str(uuid4())]
    letter = shelf.another(subject=f"claims/{named[0]}", params={"claims": named})
    assert not under_way(letter)
    assert under_way(shelf.another(subject=f"claims/{named[1]}"))
    assert under_way(shelf.another(params={"claims": [str(uuid4()), named[1]]}))
    assert not under_way(shelf)


def test_what_others_do_about_a_claim_keeps_nobody_from_submitting(shelf: Shelf) -> None:
    shelf.end(shelf.another(type="check_claim_status").own(), Ending("open", shelf.clock(), code="captcha"))
    assert not under_way(shelf)


def test_a_reference_that_another_action_holds_in_the_portal_is_told(shelf: Shelf) -> None:
    other = shelf.another(subject=f"claims/{uuid4()}")
    claim = other.own()
    shelf.ledger.begin_visit(claim, flow="aetna/submit_appeal@1", now=shelf.clock())
    shelf.commit(claim)
    shelf.end(claim, shelf.settled())
    ours = shelf.own()
    held = shelf.ledger.held_by_others
    assert held(ours, "aetna", ["CNF-1", "CNF-2"]) == {"CNF-1"}
    assert held(ours, "uhc", ["CNF-1"]) == held(ours, "aetna", []) == held(claim, "aetna", ["CNF-1"]) == set()
    assert held(replace(ours, customer_id=uuid4()), "aetna", ["CNF-1"]) == set()
