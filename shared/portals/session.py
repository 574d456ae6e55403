"""One visit to a portal in a browser context of its own: the port's session over Playwright.

Each method runs its steps on the browser's thread and waits for them.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

from shared.portals.browser import BrowserHost
from shared.portals.gate import Gate
from shared.portals.language import Click, FlowSpec, LookupSpec, Target
from shared.portals.lint import fields_of, files_of
from shared.portals.locate import locate, within
from shared.portals.masking import masked_screenshot, scrubbed_trace
from shared.portals.performer import Performer, Typed, text_of
from shared.ports.clock import Clock
from shared.ports.portal import (
    Absent,
    AuthorizationReading,
    AuthorizationState,
    ClaimReading,
    ClaimState,
    Confirmation,
    Evidence,
    Flow,
    Found,
    Lookup,
    PortalFile,
    PortalStopError,
    Reading,
    Submission,
    Unclear,
)
from shared.runtime.errors import AmbiguousOutcomeError, PermanentError, TransientError, UpstreamError

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

T = TypeVar("T")

CALL_S: Final = 600.0  # a visit's every wait has its own limit; this one is for a browser that hangs
EVIDENCE_S: Final = 15.0
LONGEST_REFERENCE: Final = 64

State = Literal["new", "signed_in", "prepared", "committed"]


@dataclass(slots=True)
class Visit:
    """What a session has of the browser."""

    context: "BrowserContext"
    performer: Performer
    gate: Gate
    tracing: bool = False


class BrowserSession:
    """One visit. Its methods come in the port's order: sign_in, then lookup or read, or prepare, commit, confirm."""

    def __init__(self, host: BrowserHost, visit: Visit, spec: FlowSpec, flow: Flow, clock: Clock) -> None:
        """spec: the flow in the very version that the caller pinned."""
        self._host, self._visit, self._spec, self._flow, self._clock = host, visit, spec, flow, clock
        self._watch, self._performer = visit.performer.watch, visit.performer
        self._state: State = "new"
        self._reference = ""
        self._failed = False

    def sign_in(self) -> None:
        """Be signed in. The trace begins afterwards: before, it would hold the password."""
        self._call(self._sign_in())

    def lookup(self, fields: Mapping[str, str], *, committed_at: datetime | None = None) -> Lookup:
        """Return what the portal's own search finds."""
        if self._spec.lookup is None:
            raise AssertionError(f"{self._flow.id} submits nothing")
        rows = self._call(self._look_up(self._spec.lookup, fields))
        if self._flow.echoes_reference:
            ours = [row for row in rows if row.client_reference == fields["client_reference"]]
            if len(ours) > 1:
                return Unclear("several")
            if rows and not ours:
                early = self._absent(committed_at)
                return early if isinstance(early, Unclear) else Unclear("others")
            rows = ours
        if rows:
            return Found(tuple(rows))
        return self._absent(committed_at)

    def prepare(self, fields: Mapping[str, str], files: Sequence[PortalFile] = ()) -> None:
        """Have the form filled and the commit's button in reach."""
        self._require_state("signed_in")
        _require(self._flow.required, {name for name, value in fields.items() if value})
        _require(self._flow.required_files, {file.name for file in files})
        self._call(self._prepare(fields, files))
        self._state = "prepared"

    def commit(self, *, before: datetime | None = None) -> None:
        """Press Submit, once, unless it is too late."""
        self._require_state("prepared")
        self._state = "committed"
        try:
            self._call(self._commit(before))
        except UpstreamError as exc:
            if isinstance(exc, AmbiguousOutcomeError):
                raise
            raise AmbiguousOutcomeError("commit_unclear", exc.detail) from exc

    def confirm(self) -> Confirmation:
        """Return the reference that the portal shows."""
        self._require_state("committed")
        try:
            self._reference = self._call(self._confirm())
        except UpstreamError as exc:
            refused = isinstance(exc, PortalStopError) and exc.code == "payer_refused"
            if refused or isinstance(exc, AmbiguousOutcomeError):
                raise
            raise AmbiguousOutcomeError("commit_unclear", exc.detail) from exc
        return Confirmation(self._reference)

    def read(self, fields: Mapping[str, str]) -> Reading:
        """Return the state of what the fields name."""
        self._require_state("signed_in")
        _require(self._flow.required, {name for name, value in fields.items() if value})
        found = self._call(self._read(fields))
        return _claim(found) if self._flow.id.action == "check_claim_status" else _authorization(found)

    def evidence(self) -> Evidence:
        """Return what there is to show of this visit so far."""
        screenshot, trace = None, None
        with contextlib.suppress(TransientError):
            screenshot, trace = self._host.run(self._gather(), timeout_s=EVIDENCE_S)
        return Evidence(
            flow=self._flow.id,
            steps=tuple(self._performer.log),
            screenshot_png=screenshot,
            trace_zip=trace,
            files_sha256=self._performer.typed.files_sha256(),
            reference=self._reference,
        )

    # On the browser's thread

    async def _sign_in(self) -> None:
        await self._performer.perform(self._spec.portal.sign_in)
        self._watch.phase, self._state = "signed_in", "signed_in"
        async with self._performer.logged("signed in"):
            await self._visit.context.tracing.start(snapshots=True, screenshots=False, sources=False)
        self._visit.tracing = True

    async def _look_up(self, spec: LookupSpec, fields: Mapping[str, str]) -> list[Submission]:
        self._type(fields)
        listed = await self._performer.perform(spec.steps) is not None
        async with self._performer.logged("read rows"):
            rows = locate(self._performer.page, spec.rows)
            if listed:
                await self._watch.arrive([rows.first])
            await self._watch.settle(rows)
            return [
                Submission(
                    await self._cell(at, spec.reference),
                    client_reference=await self._cell(at, spec.client_reference),
                    status=await self._cell(at, spec.status),
                )
                for at in await rows.all()
            ]

    async def _cell(self, row: Any, target: Target | None) -> str:  # noqa: ANN401 - Playwright's, known when it runs
        return await text_of(within(row, target), timeout_ms=self._watch.timeout_ms) if target else ""

    async def _prepare(self, fields: Mapping[str, str], files: Sequence[PortalFile]) -> None:
        self._type(fields, files)
        await self._performer.perform(self._spec.steps[: self._commit_at])
        await self._performer.ready(self._commit_step)

    async def _commit(self, before: datetime | None) -> None:
        self._watch.phase = "committed"
        await self._visit.gate.commit_begins()
        async with self._performer.logged(f"commit {self._commit_step.target}", acts=True):
            at = locate(self._performer.page, self._commit_step.target)
            if before is not None and self._clock() >= before:
                raise AmbiguousOutcomeError("commit_unclear", "the lease ended before the click")
            await at.click(timeout=self._watch.timeout_ms)

    async def _confirm(self) -> str:
        found = await self._performer.perform(self._spec.steps[self._commit_at + 1 :])
        reference = (found or {}).get("reference", "")
        if not 0 < len(reference) <= LONGEST_REFERENCE:
            raise AmbiguousOutcomeError("commit_unclear", "no reference where it should be")
        return reference

    async def _read(self, fields: Mapping[str, str]) -> dict[str, str] | None:
        self._type(fields)
        return await self._performer.perform(self._spec.steps)

    async def _gather(self) -> tuple[bytes | None, bytes | None]:
        return await self._screenshot(), await self._trace()

    async def _screenshot(self) -> bytes | None:
        from playwright.async_api import Error

        page, typed = self._performer.page, self._performer.typed
        if page.url == "about:blank":
            return None
        try:
            return await masked_screenshot(
                page,
                values=typed.hidden,
                names=typed.names,
                mask=self._spec.portal.mask,
                timeout_ms=EVIDENCE_S * 500,
            )
        except Error:  # better no picture than one that shows a patient
            return None

    async def _trace(self) -> bytes | None:
        from playwright.async_api import Error

        if not (self._failed and self._visit.tracing):
            return None
        self._visit.tracing = False
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.zip"
            try:
                await self._visit.context.tracing.stop(path=path)
            except Error:
                return None
            return await asyncio.to_thread(lambda: scrubbed_trace(path.read_bytes()))

    # The small things

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._host.run(work, timeout_s=CALL_S)
        except UpstreamError:
            self._failed = True
            raise

    def _type(self, fields: Mapping[str, str], files: Sequence[PortalFile] = ()) -> None:
        shown = self._performer.typed.shown
        self._performer.typed = Typed(dict(fields), files or self._performer.typed.files, shown)

    def _absent(self, committed_at: datetime | None) -> Lookup:
        if committed_at is None:
            return Absent()
        left = committed_at + timedelta(seconds=self._flow.visible_after_s) - self._clock()
        return Unclear("not_indexed", left.total_seconds()) if left > timedelta(0) else Absent()

    def _require_state(self, wanted: State) -> None:
        if self._state != wanted:
            raise AssertionError(f"the session is {self._state}, not {wanted}")

    @property
    def _commit_at(self) -> int:
        return cast("int", self._spec.commit_at)

    @property
    def _commit_step(self) -> Click:
        return cast("Click", self._spec.steps[self._commit_at])


