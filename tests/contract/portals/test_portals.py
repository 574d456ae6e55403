"""One suite for every portal: in memory, with and without an echo, and three payers' in real Chromium.

What goes wrong at a portal and what follows is `tests/functional/portals/test_fault_matrix.py`'s.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from local.portal_site.store import AuthorizationFile, ClaimFile
from shared.adapters.memory_portal import InMemoryPortals, memory_flow
from shared.ports.clock import Clock, system_clock
from shared.ports.portal import (
    Absent,
    AuthorizationReading,
    ClaimReading,
    Credentials,
    Flow,
    FlowId,
    Found,
    PortalAction,
    Portals,
    PortalSession,
    PortalStopError,
    Unclear,
)
from shared.runtime.errors import AmbiguousOutcomeError, PermanentError
from tests.functional.portals.visits import (
    ACTIONS,
    MEMBER,
    PASSWORD,
    PATIENT,
    PAYERS,
    SUBMISSIONS,
    TOTP_SECRET,
    Case,
    account,
)

if TYPE_CHECKING:
    from local.portal_site.site import PortalSite
    from shared.portals.portals import BrowserPortals

APPROVED: Final = AuthorizationReading(
    "approved", number="NEW-1", effective_on=date(2026, 4, 1), expires_on=date(2026, 9, 30), units=24
)
DENIED: Final = ClaimReading(
    "denied", payer_claim_number="ICN-1", paid_cents=0, decided_on=date(2026, 2, 11), carc="197"
)


@dataclass
class Payer:
    """One portal, and what its payer does behind it."""

    name: str
    portals: Portals
    payer_key: str
    clock: Clock
    credentials: Credentials
    filed: Callable[[Case], list[str]]
    lose_reply: Callable[[], None]
    decide: Callable[[Case], None]
    index: Callable[[], None]

    def flow(self, action: PortalAction) -> Flow:
        return self.portals.flow(self.payer_key, action)

    def case(self, action: PortalAction) -> Case:
        return Case(self.name, action)


@dataclass
class Hands:
    """A clock that is moved by hand."""

    now: datetime = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def in_memory(*, echoes: bool) -> Payer:
    clock = Hands()
    flows = [memory_flow("oak", action, echoes_reference=echoes) for action in ACTIONS]
    portals = InMemoryPortals([replace(flow, visible_after_s=300.0) for flow in flows], clock)
    portals.passwords = {"clinic": PASSWORD}

    def filed(case: Case) -> list[str]:
        return [
            one.submission.reference for one in portals.filed if one.fields["claim_number"] == case.subject
        ]

    def decide(case: Case) -> None:
        portals.readings[case.subject] = DENIED if case.action == "check_claim_status" else APPROVED

    def index() -> None:
        clock.now += timedelta(seconds=300)

    def lose_reply() -> None:
        portals.lose_replies = 1

    credentials = Credentials("clinic", PASSWORD)
    return Payer("oak", portals, "oak", clock, credentials, filed, lose_reply, decide, index)


def in_chromium(name: str, portals: "BrowserPortals", site: "PortalSite") -> Payer:
    def filed(case: Case) -> list[str]:
        return [one.reference for one in case.filed(site)]

    def decide(case: Case) -> None:
        approved = AuthorizationFile("Approved", "NEW-1", "2026-04-01", "2026-09-30", 24)
        site.decide_authorization(name, case.subject, approved)
        site.decide_claim(name, case.subject, ClaimFile("Denied", "ICN-1", 0, "2026-02-11", "197"))

    def index() -> None:
        """The simulator lists at once what it took."""

    return Payer(
        name,
        portals,
        PAYERS[name],
        system_clock,
        account(site, name),
        filed,
        lambda: site.faults.on(name, "reply_lost", times=1),
        decide,
        index,
    )


@pytest.fixture(params=["memory", "memory without an echo", *PAYERS])
def payer(request: pytest.FixtureRequest) -> Payer:
    if request.param in PAYERS:
        return in_chromium(request.param, request.getfixturevalue("portals"), request.getfixturevalue("site"))
    return in_memory(echoes=request.param == "memory")


def submit(visit: PortalSession, case: Case, flow: Flow) -> str:
    visit.prepare(case.fields, case.files(flow))
    return press(visit)


def press(visit: PortalSession) -> str:
    """Submit what is prepared: the reply is missed by the one call or by the other."""
    visit.commit()
    return visit.confirm().reference


@pytest.mark.parametrize("action", SUBMISSIONS)
def test_a_submission_is_filed_once_and_found_under_its_reference(payer: Payer, action: PortalAction) -> None:
    case, flow = payer.case(action), payer.flow(action)
    assert flow.commits
    with payer.portals.session(flow.id, credentials=payer.credentials) as visit:
        visit.sign_in()
        assert visit.lookup(case.fields) == Absent()
        visit.prepare(case.fields, case.files(flow))
        assert payer.filed(case) == []
        visit.commit()
        reference = visit.confirm().reference
        payer.index()
        found = visit.lookup(case.fields)
        evidence = visit.evidence()
    assert payer.filed(case) == [reference]
    assert isinstance(found, Found)
    [listed] = found.submissions
    assert listed.reference == reference == evidence.reference
    assert listed.client_reference == (case.fields["client_reference"] if flow.echoes_reference else "")


def test_a_form_that_is_left_files_nothing(payer: Payer) -> None:
    case, flow = payer.case("submit_appeal"), payer.flow("submit_appeal")
    with payer.portals.session(flow.id, credentials=payer.credentials) as visit:
        visit.sign_in()
        visit.prepare(case.fields, case.files(flow))
    payer.index()
    assert payer.filed(case) == []


def test_a_submission_whose_reply_was_lost_is_ambiguous_and_found_by_the_next_visit(payer: Payer) -> None:
    case, flow = payer.case("submit_appeal"), payer.flow("submit_appeal")
    with payer.portals.session(flow.id, credentials=payer.credentials) as visit:
        visit.sign_in()
        visit.prepare(case.fields, case.files(flow))
        payer.lose_reply()
        began = payer.clock()
        with pytest.raises(AmbiguousOutcomeError) as caught:
            press(visit)
    assert caught.value.code == "commit_unclear"
    payer.index()
    with payer.portals.session(flow.id, credentials=payer.credentials) as visit:
        visit.sign_in()
        found = visit.lookup(case.fields, committed_at=began)
    assert isinstance(found, Found)
    assert [one.reference for one in found.submissions] == payer.filed(case)
    assert len(found.submissions) == 1


def test_what_was_just_committed_and_is_not_listed_may_still_appear(payer: Payer) -> None:
    case, flow = payer.case("submit_appeal"), payer.flow("submit_appeal")
    with payer.portals.session(flow.id, credentials=payer.credentials) as visit:
        visit.sign_in()
        fresh = visit.lookup(case.fields, committed_at=payer.clock())
        long_ago = payer.clock() - timedelta(seconds=flow.visible_after_s + 1)
        old = visit.lookup(case.fields, committed_at=long_ago)
    assert isinstance(fresh, Unclear)
    assert (fresh.reason, fresh.retry_after_s is not None) == ("not_indexed", True)
    assert 0 < (fresh.retry_after_s or 0) <= flow.visible_after_s
    assert old == Absent()


def test_commit_follows_one_prepare_once(payer: Payer) -> None:
    case, flow = payer.case("submit_appeal"), payer.flow("submit_appeal")
    with payer.portals.session(flow.id, credentials=payer.credentials) as visit:
        visit.sign_in()
        with pytest.raises(AssertionError):
            visit.commit()
        submit(visit, case, flow)
        with pytest.raises(AssertionError):
            visit.commit()
    assert len(payer.filed(case)) == 1


def test_a_wrong_password_stops_whoever_has_it(payer: Payer) -> None:
    flow = payer.flow("submit_appeal")
    wrong = Credentials(payer.credentials.username, "not-this-one", payer.credentials.totp_secret)
    with payer.portals.session(flow.id, credentials=wrong) as visit:
        with pytest.raises(PortalStopError) as caught:
            visit.sign_in()
        evidence = visit.evidence()
    assert (caught.value.code, caught.value.remedy, caught.value.opens_breaker) == (
        "wrong_password",
        "alert",
        True,
    )
    assert evidence.steps[-1].outcome == "wrong_password"
    assert evidence.reference == ""


@pytest.mark.parametrize("missing", ["claim_number", "letter"])
def test_what_the_flow_requires_and_is_not_given_is_said_before_anything_is_filed(
    payer: Payer, missing: str
) -> None:
    case, flow = payer.case("submit_appeal"), payer.flow("submit_appeal")
    assert missing in flow.required | flow.required_files
    files = [file for file in case.files(flow) if file.name != missing]
    with payer.portals.session(flow.id, credentials=payer.credentials) as visit:
        visit.sign_in()
        for fields in ({**case.fields, missing: ""}, {k: v for k, v in case.fields.items() if k != missing}):
            with pytest.raises(PermanentError, match=missing) as caught:
                visit.prepare(fields, files)
            assert caught.value.code == "missing_field"
    assert payer.filed(case) == []


@pytest.mark.parametrize(
    ("action", "known", "unknown"),
    [
        ("check_authorization_status", APPROVED, AuthorizationReading("not_found")),
        ("check_claim_status", DENIED, ClaimReading("not_found")),
    ],
)
def test_what_the_payer_decided_is_read_and_what_it_does_not_know_is_said(
    payer: Payer, action: PortalAction, known: object, unknown: object
) -> None:
    case, flow = payer.case(action), payer.flow(action)
    assert not flow.commits
    payer.decide(case)
    with payer.portals.session(flow.id, credentials=payer.credentials) as visit:
        visit.sign_in()
        assert visit.read(case.fields) == known
        assert visit.read(payer.case(action).fields) == unknown


def test_evidence_names_steps_and_hashes_files_and_holds_nothing_that_was_typed(payer: Payer) -> None:
    case, flow = payer.case("submit_appeal"), payer.flow("submit_appeal")
    with payer.portals.session(flow.id, credentials=payer.credentials) as visit:
        visit.sign_in()
        submit(visit, case, flow)
        evidence = visit.evidence()
    assert evidence.flow == flow.id
    assert evidence.steps
    [letter] = [file for file in case.files(flow) if file.name == "letter"]
    assert hashlib.sha256(letter.content).hexdigest() in evidence.files_sha256.values()
    assert (evidence.screenshot_png or b"").startswith(b"\x89PNG")
    assert evidence.trace_zip is None
    told = " ".join(f"{step.name} {step.outcome}" for step in evidence.steps)
    assert not [secret for secret in (PASSWORD, TOTP_SECRET, PATIENT, MEMBER, case.subject) if secret in told]


def test_visits_side_by_side_file_what_each_was_given(payer: Payer) -> None:
    flow = payer.flow("submit_appeal")
    cases = [payer.case("submit_appeal") for _ in range(3)]

    def visit_for(case: Case) -> str:
        with payer.portals.session(flow.id, credentials=payer.credentials) as visit:
            visit.sign_in()
            return submit(visit, case, flow)

    # One-time codes are good once: whoever signs in with one does so alone.
    with ThreadPoolExecutor(1 if payer.credentials.totp_secret else 3) as threads:
        references = list(threads.map(visit_for, cases[: 1 if payer.credentials.totp_secret else 3]))
    assert len(set(references)) == len(references)
    for case, reference in zip(cases, references, strict=False):
        assert payer.filed(case) == [reference]


def test_a_flow_is_pinned_by_its_id(payer: Payer) -> None:
    for action in ACTIONS:
        flow = payer.flow(action)
        assert payer.portals.pinned(flow.id) == flow
        assert flow.id.action == action


def test_there_is_no_flow_for_that(payer: Payer) -> None:
    unheard = FlowId("unheard-of", "submit_appeal", 1)
    for call in (
        lambda: payer.portals.flow("unheard-of", "submit_appeal"),
        lambda: payer.portals.pinned(unheard),
        lambda: payer.portals.pinned(replace(payer.flow("submit_appeal").id, version=999)),
        lambda: payer.portals.session(unheard, credentials=payer.credentials).__enter__(),
    ):
        with pytest.raises(PermanentError) as caught:
            call()
        assert caught.value.code == "no_portal_flow"


def test_credentials_and_files_do_not_show_when_printed(payer: Payer) -> None:
    case = payer.case("submit_appeal")
    printed = f"{payer.credentials!r} {case.files(payer.flow('submit_appeal'))!r}"
    assert PASSWORD not in printed
    assert "%PDF" not in printed
