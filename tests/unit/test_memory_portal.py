"""The in-memory portal keeps the port's promises, and fails where it is told to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.memory_portal import InMemoryPortals, memory_flow
from shared.ports.portal import (
    REMEDIES,
    Absent,
    Credentials,
    Found,
    PortalFile,
    PortalStopError,
    StopCode,
    Unclear,
)
from shared.runtime.errors import AmbiguousOutcomeError, PermanentError, TransientError

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CREDENTIALS = Credentials("clinic", "hunter2")
FIELDS = {"claim_number": "C-1", "member_id": "M-1", "client_reference": "UP-1"}
LETTER = PortalFile("letter", "letter.pdf", b"%PDF")


def portals(*, echoes: bool = True) -> InMemoryPortals:
    return InMemoryPortals(
        [memory_flow("aetna", "submit_appeal", echoes_reference=echoes)], clock=lambda: NOW
    )


def test_a_submission_is_found_by_its_client_reference_after_its_reply_was_lost() -> None:
    payer = portals()
    payer.lose_replies = 1
    flow = payer.flow("aetna", "submit_appeal")
    with payer.session(flow.id, credentials=CREDENTIALS) as visit:
        visit.sign_in()
        assert visit.lookup(FIELDS) == Absent()
        visit.prepare(FIELDS, [LETTER])
        with pytest.raises(AmbiguousOutcomeError):
            visit.commit()
        found = visit.lookup(FIELDS, committed_at=NOW)
    assert isinstance(found, Found)
    assert [one.client_reference for one in found.submissions] == ["UP-1"]
    assert len(payer.filed) == 1


def test_what_is_not_listed_yet_is_unclear_and_what_never_will_be_is_absent() -> None:
    payer = portals()
    slow = replace(payer.flows[0], visible_after_s=60.0)
    payer.flows = [slow]
    with payer.session(slow.id, credentials=CREDENTIALS) as visit:
        visit.sign_in()
        assert visit.lookup(FIELDS, committed_at=NOW - timedelta(seconds=59)) == Unclear("not_indexed", 1.0)
        assert visit.lookup(FIELDS, committed_at=NOW - timedelta(seconds=60)) == Absent()


def test_without_an_echo_the_lookup_goes_by_criteria() -> None:
    payer = portals(echoes=False)
    flow = payer.flow("aetna", "submit_appeal")
    fields = {"claim_number": "C-1", "member_id": "M-1"}
    with payer.session(flow.id, credentials=CREDENTIALS) as visit:
        visit.sign_in()
        visit.prepare(fields, [LETTER])
        visit.commit()
        receipt = visit.confirm()
        found = visit.lookup(fields)
    assert isinstance(found, Found)
    assert found.submissions[0].reference == receipt.reference
    assert found.submissions[0].client_reference == ""


def test_each_failure_is_met_once() -> None:
    payer = portals()
    payer.fail("sign_in", TransientError("portal_unavailable"))
    flow = payer.flow("aetna", "submit_appeal")
    for expected in (TransientError, None):
        with payer.session(flow.id, credentials=CREDENTIALS) as visit:
            if expected is None:
                visit.sign_in()
            else:
                with pytest.raises(expected):
                    visit.sign_in()
                assert visit.evidence().steps[-1].outcome == "portal_unavailable"


def test_a_wrong_password_alerts_and_stops_whoever_has_the_same_credentials() -> None:
    payer = portals()
    payer.passwords = {"clinic": "another"}
    flow = payer.flow("aetna", "submit_appeal")
    with (
        payer.session(flow.id, credentials=CREDENTIALS) as visit,
        pytest.raises(PortalStopError) as caught,
    ):
        visit.sign_in()
    assert (caught.value.remedy, caught.value.opens_breaker) == ("alert", True)


@pytest.mark.parametrize("code", REMEDIES)
def test_only_what_could_lock_an_account_opens_the_breaker(code: StopCode) -> None:
    error = PortalStopError(code)
    assert error.opens_breaker == (code in {"wrong_password", "account_locked", "mfa_refused"})
    assert not (error.opens_breaker and error.remedy == "escalate")


def test_a_payer_without_a_flow_is_said_so() -> None:
    with pytest.raises(PermanentError, match="no_portal_flow"):
        portals().flow("unheard-of", "submit_appeal")


def test_credentials_do_not_show_when_printed() -> None:
    assert "hunter2" not in repr(CREDENTIALS)
