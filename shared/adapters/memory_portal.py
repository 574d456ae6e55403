"""A payer's portal and a PDF printer in memory: the ports without a browser."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from threading import Lock
from typing import Literal

from shared.ports.clock import Clock
from shared.ports.portal import (
    Absent,
    AuthorizationReading,
    ClaimReading,
    Confirmation,
    Credentials,
    Evidence,
    Flow,
    FlowId,
    Found,
    Lookup,
    PortalAction,
    PortalFile,
    PortalStopError,
    Reading,
    Step,
    Submission,
    Unclear,
)
from shared.runtime.errors import AmbiguousOutcomeError, PermanentError, TransientError, UpstreamError

Stage = Literal["sign_in", "lookup", "prepare", "commit", "confirm", "read"]
PNG = b"\x89PNG\r\n\x1a\n"

SUBMISSION_FIELDS = {
    "submit_reauth_request": frozenset({"authorization_number", "member_id", "procedure"}),
    "submit_appeal": frozenset({"claim_number", "member_id"}),
}
SUBMISSION_FILES = {"submit_reauth_request": "utilization_report", "submit_appeal": "letter"}
READING_FIELDS = {
    "check_authorization_status": frozenset({"authorization_number", "member_id"}),
    "check_claim_status": frozenset({"claim_number", "member_id"}),
}


def memory_flow(portal: str, action: PortalAction, *, echoes_reference: bool = True) -> Flow:
    """Return a flow as the fake knows it: the same fields whoever the payer is."""
    submits = action in SUBMISSION_FIELDS
    return Flow(
        FlowId(portal, action, 1),
        commits=submits,
        echoes_reference=submits and echoes_reference,
        required=SUBMISSION_FIELDS[action] | ({"client_reference"} if echoes_reference else set())
        if submits
        else READING_FIELDS[action],
        required_files=frozenset({SUBMISSION_FILES[action]}) if submits else frozenset(),
    )


@dataclass(frozen=True, slots=True)
class Filed:
    """One submission that the portal took. by: the user name."""

    submission: Submission
    flow: FlowId
    fields: Mapping[str, str]
    by: str
    filed_at: datetime


@dataclass(slots=True)
class InMemoryPortals:
    """Portals that keep what is filed, and fail where they are told to.

    failures: what the next visit to reach a stage meets, once each, oldest first. lose_replies: how many of the next
    commits are stored while the answer is lost. passwords: user name to password; empty takes any.
    """

    flows: Sequence[Flow]
    clock: Clock
    passwords: Mapping[str, str] = field(default_factory=dict)
    readings: dict[str, Reading] = field(default_factory=dict)
    failures: dict[Stage, list[UpstreamError]] = field(default_factory=dict)
    lose_replies: int = 0
    filed: list[Filed] = field(default_factory=list)
    sign_ins: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _lock: Lock = field(default_factory=Lock)

    def flow(self, payer_key: str, action: PortalAction) -> Flow:
        """Return the newest flow for a payer; the fake's portals are named as their payers' keys."""
        return self._one(f for f in self.flows if (f.id.portal, f.id.action) == (payer_key, action))

    def pinned(self, flow: FlowId) -> Flow:
        """Return the flow of that very version."""
        return self._one(f for f in self.flows if f.id == flow)

    @contextmanager
    def session(self, flow: FlowId, *, credentials: Credentials) -> Iterator["InMemorySession"]:
        """Open a visit, and end it with the block."""
        yield InMemorySession(self, self.pinned(flow), credentials)

    def close(self) -> None:
        """Have no browser to end."""

    def fail(self, stage: Stage, *errors: UpstreamError) -> None:
        """Let the next visits to a stage meet these errors, one each."""
        self.failures.setdefault(stage, []).extend(errors)

    def meet(self, stage: Stage) -> None:
        """Raise the stage's next failure, if there is one."""
        with self._lock:
            waiting = self.failures.get(stage)
            error = waiting.pop(0) if waiting else None
        if error is not None:
            raise error

    def file(self, flow: Flow, fields: Mapping[str, str], *, by: str) -> tuple[Submission, bool]:
        """Keep a submission; return it, and whether its reply gets through."""
        with self._lock:
            echoed = fields.get("client_reference", "") if flow.echoes_reference else ""
            submission = Submission(f"CNF-{next(self._numbers):06d}", echoed, "received")
            self.filed.append(Filed(submission, flow.id, dict(fields), by, self.clock()))
            lost = self.lose_replies > 0
            self.lose_replies -= lost
        return submission, not lost

    @staticmethod
    def _one(found: Iterable[Flow]) -> Flow:
        newest = max(found, key=lambda flow: flow.id.version, default=None)
        if newest is None:
            raise PermanentError("no_portal_flow")
        return newest


