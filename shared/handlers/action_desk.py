"""What a person decides about actions, and what goes out because of it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from shared.domain.actions import STALE_AFTER
from shared.domain.events import Event, EventType, Outgoing
from shared.domain.ids import derive
from shared.handlers.action_errand import appeals_of
from shared.handlers.action_outcomes import request_again
from shared.ports.action_desk import ActionDesk, ActionEntry, Resolved
from shared.ports.cases import CaseFiles
from shared.ports.ledger import Appeal, ReleasedAction
from shared.ports.publisher import Publisher
from shared.ports.record import EventRecord
from shared.runtime.errors import PermanentError
from shared.runtime.settings import PUBLISH_TIMEOUT_S

SOURCE: Final = "/cli/actions"
MOST_WOKEN: Final = 500


def resolve_action(
    entry: ActionEntry,
    params: Mapping[str, object],
    resolved: Resolved,
    *,
    desk: ActionDesk,
    cases: CaseFiles,
) -> None:
    """Record what a person found out, an appeal that the payer holds as any other, and let rules hear of it.

    params: the action's.

    Raises:
        PermanentError: the action needs nobody (`claim_lost`), or what is said of it does not fit (`missing_field`).
        TransientError: the record is away.
    """
    if not resolved.note.strip():
        raise PermanentError("missing_field", "say what was seen in the portal: it is recorded")
    if resolved.as_ == "settled" and entry.type.startswith("submit_") and not resolved.reference:
        raise PermanentError("missing_field", "a submission that the portal holds has a reference: give it")
    if resolved.as_ == "settled" and entry.type == "submit_appeal":
        resolved = replace(resolved, appeals=_held(entry, params, resolved, cases))
    desk.resolve(entry.id, resolved, [_said(entry, resolved)])


def wake_actions(*, desk: ActionDesk, now: datetime) -> int:
    """Send a message for every action that is due and has none under way; return how many."""
    return desk.wake(
        at=now,
        stale_before=now - STALE_AFTER,
        most=MOST_WOKEN,
        request=lambda woken: _again(woken.action, woken.customer_id, now),
    )


async def publish_waiting(*, desk: ActionDesk, record: EventRecord, publisher: Publisher) -> int:
    """Publish what the desk has put into the outbox; return how many messages. Killed half-way, run it again.

    Raises:
        TransientError: the broker or the record is away.
    """
    waiting = desk.unpublished()
    for emitted in waiting:
        await publisher.publish(emitted.messages, timeout_s=PUBLISH_TIMEOUT_S)
    record.mark_published(waiting)
    return len(waiting)


def _held(
    entry: ActionEntry, params: Mapping[str, object], resolved: Resolved, cases: CaseFiles
) -> tuple[Appeal, ...]:
    """Return the appeals that the payer holds by a person's word, of those claims that the record still has."""
    named = params.get("claims")
    kind, _, identity = entry.subject.partition("/")
    claims = (
        [str(one) for one in named] if isinstance(named, list) else [identity] if kind == "claims" else []
    )
    found = [cases.claim(entry.customer_id, UUID(claim)) for claim in claims]
    return tuple(
        replace(appeal, reference=resolved.reference, submitted_on=resolved.at.date())
        for appeal in appeals_of(entry.id, params, [case for case in found if case is not None])
    )


def _said(entry: ActionEntry, resolved: Resolved) -> Outgoing:
    if resolved.as_ == "again":
        event = request_again(
            ReleasedAction(entry.id, entry.subject, entry.type, 0),
            customer_id=entry.customer_id,
            now=resolved.at,
        )
        identity = derive(entry.id, "again", resolved.at.isoformat())
        return Outgoing("portal-actions", replace(event, id=identity))
    event_type: EventType = "action.succeeded" if resolved.as_ == "settled" else "action.failed"
    told = {
        "id": entry.id,
        "type": entry.type,
        "result": resolved.as_,
        "rule_id": entry.rule_id,
        "code": entry.code or None,
        "payer_id": entry.payer_key,
        "resolved": True,
    }
    return Outgoing(
        "domain-events",
        Event(
            id=derive(entry.id, event_type, "resolved"),
            type=event_type,
            source=SOURCE,
            subject=entry.subject,
            time=resolved.at,
            customer_id=entry.customer_id,
            data=orjson.dumps({"action": told}),
            parent_id=entry.id,
        ),
    )


def _again(action: ReleasedAction, customer_id: UUID, now: datetime) -> Outgoing:
    return Outgoing("portal-actions", request_again(action, customer_id=customer_id, now=now))
