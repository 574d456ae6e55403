"""An `action.requested` event is done in the payer's portal, once.

Three short transactions with the portal between them: the ledger is claimed; `committing` is stored just before the
click; the result, the events that follow and the inbox row are written together. docs/actions.md says what happens if
the process dies in between.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from shared.domain.events import Received
from shared.domain.ids import derive
from shared.handlers.action_outcomes import outgoing, released
from shared.handlers.portal_visit import Done, Later, Worker, visit
from shared.ports.ledger import ActionClaim, Ended, Waits
from shared.ports.record import Emitted
from shared.runtime.errors import PoisonError, TransientError

if __debug__:
    from shared.runtime.crash_points import reach

CONSUMER: Final = "execute_action"
MOST_RELEASED: Final = 4  # parked actions that are due: what one message wakes
LAST_ATTEMPT: Final = 5  # schemas/topics.json: the delivery after which a message would be a dead letter
PATIENCE: Final = timedelta(
    seconds=30
)  # three of the shortest back-offs: deliveries are left after it, counted or not
BUSY: Final = timedelta(seconds=20)  # a seat is mostly left long before its lease is over


def execute_action(received: Received, *, worker: Worker) -> Emitted:
    """Do the action or leave it to a later time, and return the messages that follow.

    Raises:
        PoisonError: not a request for an action (`invalid_event`), or for none that there is (`unknown_action`).
        TransientError: it is somebody else's, or not its time, or the record is away. Nothing was submitted.
    """
    action_id = _read(received)
    taken = worker.ledger.claim(
        received.event.customer_id,
        action_id,
        event_id=received.event.id,
        token=worker.new_token(),
        now=worker.clock(),
        lease_s=worker.lease_s,
    )
    if __debug__:
        reach("action.after_claim")
    match taken:
        case Ended():
            return _nothing_left(received, worker)
        case Waits(until=until):
            return _wait(received, action_id, until, taken.why, worker)
        case ActionClaim():
            return _attend(received, taken, worker)


def _attend(received: Received, claim: ActionClaim, worker: Worker) -> Emitted:
    match visit(claim, worker):
        case Later(until=until, code=code):
            if until is not None and code == "portal_busy":
                until = min(until, worker.clock() + BUSY)
            worker.ledger.postpone(claim, until=until, code=code)
            return _wait(received, claim.action_id, until, code, worker)
        case Done() as done:
            return _end(received, claim, done, worker)


def _end(received: Received, claim: ActionClaim, done: Done, worker: Worker) -> Emitted:
    """Write the result with all that follows from it."""
    if __debug__:
        reach("action.before_settle")
    with worker.record.event(CONSUMER, received) as transaction:
        if transaction.repeat:  # a copy of this message ended it between our claim and now
            raise TransientError("claim_lost", f"action {claim.action_id}")
        transaction.end_action(claim, done.ending)
        for appeal in done.appeals:
            transaction.record_appeal(appeal)
        if done.answer is not None:
            transaction.answer_appeals(done.answer)
        transaction.store(done.records)
        follow = outgoing(claim, done, received.event)
        transaction.decide((), alerts=follow.alerts)
        due = transaction.release_actions(now=worker.clock(), most=MOST_RELEASED)
        transaction.emit([*follow.outgoing, *released(due, received.event, worker.clock())])
    worker.report(claim, done)
    return transaction.emitted


def _wait(received: Received, action_id: UUID, until: datetime | None, code: str, worker: Worker) -> Emitted:
    """Let the message come back if that is soon; else park the action, and it is released when it is due.

    Soon is told by the request's age. Pub/Sub need not say which delivery this is, and after five it is a dead letter.

    Raises:
        TransientError: come back.
    """
    soon = code != "switched_off" and until is not None and until <= received.event.time + PATIENCE
    if soon and received.attempt < LAST_ATTEMPT:
        raise TransientError("not_yet", f"action {action_id}: {code}")
    with worker.record.event(CONSUMER, _copy(received) if code == "held" else received) as transaction:
        if not transaction.repeat:
            transaction.park_action(action_id)
            due = transaction.release_actions(now=worker.clock(), most=MOST_RELEASED)
            transaction.emit(released(due, received.event, worker.clock()))
    return transaction.emitted


def _copy(received: Received) -> Received:
    """Return the message under an id of its own: whoever is at the action may have it, and ends with its inbox row."""
    return replace(received, event=replace(received.event, id=derive(received.event.id, "copy")))


def _nothing_left(received: Received, worker: Worker) -> Emitted:
    with worker.record.event(CONSUMER, received) as transaction:
        pass  # the inbox row is all there is to write
    return transaction.emitted


def _read(received: Received) -> UUID:
    try:
        data: Mapping[str, Any] = orjson.loads(received.event.data)
        return UUID(data["action_id"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as exc:
        raise PoisonError("invalid_event", f"not a request for an action: {type(exc).__name__}") from exc
