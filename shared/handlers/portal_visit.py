"""One visit to a payer's portal on behalf of an action: sign in, ask what is there, and submit at most once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Final
from uuid import UUID

import structlog

from shared.domain.actions import LEASE_S, Result, client_reference, retry_after
from shared.domain.claims import Authorization
from shared.domain.manners import Manners
from shared.handlers.action_errand import Errand, draft_errand, draft_files
from shared.handlers.action_readings import Answered, answered
from shared.handlers.reconcile import Adopt, AskAgain, AskAPerson, GiveUp, Resubmit, verdict
from shared.ports.cases import CaseFiles
from shared.ports.clock import Clock
from shared.ports.evidence import EvidenceStore, Piece
from shared.ports.ledger import ActionClaim, ActionLedger, Appeal, AppealAnswer, Ending, Visit
from shared.ports.pdf import PdfPrinter
from shared.ports.portal import (
    AuthorizationReading,
    ClaimReading,
    Evidence,
    Found,
    Lookup,
    PortalFile,
    Portals,
    PortalSession,
    PortalStopError,
)
from shared.ports.record import EventRecord
from shared.ports.seats import Full, Seat, Seats
from shared.ports.secrets import SecretStore
from shared.runtime.errors import (
    AmbiguousOutcomeError,
    ErrorCode,
    PermanentError,
    TransientError,
    UpstreamError,
)
from shared.runtime.spans import step

if __debug__:
    from shared.runtime.crash_points import reach

DEFAULT_MANNERS: Final = "default"
OUR_OWN_NO: Final = frozenset({"under_way", "nothing_owed"})  # the portal and its flow are as they should be
BEATS: Final = 3  # signs of life within a lease
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Worker:
    """Everything that doing an action needs. lease_s: how long one step may take before another worker takes over.

    retry_scale: shortens the waits between visits that failed for a moment. single_practice: as `credentials_for` has
    it.
    """

    record: EventRecord
    ledger: ActionLedger
    cases: CaseFiles
    seats: Seats
    portals: Callable[[], Portals]
    printer: PdfPrinter
    evidence: EvidenceStore
    secrets: SecretStore
    manners: Mapping[str, Manners]
    clock: Clock
    new_token: Callable[[], UUID]
    lease_s: float = LEASE_S
    retry_scale: float = 1.0
    single_practice: UUID | None = None

    def manners_of(self, portal: str) -> Manners:
        """Return how a portal is to be treated."""
        return self.manners.get(portal) or self.manners.get(DEFAULT_MANNERS) or Manners()

    def in_s(self, seconds: float) -> datetime:
        """Return the time that many seconds on."""
        return self.clock() + timedelta(seconds=seconds)

    def report(self, claim: ActionClaim, done: "Done") -> None:
        """Write the one line of an action that ended."""
        log.info(
            "action.ended",
            action_id=str(claim.action_id),
            action_type=claim.type,
            rule_id=claim.rule_id,
            result=done.ending.result,
            code=done.ending.code or None,
        )


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing is decided yet. until: None waits for a person to allow the portal again. code: why.

    `switched_off` waits for a person to let rules act again, whatever the time.
    """

    until: datetime | None
    code: ErrorCode


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an action, and what the record learns by it. facts: ids and codes for the outcome's event."""

    ending: Ending
    records: Sequence[Authorization] = ()
    appeals: tuple[Appeal, ...] = ()
    answer: AppealAnswer | None = None
    facts: Mapping[str, object] | None = None