def described(spec: FlowSpec) -> Flow:
    """Return what callers need to know of a flow."""
    from shared.ports.portal import FlowId

    fields, files = fields_of(spec.all_steps()), files_of(spec.steps)
    return Flow(
        id=FlowId(spec.portal.portal, spec.action, spec.version),
        commits=spec.commit_at is not None,
        echoes_reference=spec.echoes_reference,
        required=frozenset(name for name, needed in fields.items() if needed),
        optional=frozenset(name for name, needed in fields.items() if not needed),
        required_files=frozenset(name for name, needed in files.items() if needed),
        optional_files=frozenset(name for name, needed in files.items() if not needed),
        visible_after_s=spec.visible_after_s,
    )


def _require(names: frozenset[str], given: set[str]) -> None:
    missing = sorted(names - given)
    if missing:
        raise PermanentError("missing_field", ", ".join(missing))


def _authorization(found: Mapping[str, str] | None) -> AuthorizationReading:
    if found is None:
        return AuthorizationReading("not_found")
    return AuthorizationReading(
        cast("AuthorizationState", _state(found)),
        number=found.get("number", ""),
        effective_on=_date(found.get("effective_on")),
        expires_on=_date(found.get("expires_on")),
        units=_integer(found.get("units")),
        reason=found.get("reason", ""),
    )


def _claim(found: Mapping[str, str] | None) -> ClaimReading:
    if found is None:
        return ClaimReading("not_found")
    return ClaimReading(
        cast("ClaimState", _state(found)),
        payer_claim_number=found.get("payer_claim_number", ""),
        paid_cents=_integer(found.get("paid_cents")),
        decided_on=_date(found.get("decided_on")),
        carc=found.get("carc", ""),
    )


def _state(found: Mapping[str, str]) -> str:
    if not found.get("state"):
        raise PortalStopError("unknown_page", "extract state: empty")
    return found["state"]


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _integer(text: str | None) -> int | None:
    return int(text) if text else None
