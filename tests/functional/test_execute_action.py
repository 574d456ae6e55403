"""An action is done once: on the real ledger, with a portal that fails as portals do."""

import json
import time as time_
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from shared.adapters.memory import InMemorySecretStore
from shared.adapters.memory_portal import InMemoryPortals, InMemorySession
from shared.adapters.postgres.ledger import PostgresActionLedger
from shared.adapters.postgres.seats import PostgresSeats
from shared.domain.actions import RETRY_AFTER, client_reference
from shared.domain.manners import Manners, Window
from shared.handlers.portal_visit import visit
from shared.ports.clock import system_clock
from shared.ports.ledger import ActionClaim, Visit
from shared.ports.portal import (
    AuthorizationReading,
    ClaimReading,
    Credentials,
    FlowId,
    PortalStopError,
    StopCode,
)
from shared.ports.seats import Full, Seat
from shared.runtime.errors import AmbiguousOutcomeError, PoisonError, TransientError, UpstreamError
from tests.functional.action_desk import PASSWORD, PATIENT, TOTP, Desk, Hands

if TYPE_CHECKING:
    from shared.domain.events import Received
    from tests.functional.conftest import Pipeline

LEASE_S = 120.0


@pytest.fixture
def open_desk(pipeline: "Pipeline", tmp_path: Path) -> Callable[..., Desk]:
    def build(**options: object) -> Desk:
        return Desk(pipeline, tmp_path, **options)  # type: ignore[arg-type]

    return build


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    return open_desk()


def refused(desk: Desk, received: object, **options: object) -> str:
    with pytest.raises(TransientError) as caught:
        desk.do(received, **options)  # type: ignore[arg-type]
    return caught.value.code


def test_an_appeal_is_filed_and_its_outcome_goes_out(desk: Desk) -> None:
    received = desk.request(params={"template": "auto"})
    emitted = desk.do(received)
    row = desk.row(received)
    assert (row["state"], row["reference"], row["code"]) == ("settled", "CNF-000001", "")
    assert row["flow"] == f"{desk.payer}/submit_appeal@1"
    [filed] = desk.portals.filed
    assert filed.submission.client_reference == client_reference(row["id"]) == row["client_reference"]
    assert filed.fields["claim_number"] == "C-1"
    assert filed.fields["member_id"] == PATIENT.member_id
    assert filed.fields["reason"] == "no_authorization"
    assert filed.fields["amount"] == "900.00"
    [event] = emitted.messages
    assert event.attributes["ce-type"] == "app.upstream.action.succeeded"
    told = json.loads(event.data)["action"]
    assert (told["type"], told["result"], told["rule_id"]) == ("submit_appeal", "settled", "rule")
    [appeal] = desk.rows("appeals")
    assert (appeal["carc"], appeal["template"], appeal["amount_cents"]) == ("197", "no_authorization", 90_000)
    assert (appeal["outcome"], appeal["reference"]) == ("pending", "CNF-000001")


def test_what_was_done_can_be_shown(desk: Desk) -> None:
    received = desk.request()
    desk.do(received)
    [visit] = desk.visits(received)
    assert (visit["outcome"], visit["reference"], visit["flow"]) == (
        "settled",
        "CNF-000001",
        f"{desk.payer}/submit_appeal@1",
    )
    assert [step["name"] for step in visit["steps"]] == ["sign_in", "prepare", "commit", "confirm"]
    assert desk.worker.evidence.get(visit["evidence"]["page.png"]).startswith(b"\x89PNG")
    letter = next(name for name in visit["evidence"] if name.endswith(".pdf"))
    assert b"Zyxwvutson" in desk.worker.evidence.get(visit["evidence"][letter])
    assert len(visit["files"]["letter"]) == 64


def test_a_redelivery_files_nothing_and_publishes_what_is_left(desk: Desk) -> None:
    received = desk.request()
    first = desk.do(received)
    assert (
        desk.do(received, attempt=2).messages == first.messages
    )  # not marked yet: the relay is the redelivery
    desk.worker.record.mark_published([first])
    assert desk.do(received, attempt=3).messages == ()
    assert len(desk.portals.filed) == 1