@dataclass(slots=True)
class _Turn:
    """One visit under way.

    over: no sign of life is given any more. signed_in: the portal let us in. committed: Submit may have been pressed.
    came_to: the result, and the error that was met, once there is one.
    """

    claim: ActionClaim
    errand: Errand
    worker: Worker
    seat: Seat
    attempt: int
    files: Sequence[PortalFile] = ()
    over: Event = field(default_factory=Event)
    signed_in: bool = False
    committed: bool = False
    came_to: "tuple[Done | Later, UpstreamError | None] | None" = None

    @property
    def doubtful(self) -> bool:
        """Whether it may have been submitted, in this visit or an earlier one."""
        return self.committed or self.claim.reconciling

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the action and the seat while the block lasts, or until `over` is set, however slow the portal is."""
        beating = Thread(target=self._beat, name="lease", daemon=True)
        beating.start()
        try:
            yield
        finally:
            self.over.set()
            beating.join()

    def _beat(self) -> None:
        while not self.over.wait(self.worker.lease_s / BEATS):
            try:
                self.hold()
            except TransientError as exc:
                if exc.code == "claim_lost":  # the visit itself finds out at its next step
                    return

    def hold(self) -> None:
        """Keep the action and the seat, and find out whether they still are ours.

        Raises:
            TransientError: the action was taken over (`claim_lost`).
        """
        now, lease_s = self.worker.clock(), self.worker.lease_s
        self.worker.ledger.renew(self.claim, now=now, lease_s=lease_s)
        self.worker.seats.renew(self.seat, now=now, lease_s=lease_s)


def visit(claim: ActionClaim, worker: Worker) -> Done | Later:
    """Do what the action asks for, or find out whether it was done.

    Raises:
        TransientError: the claim was taken over, or the record is away: stop, and let the message come back.
    """
    days = int(str(claim.params.get("after_days", 0)))
    due_at = claim.requested_at + timedelta(days=days)
    if days and due_at > worker.clock():
        return Later(due_at, "not_yet")
    try:
        errand = draft_errand(claim, worker)
    except PermanentError as exc:
        return _left(claim, exc.code, worker, doubtful=claim.reconciling)
    portal = errand.flow.id.portal
    if worker.ledger.disabled(claim.customer_id, portal):
        return Later(None, "portal_disabled")
    seat = worker.seats.take(
        portal,
        errand.credential,
        token=claim.token,
        now=worker.clock(),
        lease_s=worker.lease_s,
        manners=worker.manners_of(portal),
    )
    if isinstance(seat, Full):
        return Later(seat.until, seat.why)
    came_to: Done | Later | None = None
    try:
        if worker.ledger.disabled(
            claim.customer_id, portal
        ):  # with the seat, so that no refusal is under way
            return Later(None, "portal_disabled")
        attempt = worker.ledger.begin_visit(claim, flow=str(errand.flow.id), now=worker.clock())
        with step("portal_visit", "client") as span:
            span.note(action_id=str(claim.action_id), portal=portal)
            came_to = _seated(_Turn(claim, errand, worker, seat, attempt))
            return came_to
    finally:
        _leave(seat, came_to, worker)


def _leave(seat: Seat, came_to: Done | Later | None, worker: Worker) -> None:
    """Give the seat up, or keep it for a last lease while it is written that nobody signs in any more.

    Where the record is away, the lease ends by itself, and what the visit came to counts.
    """
    try:
        if isinstance(came_to, Done) and came_to.ending.disables:
            worker.seats.renew(seat, now=worker.clock(), lease_s=worker.lease_s)
        else:
            worker.seats.leave(seat)
    except TransientError as exc:
        log.warning("seat.not_left", provider=seat.portal, code=exc.code)


def _seated(turn: _Turn) -> Done | Later:
    """Return what the visit came to. What fails after that, while it is noted and closed, does not change it."""
    worker, errand = turn.worker, turn.errand
    try:
        with turn.held():
            turn.files = draft_files(turn.claim, errand, worker)
            turn.hold()
            with worker.portals().session(errand.flow.id, credentials=errand.credentials) as session:
                turn.came_to = result, error = _outcome(session, turn)
                _keep(session.evidence(), turn, result, error)
    except TransientError as exc:
        if turn.came_to is None:
            if exc.code == "claim_lost":
                raise
            turn.came_to = _again(turn, exc.code), exc
        else:
            log.warning("visit.not_closed", action_id=str(turn.claim.action_id), code=exc.code)
    result, error = turn.came_to
    if error is not None and error.code not in OUR_OWN_NO:
        _report_failure(turn, error.code)
    return result


def _report_failure(turn: _Turn, code: ErrorCode) -> None:
    """Write the line of a flow that ended without what it was for."""
    log.warning(
        "flow.failed",
        provider=turn.errand.flow.id.portal,
        code=code,
        action_id=str(turn.claim.action_id),
        action_type=turn.claim.type,
        attempt=turn.attempt,
    )


def _outcome(session: PortalSession, turn: _Turn) -> tuple[Done | Later, UpstreamError | None]:
    """Return what the visit came to, and the error that it met."""
    worker = turn.worker
    try:
        return _work(session, turn), None
    except AmbiguousOutcomeError as exc:  # the next visit asks
        return Later(worker.in_s(turn.errand.flow.visible_after_s), exc.code), exc
    except PortalStopError as exc:
        return _stopped(exc, turn), exc
    except PermanentError as exc:
        return _for_a_person(turn, exc.code), exc
    except TransientError as exc:
        if exc.code in ("claim_lost", "unavailable"):
            raise
        if exc.code == "switched_off":
            return Later(worker.clock(), exc.code), exc
        return _again(turn, exc.code), exc


def _work(session: PortalSession, turn: _Turn) -> Done | Later:
    errand = turn.errand
    session.sign_in()
    turn.signed_in = True
    turn.hold()
    if not errand.flow.commits:
        return _read(session, turn)
    seen = turn.claim.seen_before
    if turn.claim.reconciling and turn.claim.committed_at is not None:
        found = session.lookup(errand.fields, committed_at=turn.claim.committed_at)
        theirs = _theirs(found, turn)
        match verdict(found, turn.claim, errand.flow, now=turn.worker.clock(), theirs=theirs):
            case Adopt(reference):
                return _settled(turn, reference)
            case AskAgain(after_s):
                return _ask_again(turn, after_s)
            case AskAPerson(code):
                return _for_a_person(turn, code)
            case GiveUp():
                return Done(Ending(_not_done(turn.claim), turn.worker.clock(), code="gave_up"))
            case Resubmit():
                pass
    elif not errand.flow.echoes_reference:
        seen = _listed(session, errand)
    return _submit(session, turn, seen)


def _submit(session: PortalSession, turn: _Turn, seen: frozenset[str]) -> Done:
    """Prepare, commit, confirm: only the click in between cannot be taken back."""
    turn.errand.check_owed()
    turn.hold()
    session.prepare(turn.errand.fields, turn.files)
    turn.hold()
    if __debug__:
        reach("action.before_committing")
    turn.over.set()  # from here on the lease bounds the click
    now, lease_s = turn.worker.clock(), turn.worker.lease_s
    try:
        turn.worker.ledger.mark_committing(
            turn.claim,
            client_reference=client_reference(turn.claim.action_id),
            seen_before=seen,
            now=now,
            lease_s=lease_s,
        )
    except TransientError as exc:
        turn.committed = exc.code == "unavailable"  # it may be on disk all the same
        raise
    turn.committed = True
    if __debug__:
        reach("action.after_committing")
    with step("portal_commit", "client"):
        session.commit(before=now + timedelta(seconds=min(lease_s, LEASE_S)))  # lint counts on LEASE_S
    if __debug__:
        reach("action.after_commit")
    with step("portal_confirm", "client"):
        receipt = session.confirm()
    return _settled(turn, receipt.reference)


def _theirs(found: Lookup, turn: _Turn) -> frozenset[str]:
    """Return which of the listed references are other actions', where the portal does not echo whose they are."""
    if turn.errand.flow.echoes_reference or not isinstance(found, Found):
        return frozenset()
    listed = [submission.reference for submission in found.submissions]
    return turn.worker.ledger.held_by_others(turn.claim, turn.errand.flow.id.portal, listed)