class InMemorySession:
    """One visit to an in-memory portal."""

    def __init__(self, portals: InMemoryPortals, flow: Flow, credentials: Credentials) -> None:
        """portals: where what is filed is kept."""
        self._portals, self._flow, self._credentials = portals, flow, credentials
        self._steps: list[Step] = []
        self._signed_in = False
        self._prepared: Mapping[str, str] | None = None
        self._committed = False
        self._reference = ""
        self._files: dict[str, str] = {}

    def sign_in(self) -> None:
        """Be signed in."""
        with self._step("sign_in"):
            self._portals.sign_ins.append(self._credentials.username)
            wanted = self._portals.passwords
            if wanted and wanted.get(self._credentials.username) != self._credentials.password:
                raise PortalStopError("wrong_password", "sign_in")
            self._signed_in = True

    def lookup(self, fields: Mapping[str, str], *, committed_at: datetime | None = None) -> Lookup:
        """Return what the portal's own search finds."""
        with self._step("lookup"):
            now, delay = self._portals.clock(), timedelta(seconds=self._flow.visible_after_s)
            found = tuple(
                filed.submission
                for filed in self._portals.filed
                if filed.filed_at + delay <= now and self._matches(filed, fields)
            )
            if found:
                return Found(found)
            if committed_at is not None and committed_at + delay > now:
                return Unclear("not_indexed", (committed_at + delay - now).total_seconds())
            return Absent()

    def prepare(self, fields: Mapping[str, str], files: Sequence[PortalFile] = ()) -> None:
        """Have the form filled."""
        with self._step("prepare"):
            self._require(self._flow.required, {name for name, value in fields.items() if value})
            self._require(self._flow.required_files, {file.name for file in files})
            self._prepared = dict(fields)
            self._files = {file.name: hashlib.sha256(file.content).hexdigest() for file in files}

    def commit(self, *, before: datetime | None = None) -> None:
        """Press Submit, once, unless it is too late."""
        if self._prepared is None or self._committed:
            raise AssertionError("commit follows one prepare, once")
        self._committed = True
        with self._step("commit"):
            if before is not None and self._portals.clock() >= before:
                raise AmbiguousOutcomeError("commit_unclear", "the lease ended before the click")
            submission, told = self._portals.file(self._flow, self._prepared, by=self._credentials.username)
            if not told:
                raise AmbiguousOutcomeError("commit_unclear", "the reply was lost")
            self._reference = submission.reference

    def confirm(self) -> Confirmation:
        """Return the reference of what was just submitted."""
        with self._step("confirm"):
            if not self._reference:
                raise AmbiguousOutcomeError("commit_unclear", "no reference")
            return Confirmation(self._reference)

    def read(self, fields: Mapping[str, str]) -> Reading:
        """Return what `InMemoryPortals.readings` holds under the authorization's or claim's number."""
        with self._step("read"):
            self._require(self._flow.required, {name for name, value in fields.items() if value})
            claim = self._flow.id.action == "check_claim_status"
            number = fields["claim_number" if claim else "authorization_number"]
            unknown: Reading = ClaimReading("not_found") if claim else AuthorizationReading("not_found")
            return self._portals.readings.get(number, unknown)

    def evidence(self) -> Evidence:
        """Return what there is to show of this visit so far."""
        return Evidence(
            flow=self._flow.id,
            steps=tuple(self._steps),
            screenshot_png=PNG if self._signed_in else None,
            files_sha256=dict(self._files),
            reference=self._reference,
        )

    @contextmanager
    def _step(self, stage: Stage) -> Iterator[None]:
        step = Step(stage, self._portals.clock(), 0.0, "done")
        if stage != "sign_in" and not self._signed_in:
            raise AssertionError("a visit begins with sign_in")
        try:
            self._portals.meet(stage)
            yield
        except UpstreamError as exc:
            step = replace(step, outcome=exc.code)
            raise
        finally:
            self._steps.append(step)

    def _matches(self, filed: Filed, fields: Mapping[str, str]) -> bool:
        if filed.flow.portal != self._flow.id.portal or filed.flow.action != self._flow.id.action:
            return False
        if self._flow.echoes_reference:
            return filed.submission.client_reference == fields["client_reference"]
        criteria = self._flow.required - {"client_reference"}
        return all(filed.fields.get(name) == fields.get(name) for name in criteria)

    @staticmethod
    def _require(names: frozenset[str], given: set[str]) -> None:
        missing = sorted(names - given)
        if missing:
            raise PermanentError("missing_field", ", ".join(missing))


class InMemoryPdfPrinter:
    """Keeps the HTML it was given. failure: what the next call meets instead."""

    def __init__(self, mark: Callable[[str], bytes] = str.encode) -> None:
        """mark: makes the PDF's body of the HTML."""
        self.printed: list[str] = []
        self.failure: TransientError | None = None
        self._mark = mark

    def print_pdf(self, html: str, *, footer: str = "") -> bytes:
        """Return something that begins as a PDF does and holds the HTML."""
        if self.failure is not None:
            raise self.failure
        self.printed.append(html)
        return b"%PDF-1.7\n" + self._mark(html) + footer.encode() + b"\n%%EOF\n"