def test_sixteen_copies_at_once_file_once(desk: Desk) -> None:
    received = desk.request()

    def deliver(_: int) -> str:
        try:
            return f"{len(desk.do(received).messages)} messages"
        except TransientError as exc:
            return exc.code

    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(deliver, range(16)))
    assert len(desk.portals.filed) == 1
    assert "1 messages" in results
    assert set(results) <= {"1 messages", "0 messages", "unavailable"}
    assert (
        desk.row(received)["state"] == "settled"
    )  # copies that came meanwhile took nothing from who was at it


def test_what_a_payer_refuses_has_failed_and_the_customer_is_told(desk: Desk) -> None:
    desk.portals.fail("prepare", PortalStopError("payer_refused", "form"))
    received = desk.request()
    emitted = desk.do(received)
    assert (desk.row(received)["state"], desk.row(received)["code"]) == ("failed", "payer_refused")
    assert [m.attributes["ce-type"] for m in sorted(emitted.messages, key=lambda m: m.topic)] == [
        "app.upstream.action.failed",
        "app.upstream.notification.requested",
    ]
    assert [alert["severity"] for alert in desk.rows("alerts")] == ["warning"]


@pytest.mark.parametrize("code", ["captcha", "interstitial", "unknown_page"])
def test_a_page_that_needs_a_person_gets_one(desk: Desk, code: StopCode) -> None:
    desk.portals.fail("prepare", PortalStopError(code, "form"))
    received = desk.request()
    emitted = desk.do(received)
    assert (desk.row(received)["state"], desk.row(received)["code"]) == ("open", code)
    assert "app.upstream.action.escalated" in {m.attributes["ce-type"] for m in emitted.messages}
    assert desk.do(received, attempt=2).messages == emitted.messages
    assert desk.portals.filed == []


def test_a_failure_of_the_moment_waits_longer_each_time_and_then_is_a_persons(desk: Desk) -> None:
    received = desk.request()
    desk.portals.fail("prepare", *(TransientError("portal_unavailable") for _ in range(9)))
    for nth, wait in enumerate(RETRY_AFTER, start=1):
        before = desk.clock()
        assert desk.do(received).messages == ()  # parked: its message is not kept waiting
        row = desk.row(received)
        assert (row["state"], row["attempts"], row["code"]) == ("requested", nth, "portal_unavailable")
        assert row["due_at"] - before == wait
        assert row["parked"]
        desk.clock.forward(wait.total_seconds())
        [received] = desk.again(desk.do(desk.request("check_claim_status")))  # another action wakes it
    desk.do(received)
    assert (desk.row(received)["state"], desk.row(received)["code"]) == ("open", "gave_up")


def test_a_lost_reply_is_looked_up_and_adopted(desk: Desk) -> None:
    desk.portals.lose_replies = 1
    received = desk.request()
    assert refused(desk, received) == "not_yet"
    row = desk.row(received)
    assert (row["state"], row["ended_at"]) == ("unknown", None)
    desk.do(received, attempt=2)
    assert (desk.row(received)["state"], desk.row(received)["reference"]) == ("settled", "CNF-000001")
    assert len(desk.portals.filed) == 1
    assert [visit["reconciling"] for visit in desk.visits(received)] == [False, True]


def test_a_click_that_surely_was_not_taken_is_made_again(desk: Desk) -> None:
    desk.portals.fail("commit", AmbiguousOutcomeError("commit_unclear"))
    received = desk.request()
    assert refused(desk, received) == "not_yet"
    desk.do(received, attempt=2)
    row = desk.row(received)
    assert (row["state"], row["submissions"]) == ("settled", 2)
    assert len(desk.portals.filed) == 1


def test_clicks_that_are_never_taken_end_with_a_person_who_may_submit(desk: Desk) -> None:
    desk.portals.fail("commit", *(AmbiguousOutcomeError("commit_unclear") for _ in range(3)))
    received = desk.request()
    for attempt in (1, 2, 3):
        assert refused(desk, received, attempt=attempt) == "not_yet"
    desk.do(received, attempt=4)
    assert (desk.row(received)["state"], desk.row(received)["code"]) == ("open", "gave_up")


