"""The outcome table of docs/portals.md, played: every fault at every portal during every action.

A machine may try again what was said to be safe, so each case then goes on as the ledger would: a retry after a
transient failure, a lookup after doubt. Whatever happens, a portal has never filed an action twice, and where nobody is
needed it has filed it in the end.
"""

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import pytest

from local.portal_site.faults import FAULTS, Fault
from local.portal_site.site import PortalSite
from shared.portals.portals import BrowserPortals
from shared.ports.portal import Credentials, Evidence, Found, PortalSession, PortalStopError, Submission
from shared.runtime.errors import AmbiguousOutcomeError, TransientError, UpstreamError
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
    decide,
)

pytestmark = pytest.mark.timeout(300)  # a dozen visits and more each, some of which wait for what never comes

SESSIONS: Final = 4
End = Literal["retry", "escalate", "alert", "look up", "done"]

# What each fault leads to, and under which code. The only row that differs by action: what strikes at the commit does
# nothing to a status check, and the payer's "no" comes to that one with its answer.
TABLE: Final[dict[Fault, tuple[End, str]]] = {
    "slow": ("retry", "timeout"),
    "server_error": ("retry", "portal_unavailable"),
    "maintenance": ("retry", "portal_unavailable"),
    "session_expired": ("retry", "session_lost"),
    "frame_error": ("retry", "portal_unavailable"),
    "captcha": ("escalate", "captcha"),
    "changed_dom": ("escalate", "unknown_page"),
    "interstitial": ("escalate", "interstitial"),
    "wrong_password": ("alert", "wrong_password"),
    "account_locked": ("alert", "account_locked"),
    "mfa_refused": ("alert", "mfa_refused"),
    "payer_refused": ("alert", "payer_refused"),
    "reply_lost": ("look up", "commit_unclear"),
    "slow_commit": ("look up", "commit_unclear"),
    "commit_error": ("look up", "commit_unclear"),
}
AT_COMMIT: Final = frozenset({"reply_lost", "slow_commit", "commit_error"})
STORED: Final = frozenset({"reply_lost", "slow_commit"})


@dataclass(slots=True)
class Seen:
    """How one attempt ended. reference: what was confirmed, or adopted from a lookup."""

    end: End
    code: str = ""
    reference: str = ""
    evidence: Evidence | None = None
    before: tuple[Submission, ...] = ()


def attempt(portals: BrowserPortals, case: Case, credentials: Credentials) -> Seen:
    """Do one action as the worker does, and say how it ended."""
    flow = case.flow(portals)
    seen = Seen("done")
    with portals.session(flow.id, credentials=credentials) as visit:
        try:
            visit.sign_in()
            if not flow.commits:
                visit.read(case.fields)
                return seen
            seen.before = () if flow.echoes_reference else listed(visit, case)
            visit.prepare(case.fields, case.files(flow))
            visit.commit()
            seen.reference = visit.confirm().reference
        except UpstreamError as exc:
            seen.end, seen.code, seen.evidence = end_of(exc), exc.code, visit.evidence()
    return seen


def end_of(error: UpstreamError) -> End:
    match error:
        case TransientError():
            return "retry"
        case PortalStopError(remedy=remedy):
            return remedy
        case AmbiguousOutcomeError():
            return "look up"
        case _:
            raise error


def listed(
    visit: PortalSession, case: Case, *, committed_at: datetime | None = None
) -> tuple[Submission, ...]:
    found = visit.lookup(case.fields, committed_at=committed_at)
    return found.submissions if isinstance(found, Found) else ()


def go_on(portals: BrowserPortals, site: PortalSite, case: Case, seen: Seen) -> str:
    """Return the reference that the action ends with, once the portal works again: adopted, or of a second try."""
    if seen.end == "look up":
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        with portals.session(case.flow(portals).id, credentials=account(site, case.portal)) as visit:
            visit.sign_in()
            now = listed(visit, case, committed_at=long_ago)
        known = {one.reference for one in seen.before}
        adopted = [one.reference for one in now if one.reference not in known]
        if adopted:
            assert len(adopted) == 1
            return adopted[0]
    return attempt(portals, case, account(site, case.portal)).reference


def expected(fault: Fault, case: Case) -> tuple[End, str]:
    if fault in AT_COMMIT and case.action not in SUBMISSIONS:
        return ("done", "")
    return TABLE[fault]


def secrets_in(evidence: Evidence, case: Case) -> list[str]:
    """Return what must not be in the step log, nor (but for the patient, whom a trace may show) in the trace."""
    log = " ".join(f"{step.name} {step.outcome}" for step in evidence.steps)
    found = [name for name in (PASSWORD, TOTP_SECRET, PATIENT, MEMBER, case.subject) if name in log]
    trace = unzipped(evidence.trace_zip) if evidence.trace_zip else b""
    found += [name for name in (PASSWORD, TOTP_SECRET) if name.encode() in trace]
    return found


def unzipped(trace: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(trace)) as parts:
        return b"\n".join(parts.read(name) for name in parts.namelist())


def test_every_fault_has_its_row() -> None:
    assert TABLE.keys() == set(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_ends_as_the_table_says_and_nothing_is_filed_twice(
    portals: BrowserPortals, site: PortalSite, fault: Fault
) -> None:
    cases = [Case(portal, action) for portal in PAYERS for action in ACTIONS]
    for case in cases:
        decide(site, case)
    users = [account(site, case.portal) for case in cases]
    for portal in PAYERS:
        site.faults.on(portal, fault)
    with ThreadPoolExecutor(SESSIONS) as pool:
        seen = list(pool.map(lambda case, user: attempt(portals, case, user), cases, users))
    site.faults.clear()
    after = [len(case.filed(site)) for case in cases]

    assert {c.name: (s.end, s.code) for c, s in zip(cases, seen, strict=True)} == {
        case.name: expected(fault, case) for case in cases
    }
    assert after == [int(fault in STORED and case.action in SUBMISSIONS) for case in cases]
    for case, one in zip(cases, seen, strict=True):
        if one.evidence is not None:
            assert one.evidence.screenshot_png, case.name
            assert one.evidence.steps[-1].outcome == one.code, case.name
            assert secrets_in(one.evidence, case) == [], case.name
    if fault == "wrong_password":
        failed = [
            site.store.failed_sign_ins(case.portal, user.username)
            for case, user in zip(cases, users, strict=True)
        ]
        assert failed == [1] * len(cases)

    unfinished = [
        (case, one)
        for case, one in zip(cases, seen, strict=True)
        if one.end in {"retry", "look up"} and case.action in SUBMISSIONS
    ]
    with ThreadPoolExecutor(SESSIONS) as pool:
        references = list(pool.map(lambda pair: go_on(portals, site, *pair), unfinished))
    for (case, _), reference in zip(unfinished, references, strict=True):
        assert [one.reference for one in case.filed(site)] == [reference], case.name
