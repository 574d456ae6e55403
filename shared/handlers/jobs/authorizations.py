"""`check_expiring_authorizations`: which authorizations end soon, ended or were renewed."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final
from uuid import UUID

import orjson

from shared.domain.authorizations import (
    LONGEST_LEAD_DAYS,
    Held,
    State,
    Transition,
    check_due,
    today,
    transition,
)
from shared.domain.events import Event, EventType, Outgoing
from shared.domain.ids import derive
from shared.domain.jobs import trace_of
from shared.handlers.jobs.share import Done, Share

EVENTS: Final[Mapping[State, EventType]] = {
    "EXPIRING_SOON": "authorization.expiring",
    "EXPIRED": "authorization.expired",
    "RENEWED": "authorization.renewed",
}


def check_expiring_authorizations(share: Share) -> Done:
    """Move authorizations on, and tell of each once a window; ask for a look at requests that wait for an answer.

    Raises:
        TransientError: the database is away or busy.
    """
    work = share.work
    on = today(share.run.slot, work.time_zone())
    own = work.lead_times()
    horizon = on + timedelta(days=max([LONGEST_LEAD_DAYS, *own.values()]))
    moves = [
        move
        for held in work.held_authorizations(today=on, horizon=horizon)
        if (move := transition(held, on=on, own=own)) is not None
    ]
    work.move_authorizations(moves, run_id=share.run.id)
    told = [_told(move, share) for move in moves if move.state in EVENTS]
    due = _due(share, on)
    counts = Counter(f"authorizations_{move.state.lower()}" for move in moves)
    return Done({**counts, "checks_due": len(due)}, (*told, *due))


def _told(move: Transition, share: Share) -> Outgoing:
    held, event_type = move.held, EVENTS[move.state]
    identity = derive(held.id, event_type, *_window(move))
    return _outgoing(event_type, held.id, identity, {"authorization": _facts(move)}, share)


def _window(move: Transition) -> tuple[object, ...]:
    """Return what an event is told once for: a later last day, or more units, is a window of its own."""
    held = move.held
    if move.state != "EXPIRING_SOON":
        return held.expires_on, held.successor
    units = (held.units_authorized,) if move.reason == "units" else ()
    return held.expires_on, move.reason, *units


def _facts(move: Transition) -> dict[str, object]:
    held: Held = move.held
    return {
        "id": held.id,
        "number": held.number,
        "payer_id": held.payer_key,
        "payer_name": held.payer_name,
        "procedure": held.procedure,
        "status": held.status,
        "state": move.state,
        "reason": move.reason,
        "effective_on": held.effective_on,
        "expires_on": held.expires_on,
        "ends_on": move.ends_on,
        "lead_days": move.lead_days,
        "units_authorized": held.units_authorized,
        "units_used": held.units_used,
        "units_left": held.units_left,
        "renewed_by": held.successor,
    }


def _due(share: Share, on: date) -> list[Outgoing]:
    """Return a request to look for each renewal that was asked for days ago. A look is asked for once."""
    due = []
    for request in share.work.reauth_requests():
        days = (on - request.requested_on).days
        nth = check_due(days)
        if nth is not None:
            facts = {**request.authorization, "days_since_request": days, "request_id": request.action_id}
            due.append(
                _outgoing(
                    "authorization.check_due",
                    UUID(str(request.authorization["id"])),
                    derive(request.action_id, "check", nth),
                    {"authorization": facts},
                    share,
                )
            )
    return due


def _outgoing(
    event_type: EventType, authorization_id: UUID, identity: UUID, data: Mapping[str, object], share: Share
) -> Outgoing:
    """Return an event about an authorization. All such events are one story, from the first warning to the renewal."""
    return Outgoing(
        "domain-events",
        Event(
            id=identity,
            type=event_type,
            source="/functions/run_job_task",
            subject=f"authorizations/{authorization_id}",
            time=share.now,
            customer_id=share.event.customer_id,
            data=orjson.dumps(data),
            trace_parent=trace_of(authorization_id),
            parent_id=share.event.id,
        ),
    )
