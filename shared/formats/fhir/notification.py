"""Subscription notifications: a history Bundle whose first entry says what it is. Pure: no I/O.

What a server only names has to be fetched; we keep a task for it, since the notification will not come again.
Source: Subscriptions R5 Backport 1.1, "Notifications" (R4: Parameters; R4B: SubscriptionStatus); counters may be text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from shared.domain.claims import FetchTask, Finding
from shared.formats.fhir.elements import day
from shared.formats.json_members import MemberError, child, children, text
from shared.formats.json_text import Json

_EVENTS: Final = frozenset({"event-notification", "query-event"})
_SILENT: Final = frozenset({"handshake", "heartbeat", "query-status"})
_VALUES: Final = ("valueCode", "valueString", "valueUnsignedInt", "valueInteger", "valueInstant")


@dataclass(frozen=True, slots=True)
class Notification:
    """has_resources: whether it brings what it tells of. tasks: what it only names."""

    has_resources: bool
    tasks: tuple[FetchTask, ...] = ()


def read_notification(entries: list[Json], place: str) -> Notification:
    """Return what a notification brings and what has to be fetched.

    Raises:
        MemberError: its first entry does not say what kind of notification it is.
    """
    status = child(entries[0], "resource") if entries else {}
    kind = _value(status, "type") or text(status, "type")
    if (
        status.get("resourceType") not in {"Parameters", "SubscriptionStatus"}
        or kind not in _EVENTS | _SILENT
    ):
        raise MemberError("entry", "no notification: its first entry is no status of a subscription")
    brought = [entry for entry in entries[1:] if child(entry, "resource")]
    if kind in _SILENT:
        return Notification(has_resources=bool(brought))
    findings = (
        () if entries[0].get("request") else (Finding("entry_incomplete", f"{place}[0]", "no request in it"),)
    )
    tasks = tuple(_tasks(status, entries, findings))
    return Notification(has_resources=bool(brought), tasks=tasks)


def _tasks(status: Json, entries: list[Json], findings: tuple[Finding, ...]) -> Iterator[FetchTask]:
    """Yield a task for each event that brings no resource: by the resource's URL, or else by the event's number."""
    held = {name for entry in entries[1:] if child(entry, "resource") for name in _names(entry)}
    subscription = _reference(status, "subscription") or _value(status, "subscription-url")
    events = list(_events(status))
    for focus, number, on in events:
        if focus and focus not in held:
            yield FetchTask("fhir_resource", focus, "id_only", on, findings)
        elif not focus and not held:
            url = f"{subscription}/$events?eventsSinceNumber={number}&eventsUntilNumber={number}"
            yield FetchTask("fhir_resource", url, "empty_notification", on, findings)
    if not events and not held:
        yield FetchTask("fhir_resource", f"{subscription}/$events", "empty_notification", None, findings)


def _events(status: Json) -> Iterator[tuple[str, str, date | None]]:
    """Yield each event's focus, number and day."""
    for parameter in children(status, "parameter"):
        if text(parameter, "name") == "notification-event":
            parts = {"parameter": children(parameter, "part")}
            on = next(
                (day(p, "valueInstant") for p in parts["parameter"] if text(p, "name") == "timestamp"), None
            )
            yield _reference(parts, "focus"), _value(parts, "event-number"), on
    for event in children(status, "notificationEvent"):
        yield text(child(event, "focus"), "reference"), text(event, "eventNumber"), day(event, "timestamp")


def _names(entry: Json) -> Iterator[str]:
    resource = child(entry, "resource")
    yield text(entry, "fullUrl")
    yield f"{text(resource, 'resourceType')}/{text(resource, 'id')}"


def _value(parameters: object, name: str) -> str:
    """Return a parameter's value as text, whichever type it is written in."""
    for parameter in children(parameters, "parameter") if isinstance(parameters, dict) else ():
        if text(parameter, "name") == name:
            kinds = (*_VALUES, "valueUri", "valueCanonical")
            return next((found for kind in kinds if (found := text(parameter, kind))), "")
    return ""


def _reference(parameters: object, name: str) -> str:
    for parameter in children(parameters, "parameter") if isinstance(parameters, dict) else ():
        if text(parameter, "name") == name:
            return text(child(parameter, "valueReference"), "reference")
    return ""
