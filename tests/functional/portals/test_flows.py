"""Every flow, in real Chromium against the simulator, when nothing goes wrong."""

from datetime import date

import pytest

from local.portal_site.site import PortalSite
from shared.portals.portals import BrowserPortals
from shared.ports.portal import Absent, AuthorizationReading, ClaimReading, Found, PortalAction
from shared.runtime.errors import PermanentError
from tests.functional.portals.visits import (
    MEMBER,
    PASSWORD,
    PATIENT,
    PAYERS,
    SUBMISSIONS,
    TOTP_SECRET,
    Case,
    account,
    decide,
)


@pytest.mark.parametrize("portal", PAYERS)
@pytest.mark.parametrize("action", SUBMISSIONS)
def test_a_submission_arrives_once_and_whole_and_is_found_again(
    portals: BrowserPortals, site: PortalSite, portal: str, action: PortalAction
) -> None:
    case = Case(portal, action)
    flow = case.flow(portals)
    with portals.session(flow.id, credentials=account(site, portal)) as visit:
        visit.sign_in()
        before = visit.lookup(case.fields)
        visit.prepare(case.fields, case.files(flow))
        assert case.filed(site) == []
        visit.commit()
        receipt = visit.confirm()
        after = visit.lookup(case.fields)
        evidence = visit.evidence()

    (filed,) = case.filed(site)
    assert (before, filed.reference) == (Absent(), receipt.reference)
    assert isinstance(after, Found)
    assert [one.reference for one in after.submissions] == [receipt.reference]
    assert (filed.member_id, filed.fields["born_on"]) == (MEMBER, "07/14/1961")
    assert filed.fields["patient_name"] == PATIENT
    assert filed.client_reference == (case.fields["client_reference"] if flow.echoes_reference else "")
    sent = [evidence.files_sha256[name] for name in sorted(evidence.files_sha256, reverse=True)]
    assert sorted(file.sha256 for file in filed.files) == sorted(sent)
    assert len(filed.files) == 3
    assert evidence.reference == receipt.reference
    assert (evidence.screenshot_png or b"").startswith(b"\x89PNG")
    assert evidence.trace_zip is None
    log = " ".join(f"{step.name} {step.outcome}" for step in evidence.steps)
    assert all(value not in log for value in (PASSWORD, TOTP_SECRET, PATIENT, MEMBER, case.subject))


@pytest.mark.parametrize("portal", PAYERS)
def test_an_approved_authorization_is_read_with_number_dates_and_units(
    portals: BrowserPortals, site: PortalSite, portal: str
) -> None:
    case = Case(portal, "check_authorization_status")
    decide(site, case)
    with portals.session(case.flow(portals).id, credentials=account(site, portal)) as visit:
        visit.sign_in()
        reading = visit.read(case.fields)
        other = visit.read(Case(portal, case.action).fields)
    assert reading == AuthorizationReading(
        "approved",
        number=f"NEW-{case.number}",
        effective_on=date(2026, 4, 1),
        expires_on=date(2026, 9, 30),
        units=24,
    )
    assert other == AuthorizationReading("not_found")


@pytest.mark.parametrize("portal", PAYERS)
def test_a_claims_status_is_read_with_amount_date_and_code(
    portals: BrowserPortals, site: PortalSite, portal: str
) -> None:
    case = Case(portal, "check_claim_status")
    decide(site, case)
    with portals.session(case.flow(portals).id, credentials=account(site, portal)) as visit:
        visit.sign_in()
        reading = visit.read(case.fields)
        other = visit.read(Case(portal, case.action).fields)
    assert reading == ClaimReading(
        "denied", payer_claim_number="ICN-1", paid_cents=0, decided_on=date(2026, 2, 11), carc="197"
    )
    assert other == ClaimReading("not_found")


def test_a_required_field_that_is_missing_is_refused_before_anything_is_typed(
    portals: BrowserPortals, site: PortalSite
) -> None:
    case = Case("aetna", "submit_appeal")
    flow = case.flow(portals)
    with portals.session(flow.id, credentials=account(site, "aetna")) as visit:
        visit.sign_in()
        with pytest.raises(PermanentError, match="member_id"):
            visit.prepare(case.fields | {"member_id": ""}, case.files(flow))
        with pytest.raises(PermanentError, match="letter"):
            visit.prepare(case.fields, [])
        names = [step.name for step in visit.evidence().steps]
    assert not any("/appeals/new" in name for name in names)