def _listed(session: PortalSession, errand: Errand) -> frozenset[str]:
    """Return what the portal lists before the commit, so that of a later listing only the difference is ours."""
    found = session.lookup(errand.fields)
    return frozenset(s.reference for s in found.submissions) if isinstance(found, Found) else frozenset()


def _read(session: PortalSession, turn: _Turn) -> Done | Later:
    reading = session.read(turn.errand.fields)
    worker, claim = turn.worker, turn.claim
    facts: Answered = answered(reading, turn.errand.case, claim, on=worker.clock().date())
    return Done(
        Ending("settled", worker.clock(), reference=_reference(reading)),
        records=facts.records,
        answer=facts.answer,
        facts=facts.facts,
    )


def _reference(reading: AuthorizationReading | ClaimReading) -> str:
    return reading.reference if isinstance(reading, AuthorizationReading) else reading.payer_claim_number


def _settled(turn: _Turn, reference: str) -> Done:
    now = turn.worker.clock()
    return Done(
        Ending("settled", now, reference=reference),
        appeals=tuple(
            replace(appeal, reference=reference, submitted_on=now.date()) for appeal in turn.errand.appeals
        ),
    )


def _stopped(error: PortalStopError, turn: _Turn) -> Done:
    now = turn.worker.clock()
    if (
        error.opens_breaker or not turn.signed_in
    ):  # what stops one sign-in stops the next, and too many lock the account
        waits: Result = "unknown" if turn.doubtful else "open"
        return Done(Ending(waits, now, code=error.code, disables=turn.errand.flow.id.portal))
    if error.code == "payer_refused" and not turn.claim.reconciling:
        return Done(Ending("failed", now, code=error.code))
    return _for_a_person(turn, error.code)


