"""What an action's result leads to: the event for chained rules, an alert, a message to the customer. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from shared.domain.commands import Alert, Severity
from shared.domain.events import Event, EventType, Outgoing, Topic
from shared.domain.ids import derive
from shared.domain.narration import narrate
from shared.handlers.effects import CHAIN
from shared.handlers.portal_visit import Done
from shared.ports.ledger import ActionClaim, ReleasedAction

SOURCE: Final = "/functions/execute_action"
EVENTS: Final[Mapping[str, EventType]] = {
    "settled": "action.succeeded",
    "failed": "action.failed",
    "open": "action.escalated",
    "unknown": "action.escalated",
}
# What a person is told, by code; by result where the code says nothing.
TITLES: Final[Mapping[str, tuple[Severity, str]]] = {
    "wrong_password": ("critical", "A payer's portal refused our password: nothing more is done there"),
    "account_locked": ("critical", "A payer's portal has locked the account: nothing more is done there"),
    "mfa_refused": ("critical", "A payer's portal refused our one-time code: nothing more is done there"),
    "payer_refused": ("warning", "A payer refused a submission in its portal"),
    "captcha": ("warning", "A payer's portal asks for a human: a person has to submit"),
    "interstitial": ("warning", "A payer's portal wants something accepted first: a person decides"),
    "unknown_page": ("warning", "A payer's portal has changed: a person has to submit"),
    "no_credentials": ("warning", "There are no credentials for a payer's portal: a person has to submit"),
    "no_portal_flow": ("warning", "No flow for this payer's portal: a person has to submit"),
    "missing_field": ("warning", "The record lacks what the payer's form requires: a person has to submit"),
    "no_subject": ("warning", "What an action is about is not in the record: a person has to look"),
    "under_way": ("warning", "The same was asked for before and is not answered: a person decides"),
    "nothing_owed": ("warning", "What was to be appealed is no longer denied or short: a person decides"),
    "gave_up": ("warning", "A payer's portal was away for long: a person has to submit"),
}
UNKNOWN: Final[tuple[Severity, str]] = (
    "critical",
    "A submission may have been taken: a person has to look in the portal",
)
SHUT_OUT: Final[tuple[Severity, str]] = (
    "critical",
    "A payer's portal does not let us sign in as it used to: nothing more is done there",
)
OTHER: Final[tuple[Severity, str]] = ("warning", "An action could not be done: a person has to look")


@dataclass(frozen=True, slots=True)
class Follow:
    """What goes out and what a person is shown."""

    outgoing: Sequence[Outgoing]
    alerts: Sequence[Alert]


def outgoing(claim: ActionClaim, done: Done, cause: Event) -> Follow:
    """Return all that follows from an action that ended. cause: the request."""
    events = [_outcome(claim, done, cause)]
    events += [
        Outgoing("domain-events", event)
        for record in done.records
        if (event := narrate(record, cause=cause, now=done.ending.at)) is not None
    ]
    if done.ending.result == "settled" or _nobody_is_called(claim, done):
        return Follow(events, ())
    severity, title = _told(done)
    alert = Alert(
        id=derive(claim.action_id, "alert", done.ending.result, done.ending.code, _nth(claim)),
        event_id=claim.action_id,  # the first request, whichever message it was done by
        rule_id=claim.rule_id,
        severity=severity,
        title=title,
        subject=claim.subject,
    )
    events.append(_notification(claim, done, alert, cause))
    return Follow(events, (alert,))


def released(due: Sequence[ReleasedAction], cause: Event, now: datetime) -> list[Outgoing]:
    """Return a new request for each parked action that is due."""
    return [_request(action, cause, now) for action in due]


def request_again(action: ReleasedAction, *, customer_id: UUID, now: datetime) -> Event:
    """Return a new request for an action that no message is under way for."""
    return Event(
        id=derive(action.action_id, "release", action.nth),
        type="action.requested",
        source=SOURCE,
        subject=action.subject,
        time=now,
        customer_id=customer_id,
        data=orjson.dumps({"action_id": action.action_id, "type": action.type}),
        trace_parent=action.trace_parent,
        parent_id=action.action_id,
        extensions={CHAIN: action.chain} if action.chain else {},
    )


def _request(action: ReleasedAction, cause: Event, now: datetime) -> Outgoing:
    return Outgoing("portal-actions", request_again(action, customer_id=cause.customer_id, now=now))


def _outcome(claim: ActionClaim, done: Done, cause: Event) -> Outgoing:
    ending = done.ending
    action: dict[str, object] = {
        "id": claim.action_id,
        "type": claim.type,
        "result": ending.result,
        "rule_id": claim.rule_id,
        "code": ending.code or None,
        "payer_id": claim.payer_key,
        **(done.facts or {}),
    }
    event_type = EVENTS[ending.result]
    identity = derive(claim.action_id, event_type, ending.code, _nth(claim))
    return _event("domain-events", event_type, identity, {"action": action}, claim, cause, ending.at)


def _nobody_is_called(claim: ActionClaim, done: Done) -> bool:
    """Whether a failure is only written down. A closed portal, or doubt about a submission, is always a person's."""
    return claim.on_error == "log" and done.ending.result == "failed" and not done.ending.disables


def _nth(claim: ActionClaim) -> int:
    """Tell what happens to one action twice apart: refused credentials, and refused again once they were allowed."""
    return claim.attempts


def _notification(claim: ActionClaim, done: Done, alert: Alert, cause: Event) -> Outgoing:
    ending = done.ending
    why = f" ({ending.code})" if ending.code else ""
    data = {
        "title": alert.title,
        "severity": alert.severity,
        "channels": [],
        "text": f"{claim.type} for {claim.subject}: {ending.result}{why}. "
        f"`upstream actions show {claim.action_id}` has the evidence.",
        "event_id": claim.action_id,
        "facts": {"action": claim.type, "payer": claim.payer_key, "code": ending.code},
    }
    identity = derive(alert.id, "notification")
    return _event("notifications", "notification.requested", identity, data, claim, cause, done.ending.at)


def _told(done: Done) -> tuple[Severity, str]:
    ending = done.ending
    if ending.result == "unknown" and not ending.disables:
        return UNKNOWN
    severity, title = TITLES.get(ending.code, OTHER)
    return SHUT_OUT if ending.disables and severity != "critical" else (severity, title)


def _event(
    topic: Topic,
    event_type: EventType,
    identity: UUID,
    data: Mapping[str, object],
    claim: ActionClaim,
    cause: Event,
    at: datetime,
) -> Outgoing:
    return Outgoing(
        topic,
        Event(
            id=identity,
            type=event_type,
            source=SOURCE,
            subject=claim.subject,
            time=at,
            customer_id=claim.customer_id,
            data=orjson.dumps(data),
            trace_parent=cause.trace_parent,
            parent_id=cause.id,
            extensions=cause.extensions,
        ),
    )
