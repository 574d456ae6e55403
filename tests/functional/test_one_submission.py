"""For one claim there is one appeal, and for one end of an authorization one request, whoever asks how often."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from shared.adapters.postgres.appeal_desk import PostgresAppealDesk
from shared.adapters.postgres.cases import PostgresCaseFiles
from shared.handlers.consolidate_appeals import Wanted, file, gather
from shared.ports.portal import PortalStopError
from shared.runtime.errors import AmbiguousOutcomeError, TransientError
from tests.functional.action_desk import Desk

if TYPE_CHECKING:
    from shared.domain.events import Received
    from tests.functional.conftest import Pipeline


@pytest.fixture
def desk(pipeline: "Pipeline", tmp_path: Path) -> Desk:
    return Desk(pipeline, tmp_path)


def state(desk: Desk, received: "Received") -> tuple[str, str]:
    row = desk.row(received)
    return row["state"], row["code"]


def done(desk: Desk, received: "Received") -> tuple[str, str]:
    desk.do(received)
    return state(desk, received)


def answered(desk: Desk, outcome: str) -> None:
    desk.pipeline.execute(
        "UPDATE appeals SET outcome = :outcome WHERE customer_id = CAST(:id AS uuid)",
        outcome=outcome,
        id=str(desk.customer),
    )


def test_two_requests_for_one_claim_file_one_appeal_and_call_a_person(desk: Desk) -> None:
    first, second = desk.request(), desk.request()
    assert done(desk, first) == ("settled", "")
    with capture_logs() as lines:
        assert done(desk, second) == ("open", "under_way")
    assert "flow.failed" not in {line["event"] for line in lines}  # it would page about the portal
    assert len(desk.portals.filed) == 1
    assert [alert["title"] for alert in desk.rows("alerts")] == [
        "The same was asked for before and is not answered: a person decides"
    ]
    assert len(desk.rows("appeals")) == 1


def test_while_one_is_in_doubt_no_other_is_filed(desk: Desk) -> None:
    first, second = desk.request(), desk.request()
    desk.portals.lose_replies = 1
    with pytest.raises(TransientError):
        desk.do(first)
    assert done(desk, second) == ("open", "under_way")
    assert done(desk, first) == ("settled", "")
    assert len(desk.portals.filed) == 1


def test_what_surely_was_not_taken_is_not_filed_after_anothers(desk: Desk) -> None:
    first = desk.request()
    desk.portals.fail("commit", AmbiguousOutcomeError("commit_unclear"))
    with pytest.raises(TransientError):
        desk.do(first)
    desk.pipeline.execute(
        "INSERT INTO appeals (action_id, customer_id, claim_id, payer_key, carc, template, level, amount_cents,"
        " paid_before_cents, submitted_on, reference) VALUES (gen_random_uuid(), CAST(:customer AS uuid),"
        " CAST(:claim AS uuid), :payer, '197', 'other', 1, 1, 0, '2026-11-20', 'BY-HAND')",
        customer=str(desk.customer),
        claim=str(desk.claim),
        payer=desk.payer,
    )
    assert done(desk, first) == ("unknown", "under_way")
    assert desk.portals.filed == []


def test_what_failed_may_be_asked_for_again(desk: Desk) -> None:
    first, second = desk.request(), desk.request()
    desk.portals.fail("prepare", PortalStopError("payer_refused", "form"))
    assert done(desk, first) == ("failed", "payer_refused")
    assert done(desk, second) == ("settled", "")


def test_an_appeal_that_was_upheld_is_followed_by_the_next_level_alone(desk: Desk) -> None:
    assert done(desk, desk.request()) == ("settled", "")
    assert done(desk, desk.request(params={"level": 2})) == ("open", "under_way")
    answered(desk, "upheld")
    assert done(desk, desk.request()) == ("open", "under_way")
    assert done(desk, desk.request(params={"level": 2})) == ("settled", "")
    assert len(desk.portals.filed) == 2


def test_a_new_denial_answers_an_appeal(desk: Desk) -> None:
    assert done(desk, desk.request()) == ("settled", "")
    desk.pipeline.execute(
        "UPDATE claims SET decided_on = '2026-12-09' WHERE id = CAST(:id AS uuid)", id=str(desk.claim)
    )
    assert done(desk, desk.request(params={"level": 2})) == ("settled", "")


def test_a_claim_of_a_letter_is_not_appealed_by_itself(desk: Desk) -> None:
    other = desk.deny("C-2")
    operator = desk.pipeline.operator
    appeals = PostgresAppealDesk(operator)
    wanted = Wanted(desk.customer, desk.payer, "no_authorization", date(2026, 6, 1))
    letter = gather(wanted, desk=appeals, cases=PostgresCaseFiles(operator))
    action = file(letter, by="dana", now=desk.clock(), desk=appeals)
    request = desk.request(subject=f"claims/{other}")
    message = desk._event("action.requested", action, {"action_id": str(action)}, letter.cases[0].number)
    desk.do(message)
    assert done(desk, request) == ("open", "under_way")
    assert len(desk.portals.filed) == 1


def test_a_renewal_is_asked_for_once_for_each_end_of_an_authorization(desk: Desk) -> None:
    kind = "submit_reauth_request"
    assert done(desk, desk.request(kind)) == ("settled", "")
    assert done(desk, desk.request(kind)) == ("open", "under_way")
    desk.pipeline.execute(
        "UPDATE authorizations SET expires_on = '2027-05-31' WHERE id = CAST(:id AS uuid)",
        id=str(desk.authorization),
    )
    assert done(desk, desk.request(kind)) == ("settled", "")


@pytest.fixture
def paid(desk: Desk) -> Callable[[], None]:
    def pay() -> None:
        desk.pipeline.execute(
            "UPDATE claims SET status = 'paid', paid_cents = charge_cents WHERE id = CAST(:id AS uuid)",
            id=str(desk.claim),
        )

    return pay


def test_a_claim_that_was_paid_meanwhile_is_not_appealed(desk: Desk, paid: Callable[[], None]) -> None:
    received = desk.request()
    paid()
    assert done(desk, received) == ("open", "nothing_owed")
    assert desk.portals.filed == []


def test_an_appeal_in_doubt_is_adopted_though_the_claim_was_paid_and_not_filed_again(
    desk: Desk, paid: Callable[[], None]
) -> None:
    taken, lost = desk.request(), desk.request(subject=f"claims/{desk.deny('C-2')}")
    desk.portals.lose_replies = 1
    with pytest.raises(TransientError):
        desk.do(taken)
    paid()
    assert done(desk, taken) == ("settled", "")
    desk.portals.fail("commit", AmbiguousOutcomeError("commit_unclear"))
    with pytest.raises(TransientError):
        desk.do(lost)
    desk.pipeline.execute(
        "UPDATE claims SET status = 'reversed' WHERE customer_id = CAST(:id AS uuid)", id=str(desk.customer)
    )
    assert done(desk, lost) == ("unknown", "nothing_owed")