def test_before_it_can_be_listed_it_is_not_called_absent(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(visible_after_s=300)
    desk.portals.lose_replies = 1
    received = desk.request()
    assert desk.do(received).messages == ()
    desk.clock.forward(100)
    assert desk.again(desk.do(desk.request("check_claim_status"))) == []
    assert desk.row(received)["attempts"] == 1  # not due: nobody signed in
    desk.clock.forward(201)
    [again] = desk.again(desk.do(desk.request("check_claim_status")))
    desk.do(again)
    assert desk.row(received)["state"] == "settled"
    assert len(desk.portals.filed) == 1


def test_without_an_echo_only_what_was_not_there_before_is_ours(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(echoes=False)
    first = desk.request()
    desk.do(first)
    desk.pipeline.execute(
        "UPDATE appeals SET outcome = 'upheld' WHERE customer_id = CAST(:id AS uuid)", id=str(desk.customer)
    )
    desk.portals.lose_replies = 1
    second = desk.request(params={"level": 2})
    assert refused(desk, second) == "not_yet"
    assert desk.row(second)["seen_before"] == ["CNF-000001"]
    desk.do(second, attempt=2)
    assert desk.row(second)["reference"] == "CNF-000002"
    assert len(desk.portals.filed) == 2


def test_without_an_echo_two_new_ones_are_a_persons_to_tell_apart(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(echoes=False)
    desk.portals.lose_replies = 1
    received = desk.request()
    assert refused(desk, received) == "not_yet"
    [filed] = desk.portals.filed
    desk.portals.filed.append(replace(filed, submission=replace(filed.submission, reference="CNF-OTHER")))
    emitted = desk.do(received, attempt=2)
    row = desk.row(received)
    assert (row["state"], row["code"]) == ("unknown", "commit_unclear")
    assert row["ended_at"] is not None
    assert [alert["severity"] for alert in desk.rows("alerts")] == ["critical"]
    desk.clock.forward(LEASE_S * 10)
    assert desk.do(received, attempt=3).messages == emitted.messages  # never again by machine
    assert len(desk.portals.sign_ins) == 2


def test_without_an_echo_what_another_action_filed_is_not_ours(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(echoes=False)
    desk.portals.fail("commit", AmbiguousOutcomeError("commit_unclear"))
    received = desk.request()
    assert refused(desk, received) == "not_yet"
    other = desk.request(subject=f"claims/{desk.deny('C-2')}")
    desk.do(other)
    [filed] = desk.portals.filed  # the portal lists it under our claim, too: a letter for both
    desk.portals.filed = [replace(filed, fields={**filed.fields, "claim_number": "C-1"})]
    desk.do(received, attempt=2)
    row = desk.row(received)
    assert (row["state"], row["code"], row["reference"]) == ("unknown", "commit_unclear", "")
    assert len(desk.portals.filed) == 1


def test_committing_past_its_lease_is_reconciled_and_never_claimed_anew(desk: Desk) -> None:
    received = desk.request()
    action_id = desk.row(received)["id"]
    dead = desk.worker.ledger.claim(
        desk.customer, action_id, event_id=uuid4(), token=uuid4(), now=desk.clock(), lease_s=LEASE_S
    )
    assert isinstance(dead, ActionClaim)
    desk.worker.ledger.mark_committing(
        dead,
        client_reference=client_reference(action_id),
        seen_before=(),
        now=desk.clock(),
        lease_s=LEASE_S,
    )
    assert desk.do(received).messages == ()  # its worker may still be at it
    desk.clock.forward(LEASE_S + 1)
    [again] = desk.again(desk.do(desk.request("check_claim_status")))
    desk.do(again)
    row = desk.row(received)
    assert (row["state"], row["submissions"]) == ("settled", 2)
    assert [visit["reconciling"] for visit in desk.visits(received)] == [True]


@pytest.mark.parametrize("code", ["wrong_password", "account_locked", "mfa_refused"])
def test_refused_credentials_stop_every_further_action_until_a_person_allows_them(
    desk: Desk, code: StopCode
) -> None:
    desk.portals.fail("sign_in", PortalStopError(code, "login"))
    tripped, other = desk.request(), desk.request("submit_reauth_request")
    emitted = desk.do(tripped)
    assert {m.attributes["ce-type"] for m in emitted.messages} == {
        "app.upstream.action.escalated",
        "app.upstream.notification.requested",
    }
    assert desk.do(other).messages == ()
    assert len(desk.rows("action_attempts")) == 1
    for received, why in ((tripped, code), (other, "portal_disabled")):
        row = desk.row(received)
        assert (row["state"], row["code"], row["parked"]) == ("requested", why, True)
    [breaker] = desk.rows("portal_breakers")
    assert (breaker["portal"], breaker["state"], breaker["code"]) == (desk.payer, "open", code)
    assert [alert["severity"] for alert in desk.rows("alerts")] == ["critical"]


@pytest.mark.parametrize("code", ["captcha", "interstitial", "unknown_page"])
def test_whatever_stops_a_sign_in_stops_the_next_ones(desk: Desk, code: StopCode) -> None:
    desk.portals.fail("sign_in", PortalStopError(code, "login"))
    first, second = desk.request(), desk.request("submit_reauth_request")
    desk.do(first)
    desk.clock.forward(LEASE_S)
    desk.do(second)
    assert len(desk.rows("action_attempts")) == 1
    assert [(desk.row(one)["state"], desk.row(one)["code"]) for one in (first, second)] == [
        ("requested", code),
        ("requested", "portal_disabled"),
    ]
    [alert] = desk.rows("alerts")
    assert (alert["severity"], "does not let us sign in" in alert["title"]) == ("critical", True)


def test_between_a_refusal_and_its_record_nobody_signs_in(desk: Desk) -> None:
    """The worker dies with the refusal in hand: the seat is kept until its lease is over."""
    desk.portals.fail("sign_in", PortalStopError("wrong_password", "login"))
    first, second = desk.request(), desk.request("submit_reauth_request")
    taken = desk.worker.ledger.claim(
        desk.customer,
        desk.row(first)["id"],
        event_id=uuid4(),
        token=uuid4(),
        now=desk.clock(),
        lease_s=LEASE_S,
    )
    assert isinstance(taken, ActionClaim)
    visit(taken, desk.worker)
    assert refused(desk, second) == "not_yet"
    assert desk.row(second)["code"] == "portal_busy"
    assert len(desk.rows("action_attempts")) == 1


def test_a_portal_that_is_disabled_while_a_seat_is_waited_for_is_not_visited(desk: Desk) -> None:
    class Late(PostgresSeats):
        def take(self, portal: str, credential: str, **options: Any) -> Seat | Full:  # noqa: ANN401
            seat = super().take(portal, credential, **options)
            desk.pipeline.execute(
                "INSERT INTO portal_breakers (customer_id, portal, state, code, action_id, opened_at)"
                " VALUES (CAST(:id AS uuid), :portal, 'open', 'wrong_password', gen_random_uuid(), now())",
                id=str(desk.customer),
                portal=portal,
            )
            return seat

    received = desk.request()
    desk.do(received, worker=replace(desk.worker, seats=Late(desk.pipeline.app.engine)))
    assert desk.portals.sign_ins == []
    assert desk.row(received)["code"] == "portal_disabled"


def test_one_customers_refused_credentials_do_not_stop_anothers_actions(
    open_desk: Callable[..., Desk],
) -> None:
    ours, theirs = open_desk(), open_desk()
    ours.portals.fail("sign_in", PortalStopError("wrong_password", "login"))
    ours.do(ours.request())
    theirs.do(theirs.request())
    assert len(theirs.portals.filed) == 1


def test_without_credentials_a_person_does_it(desk: Desk) -> None:
    received = desk.request()
    desk.do(received, worker=replace(desk.worker, secrets=InMemorySecretStore()))
    assert (desk.row(received)["state"], desk.row(received)["code"]) == ("open", "no_credentials")


def test_no_practice_signs_in_with_what_is_another_s_but_the_single_one(desk: Desk) -> None:
    secrets = InMemorySecretStore(
        {
            f"{desk.payer}-portal-credentials": ('{"username":"all","password":"p"}',),
            f"{desk.customer}-{desk.payer}-portal-credentials": (),  # all versions disabled
        }
    )
    received = desk.request()
    for practice in (None, uuid4()):
        desk.do(received, worker=replace(desk.worker, secrets=secrets, single_practice=practice))
    assert (desk.row(received)["state"], desk.row(received)["code"]) == ("open", "no_credentials")
    assert desk.portals.sign_ins == []
    again = desk.request(subject=f"claims/{desk.deny('C-2')}")
    desk.do(again, worker=replace(desk.worker, secrets=secrets, single_practice=desk.customer))
    assert desk.portals.sign_ins == ["all"]


def test_an_approved_check_makes_the_new_authorization(desk: Desk) -> None:
    desk.portals.readings["A-1"] = AuthorizationReading(
        "approved", number="A-2", effective_on=date(2026, 12, 1), expires_on=date(2027, 5, 31), units=24
    )
    emitted = desk.do(desk.request("check_authorization_status"))
    rows = {row["number"]: row for row in desk.rows("authorizations")}
    new = rows["A-2"]
    assert (new["status"], new["effective_on"], new["expires_on"]) == (
        "active",
        date(2026, 12, 1),
        date(2027, 5, 31),
    )
    assert (new["units_authorized"], new["units_used"]) == (24, 0)
    assert new["patient"]["member_id"] == PATIENT.member_id
    assert new["payer_key"] == rows["A-1"]["payer_key"]
    assert {m.attributes["ce-type"] for m in emitted.messages} == {
        "app.upstream.action.succeeded",
        "app.upstream.authorization.decided",
    }


@pytest.mark.parametrize(
    ("reading", "outcome", "recovered"),
    [
        (ClaimReading("paid", paid_cents=90_000, decided_on=date(2026, 12, 9)), "overturned", 90_000),
        (ClaimReading("paid", paid_cents=40_000, decided_on=date(2026, 12, 9)), "partly", 40_000),
        (ClaimReading("denied", decided_on=date(2026, 12, 9)), "upheld", 0),
        (ClaimReading("denied", decided_on=date(2026, 11, 10)), "pending", None),
        (ClaimReading("pending"), "pending", None),
    ],
)
def test_what_the_payer_answers_to_an_appeal_is_recorded(
    desk: Desk, reading: ClaimReading, outcome: str, recovered: int | None
) -> None:
    desk.do(desk.request())
    desk.portals.readings["C-1"] = reading
    desk.do(desk.request("check_claim_status"))
    [appeal] = desk.rows("appeals")
    assert (appeal["outcome"], appeal["recovered_cents"]) == (outcome, recovered)


def test_one_credential_is_signed_in_once_at_a_time(desk: Desk) -> None:
    now, manners = desk.clock(), desk.worker.manners["default"]
    credential = f"{desk.customer}-{desk.payer}-portal-credentials"
    taken = desk.worker.seats.take(
        desk.payer, credential, token=uuid4(), now=now, lease_s=LEASE_S, manners=manners
    )
    received = desk.request()
    assert refused(desk, received) == "not_yet"
    assert (desk.row(received)["code"], desk.row(received)["attempts"]) == ("portal_busy", 0)
    desk.worker.seats.leave(taken)  # type: ignore[arg-type]
    desk.clock.forward(LEASE_S)
    desk.do(received, attempt=2)
    assert desk.row(received)["state"] == "settled"


def test_an_action_is_refused_for_half_a_minute_and_then_parked_whether_deliveries_are_counted_or_not(
    desk: Desk,
) -> None:
    desk.worker.seats.take(
        desk.payer,
        f"{desk.customer}-{desk.payer}-portal-credentials",
        token=uuid4(),
        now=desk.clock(),
        lease_s=600,
        manners=Manners(),
    )
    waiting = desk.request()
    for _ in range(4):  # the fifth delivery would be the last; ten seconds are the shortest back-off
        with suppress(TransientError):
            desk.do(waiting, attempt=1)
        desk.clock.forward(10)
    assert desk.row(waiting)["parked"]


def test_at_its_last_delivery_a_waiting_action_is_parked_and_released_by_the_next_that_ends(
    desk: Desk,
) -> None:
    credential = f"{desk.customer}-{desk.payer}-portal-credentials"
    taken = desk.worker.seats.take(
        desk.payer, credential, token=uuid4(), now=desk.clock(), lease_s=60, manners=Manners()
    )
    waiting = desk.request()
    assert desk.do(waiting, attempt=5).messages == ()
    assert desk.row(waiting)["parked"]
    desk.worker.seats.leave(taken)  # type: ignore[arg-type]
    desk.clock.forward(61)
    emitted = desk.do(desk.request("check_claim_status"))
    [again] = desk.again(emitted)
    assert again.event.id != waiting.event.id
    desk.do(again)
    assert desk.row(waiting)["state"] == "settled"
    assert desk.do(waiting, attempt=6).messages == ()  # a late copy of the first message does nothing
    assert len(desk.portals.filed) == 1


def test_a_check_that_is_to_wait_some_days_does(desk: Desk) -> None:
    received = desk.request("check_claim_status", params={"after_days": 7})
    asked_at = desk.row(received)["created_at"]
    desk.clock.now = asked_at
    assert desk.do(received).messages == ()
    assert (desk.row(received)["parked"], desk.row(received)["due_at"]) == (
        True,
        asked_at + timedelta(days=7),
    )
    desk.clock.forward(7 * 86_400)
    [again] = desk.again(desk.do(desk.request("check_claim_status")))
    desk.do(again)
    assert desk.row(received)["state"] == "settled"


def test_outside_its_hours_a_portal_is_left_alone(desk: Desk) -> None:
    office = Manners(zone="America/New_York", open=(Window(time(8), time(18)),))
    closed = replace(desk.worker, manners={desk.payer: office})
    desk.clock.now = datetime.fromisoformat("2026-11-20T03:00:00-05:00")
    received = desk.request()
    assert desk.do(received, worker=closed).messages == ()
    row = desk.row(received)
    assert (row["parked"], row["code"]) == (True, "portal_closed")
    assert row["due_at"] == datetime.fromisoformat("2026-11-20T08:00:00-05:00")
    assert desk.portals.sign_ins == []


def test_a_payer_is_visited_no_more_often_than_it_likes(desk: Desk) -> None:
    slow = replace(desk.worker, manners={"default": Manners(visits_per_min=2, burst=1)})
    portal = f"paced-{uuid4()}"
    for expected in (0, 30, 60):
        if expected:
            assert not hasattr(_take(slow, portal, desk), "token")
            desk.clock.forward(30)
        assert hasattr(_take(slow, portal, desk), "token")


def _take(worker: object, portal: str, desk: Desk) -> object:
    return worker.seats.take(  # type: ignore[attr-defined]
        portal,
        str(uuid4()),
        token=uuid4(),
        now=desk.clock(),
        lease_s=1,
        manners=worker.manners_of(portal),  # type: ignore[attr-defined]
    )


def test_a_request_for_no_action_of_ours_is_poison(desk: Desk) -> None:
    received = desk.request()
    for data in (b"{}", b"[]", b"no json", b'{"action_id": "x"}'):
        with pytest.raises(PoisonError, match="not a request"):
            desk.do(replace(received, event=replace(received.event, data=data)))
    stranger = json.dumps({"action_id": str(uuid4())}).encode()
    with pytest.raises(PoisonError, match="no action"):
        desk.do(replace(received, event=replace(received.event, data=stranger)))


def test_anothers_action_is_none_of_ours(open_desk: Callable[..., Desk]) -> None:
    ours, theirs = open_desk(), open_desk()
    received = theirs.request()
    as_ours = replace(received, event=replace(received.event, customer_id=ours.customer, id=uuid4()))
    with pytest.raises(PoisonError, match="no action"):
        ours.do(as_ours)
    assert theirs.row(received)["state"] == "requested"


def test_evidence_that_cannot_be_kept_does_not_undo_what_was_filed(desk: Desk) -> None:
    (desk.folder / "evidence").write_text("a file where the folder should be")
    received = desk.request()
    desk.do(received)
    assert desk.row(received)["state"] == "settled"
    assert desk.visits(received)[0]["evidence"] == {}


def test_patient_and_password_are_in_no_event_row_or_listing(desk: Desk) -> None:
    received = desk.request()
    emitted = desk.do(received)
    secrets = (PATIENT.name, PATIENT.member_id, "1981-04-17", PASSWORD, TOTP)
    shown = [str(desk.rows(table)) for table in ("actions", "action_attempts", "appeals", "alerts", "outbox")]
    shown += [message.data.decode() + str(message.attributes) for message in emitted.messages]
    shown += [str(desk.pipeline.rows("SELECT * FROM portal_seats"))]
    for text in shown:
        assert not [secret for secret in secrets if secret in text]


# What fails around a submission does not make it undone.


class Forgetful(PostgresActionLedger):
    """Cannot note what a visit left."""

    def end_visit(self, claim: ActionClaim, visit: Visit) -> None:
        raise TransientError("unavailable", f"{claim.action_id} {visit.attempt}")


class Unsure(PostgresActionLedger):
    """Stores that Submit is about to be pressed, and loses its own answer."""

    def mark_committing(self, claim: ActionClaim, **options: object) -> None:
        super().mark_committing(claim, **options)  # type: ignore[arg-type]
        raise TransientError("unavailable", "the connection was lost")


class Stuck(InMemoryPortals):
    """A browser that hangs when its context is to be closed."""

    @contextmanager
    def session(self, flow: FlowId, *, credentials: Credentials) -> Iterator[InMemorySession]:
        with super().session(flow, credentials=credentials) as session:
            yield session
        raise TransientError("timeout", "the browser did not answer")


def last_visit(desk: Desk, received: "Received") -> None:
    """Leave an action one visit before a person decides."""
    desk.pipeline.execute(
        "UPDATE actions SET attempts = 5 WHERE id = CAST(:id AS uuid)",
        id=str(desk.row(received)["id"]),
    )


@pytest.mark.parametrize("what", ["its visit cannot be noted", "the browser cannot be closed"])
def test_what_was_filed_is_settled_though(desk: Desk, what: str) -> None:
    received = desk.request()
    last_visit(desk, received)
    worker = replace(desk.worker, ledger=Forgetful(desk.pipeline.app.engine))
    if what == "the browser cannot be closed":
        stuck = Stuck(desk.portals.flows, desk.clock, filed=desk.portals.filed)
        worker = replace(desk.worker, portals=lambda: stuck)
    desk.do(received, worker=worker)
    assert len(desk.portals.filed) == 1
    row = desk.row(received)
    assert (row["state"], row["reference"]) == ("settled", "CNF-000001")
    assert len(desk.rows("appeals")) == 1


def test_refused_credentials_close_the_portal_though_the_visit_cannot_be_noted(desk: Desk) -> None:
    desk.portals.fail("sign_in", PortalStopError("wrong_password", "login"))
    desk.do(desk.request(), worker=replace(desk.worker, ledger=Forgetful(desk.pipeline.app.engine)))
    assert desk.worker.ledger.disabled(desk.customer, desk.payer)


@pytest.mark.parametrize("on_error", ["escalate", "log"])
def test_what_may_be_committing_is_never_called_undone(desk: Desk, on_error: str) -> None:
    desk.rule(version=1, on_error=on_error)
    received = desk.request()
    last_visit(desk, received)
    desk.do(received, worker=replace(desk.worker, ledger=Unsure(desk.pipeline.app.engine)))
    assert (desk.row(received)["state"], desk.row(received)["code"]) == ("unknown", "gave_up")
    assert [alert["severity"] for alert in desk.rows("alerts")] == ["critical"]


def test_a_refusal_while_an_earlier_click_is_in_doubt_does_not_say_that_nothing_was_filed(desk: Desk) -> None:
    desk.portals.fail("commit", AmbiguousOutcomeError("commit_unclear"))
    received = desk.request()
    assert refused(desk, received) == "not_yet"
    desk.portals.fail("prepare", PortalStopError("payer_refused", "form"))  # a duplicate, perhaps
    desk.do(received, attempt=2)
    assert (desk.row(received)["state"], desk.row(received)["code"]) == ("unknown", "payer_refused")


class Slow(InMemorySession):
    """A portal whose sign-in takes long."""

    def sign_in(self) -> None:
        time_.sleep(1.5)
        super().sign_in()


class SlowPortals(InMemoryPortals):
    @contextmanager
    def session(self, flow: FlowId, *, credentials: Credentials) -> Iterator[InMemorySession]:
        yield Slow(self, self.pinned(flow), credentials)


def test_a_portal_that_is_slower_than_the_lease_is_waited_for(desk: Desk) -> None:
    slow = SlowPortals(desk.portals.flows, system_clock)
    received = desk.request()
    desk.do(received, worker=replace(desk.worker, portals=lambda: slow, clock=system_clock, lease_s=0.9))
    assert desk.row(received)["state"] == "settled"


class Frozen(PostgresActionLedger):
    """Stands still once it may press Submit, until the lease has ended."""

    clock: Hands

    def mark_committing(self, claim: ActionClaim, **options: object) -> None:
        super().mark_committing(claim, **options)  # type: ignore[arg-type]
        self.clock.forward(LEASE_S)


def test_a_worker_that_stood_still_until_its_lease_ended_does_not_press_submit(desk: Desk) -> None:
    frozen = Frozen(desk.pipeline.app.engine)
    frozen.clock = desk.clock
    received = desk.request()
    [again] = desk.again(desk.do(received, worker=replace(desk.worker, ledger=frozen)))
    assert desk.portals.filed == []
    desk.do(again)
    assert (desk.row(received)["state"], desk.row(received)["submissions"]) == ("settled", 2)


# What a rule wants of its failures.


@pytest.fixture
def logging_desk(desk: Desk) -> Desk:
    """Return a desk whose rule wanted nobody called in its first version, and somebody in its second."""
    desk.rule(version=1, on_error="log")
    desk.rule(version=2, on_error="escalate")
    return desk


@pytest.mark.parametrize("code", ["captcha", "payer_refused"])
def test_a_rule_that_only_logs_calls_nobody_for_what_was_not_done(logging_desk: Desk, code: StopCode) -> None:
    desk = logging_desk
    received = desk.request(version=1)
    desk.portals.fail("prepare", PortalStopError(code, "form"))
    emitted = desk.do(received)
    assert (desk.row(received)["state"], desk.row(received)["code"]) == ("failed", code)
    assert [m.attributes["ce-type"] for m in emitted.messages] == ["app.upstream.action.failed"]
    assert desk.rows("alerts") == []
    [visit] = desk.visits(received)
    assert (visit["outcome"], visit["code"]) == ("failed", code)


def test_what_a_later_version_of_the_rule_says_is_not_asked(logging_desk: Desk) -> None:
    received = logging_desk.request(version=2)
    logging_desk.portals.fail("prepare", PortalStopError("captcha", "form"))
    logging_desk.do(received)
    assert logging_desk.row(received)["state"] == "open"
    assert len(logging_desk.rows("alerts")) == 1


def test_a_rule_that_only_logs_does_not_hide_doubt_or_a_closed_portal(logging_desk: Desk) -> None:
    desk = logging_desk
    doubtful, locked = desk.request(version=1), desk.request(version=1)
    desk.portals.fail("commit", AmbiguousOutcomeError("commit_unclear"))
    assert refused(desk, doubtful) == "not_yet"
    desk.portals.fail("lookup", PortalStopError("captcha", "lookup"))
    desk.do(doubtful, attempt=2)
    assert (desk.row(doubtful)["state"], desk.row(doubtful)["code"]) == ("unknown", "captcha")
    desk.portals.fail("sign_in", PortalStopError("account_locked", "login"))
    desk.do(locked)
    assert desk.worker.ledger.disabled(desk.customer, desk.payer)
    assert sorted(alert["severity"] for alert in desk.rows("alerts")) == ["critical", "critical"]


def test_an_action_that_no_rule_version_stands_behind_calls_a_person(desk: Desk) -> None:
    received = desk.request()
    desk.portals.fail("prepare", PortalStopError("captcha", "form"))
    desk.do(received)
    assert desk.row(received)["state"] == "open"


@pytest.mark.parametrize(
    ("step", "error", "ended"),
    [
        ("sign_in", PortalStopError("wrong_password", "login"), "open"),
        ("prepare", PortalStopError("payer_refused", "form"), "failed"),
        ("prepare", TransientError("timeout", "form"), None),
    ],
)
def test_each_flow_without_a_receipt_is_one_line_and_so_is_each_action_that_ended(
    desk: Desk, step: Literal["sign_in", "prepare"], error: UpstreamError, ended: str | None
) -> None:
    desk.portals.fail(step, error)
    received = desk.request()
    with capture_logs() as lines, suppress(TransientError):
        desk.do(received)
    assert [
        (line["provider"], line["code"], line["action_id"])
        for line in lines
        if line["event"] == "flow.failed"
    ] == [(desk.payer, error.code, str(desk.row(received)["id"]))]
    assert [(line["action_type"], line["result"]) for line in lines if line["event"] == "action.ended"] == (
        [] if ended is None else [("submit_appeal", ended)]
    )
