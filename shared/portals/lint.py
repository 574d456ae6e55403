"""What is wrong with flows that have the right shape. Pure but for the lock's file."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from shared.domain.actions import LEASE_S
from shared.portals.language import (
    Choose,
    Click,
    Expect,
    Extract,
    Fill,
    FlowSpec,
    Goto,
    LookupSpec,
    PortalSpec,
    StepSpec,
    Upload,
)
from shared.portals.loader import Book, Version
from shared.ports.portal import PortalAction

SUBMITTING: Final[frozenset[PortalAction]] = frozenset({"submit_reauth_request", "submit_appeal"})
NEEDED_DETECTORS: Final = frozenset(
    {"portal_unavailable", "session_lost", "captcha", "wrong_password", "account_locked", "payer_refused"}
)
READS: Final[Mapping[PortalAction, Mapping[str, str | None]]] = {
    "check_authorization_status": {
        "state": None,
        "number": None,
        "effective_on": "us_date",
        "expires_on": "us_date",
        "units": "integer",
        "reason": None,
    },
    "check_claim_status": {
        "state": None,
        "payer_claim_number": None,
        "paid_cents": "money",
        "decided_on": "us_date",
        "carc": None,
    },
}
STATES: Final[Mapping[PortalAction, frozenset[str]]] = {
    "check_authorization_status": frozenset({"approved", "denied", "pended"}),
    "check_claim_status": frozenset({"paid", "denied", "pending"}),
}


def check_book(book: Book, locked: Mapping[str, str]) -> list[str]:
    """Return what is wrong, a line each, with the version's name first; empty if all is well."""
    found = list(_changed(book.versions, locked))
    for portal in {flow.portal.portal: flow.portal for flow in book.flows}.values():
        found += (f"{portal.portal}/portal@{portal.version}: {problem}" for problem in _check_portal(portal))
    for flow in book.flows:
        name = f"{flow.portal.portal}/{flow.action}@{flow.version}"
        found += (f"{name}: {problem}" for problem in _check_flow(flow))
    found += _shared_keys(book.flows)
    return found


def fields_of(steps: Iterable[StepSpec]) -> dict[str, bool]:
    """Return the fields that steps type, and whether each must be given."""
    found: dict[str, bool] = {}
    for step in steps:
        if isinstance(step, Fill | Choose) and step.source:
            found[step.source] = found.get(step.source, False) or not step.optional
    return found


def files_of(steps: Iterable[StepSpec]) -> dict[str, bool]:
    """Return the files that steps upload, and whether each must be given."""
    return {step.file: not step.optional for step in steps if isinstance(step, Upload)}


def _changed(versions: Iterable[Version], locked: Mapping[str, str]) -> Iterator[str]:
    seen = set[str]()
    for version in versions:
        seen.add(version.name)
        if version.name not in locked:
            yield f"{version.name}: new; `upstream portals lint --lock` puts it in force"
        elif locked[version.name] != version.sha256:
            yield f"{version.name}: changed after it was in force; add a version instead"
    for gone in sorted(locked.keys() - seen):
        yield f"{gone}: removed, though attempts may be pinned to it"


def _shared_keys(flows: Iterable[FlowSpec]) -> Iterator[str]:
    owners: dict[str, set[str]] = {}
    for flow in flows:
        for key in flow.portal.payer_keys:
            owners.setdefault(key, set()).add(flow.portal.portal)
    for key, portals in sorted(owners.items()):
        if len(portals) > 1:
            yield f"{', '.join(sorted(portals))}: both say that they are payer {key}"


def _check_portal(portal: PortalSpec) -> Iterator[str]:
    missing = NEEDED_DETECTORS - {detector.means for detector in portal.detect}
    if missing:
        yield f"detect has nothing that means {', '.join(sorted(missing))}"
    if not isinstance(portal.sign_in[0], Goto) or not isinstance(portal.sign_in[-1], Expect):
        yield "sign_in must begin with goto and end with expect"
    secrets = {step.secret for step in portal.sign_in if isinstance(step, Fill) and step.secret}
    if secrets != {"username", "password"}:
        yield "sign_in types a username and a password"
    if any(isinstance(step, Click) and step.commit for step in portal.sign_in):
        yield "sign_in commits to nothing"


def _check_flow(flow: FlowSpec) -> Iterator[str]:
    commits = [step for step in flow.all_steps() if isinstance(step, Click) and step.commit]
    if any(isinstance(step, Fill) and (step.secret or step.hook) for step in flow.all_steps()):
        yield "secrets are typed by sign_in alone"
    if not isinstance(flow.steps[0], Goto):
        yield "steps must begin with goto"
    if flow.action in SUBMITTING:
        yield from _check_submission(flow, len(commits))
    elif commits or flow.lookup is not None:
        yield "a status check has no commit and no lookup"
    else:
        yield from _check_reading(flow)


def _check_submission(flow: FlowSpec, commits: int) -> Iterator[str]:
    if commits != 1 or flow.commit_at is None:
        yield f"exactly one step is the commit, and {commits} are"
        return
    before, after = flow.steps[: flow.commit_at], flow.steps[flow.commit_at + 1 :]
    if any(not isinstance(step, Expect | Extract) for step in after):
        yield "after the commit a flow only looks and reads"
    if [step.into for step in after if isinstance(step, Extract)].count("reference") != 1:
        yield "a reference is extracted after the commit"
    if any(isinstance(step, Extract) for step in before):
        yield "what is extracted before the commit is never read"
    if flow.lookup is None:
        yield "a submission needs a lookup"
        return
    late_s = LEASE_S + flow.portal.commit_s
    if flow.visible_after_s < late_s:
        yield f"visible_after_s is {late_s:g} or more: until then another worker may still be pressing Submit"
    yield from _check_lookup(flow, flow.lookup, fields_of(before))


def _check_lookup(flow: FlowSpec, lookup: LookupSpec, typed: Mapping[str, bool]) -> Iterator[str]:
    searched = fields_of(lookup.steps)
    by_reference = "client_reference" in searched and lookup.client_reference is not None
    if flow.echoes_reference != ("client_reference" in typed and by_reference):
        yield "echoes_reference says other than the form, the search and its rows"
    if not searched.keys() <= {name for name, required in typed.items() if required}:
        yield "the lookup searches by fields that the form requires"
    if not any(isinstance(step, Expect) and step.absent for step in lookup.steps):
        yield "the lookup must say by what page nothing was found (expect … absent)"


def _check_reading(flow: FlowSpec) -> Iterator[str]:
    reads, states = READS[flow.action], STATES[flow.action]
    extracts = {step.into: step for step in flow.steps if isinstance(step, Extract)}
    if unknown := extracts.keys() - reads.keys():
        yield f"nobody reads {', '.join(sorted(unknown))}"
    for name, extract in extracts.items():
        if name in reads and extract.conversion != reads[name]:
            yield f"{name} is read as {reads[name] or 'text'}"
    if "state" not in extracts or not set(extracts["state"].values.values()) <= states:
        yield f"state is extracted, with values out of {', '.join(sorted(states))}"
    if not any(isinstance(step, Expect) and step.absent for step in flow.steps):
        yield "it must say by what page nothing was found (expect … absent)"