def _for_a_person(turn: _Turn, code: ErrorCode) -> Done:
    return _left(turn.claim, code, turn.worker, doubtful=turn.doubtful)


def _left(claim: ActionClaim, code: ErrorCode, worker: Worker, *, doubtful: bool) -> Done:
    """Return that no machine goes on with it. doubtful: it may have been submitted."""
    result: Result = "unknown" if doubtful else _not_done(claim)
    return Done(Ending(result, worker.clock(), code=code))


def _not_done(claim: ActionClaim) -> Result:
    """Return what an action is of which surely nothing was submitted: a person's, unless its rule wants none called."""
    return "failed" if claim.on_error == "log" else "open"


def _again(turn: _Turn, code: ErrorCode) -> Done | Later:
    """Wait longer each time; in the end a person decides."""
    wait = retry_after(turn.attempt)
    if wait is None:
        return _for_a_person(turn, "gave_up")
    return Later(turn.worker.in_s(wait.total_seconds() * turn.worker.retry_scale), code)


def _ask_again(turn: _Turn, after_s: float) -> Done | Later:
    if retry_after(turn.attempt) is None:
        return _for_a_person(turn, "gave_up")
    return Later(turn.worker.in_s(after_s), "commit_unclear")


def _keep(evidence: Evidence, turn: _Turn, result: Done | Later, error: UpstreamError | None) -> None:
    """Keep what there is to show. What happened in the portal counts even where this fails."""
    kept: dict[str, str] = {}
    try:
        for piece, content in _pieces(evidence, turn):
            kept[piece.name] = turn.worker.evidence.put(
                turn.claim.customer_id, turn.claim.action_id, turn.attempt, piece, content
            )
    except TransientError as exc:
        log.warning("evidence.not_kept", action_id=str(turn.claim.action_id), code=exc.code)
    turn.worker.ledger.end_visit(
        turn.claim,
        Visit(
            attempt=turn.attempt,
            outcome=result.ending.result if isinstance(result, Done) else "again",
            at=turn.worker.clock(),
            code=error.code if error is not None else "",
            reference=result.ending.reference if isinstance(result, Done) else "",
            steps=[asdict(step) for step in evidence.steps],
            files=evidence.files_sha256,
            evidence=kept,
        ),
    )


def _pieces(evidence: Evidence, turn: _Turn) -> Sequence[tuple[Piece, bytes]]:
    pieces: list[tuple[Piece, bytes]] = []
    if evidence.screenshot_png is not None:
        pieces.append((Piece("screenshot", "page.png", "image/png"), evidence.screenshot_png))
    if evidence.trace_zip is not None:
        pieces.append((Piece("trace", "trace.zip", "application/zip"), evidence.trace_zip))
    pieces += [
        (Piece("document", file.filename, file.content_type), file.content)
        for file in turn.files
        if file.name in evidence.files_sha256
    ]
    return pieces
