"""Every message is a CloudEvent in the Pub/Sub protocol binding. Pure.

Source: CloudEvents 1.0.2, "Google Cloud Pub/Sub Protocol Binding" (attributes carry a `ce-` prefix).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

Topic = Literal[
    "webhook-events", "domain-events", "portal-actions", "notifications", "job-tasks", "dead-letters"
]

EventType = Literal[
    "webhook.received",  # a payer's delivery, bytes as they came
    "claim.submitted",  # the provider sent a claim
    "claim.paid",  # a payer paid, in full or in part
    "claim.denied",  # a payer paid nothing, for a reason that is not the patient's share
    "claim.reversed",  # a payer took an earlier payment back
    "claim.acknowledged",  # a payer or clearinghouse took a claim, or refused to
    "claim.status_changed",  # a payer says where a claim stands
    "submission.acknowledged",  # the same of a whole submission of ours, or of all of a provider's claims in it
    "authorization.requested",  # a provider asked for an authorization
    "authorization.decided",  # a payer answered a request for authorization
    "authorization.expiring",  # a job found an authorization inside its payer's lead time
    "authorization.check_due",  # a job found a request for renewal that was sent days ago and is not answered
    "authorization.renewed",  # another authorization took its place
    "authorization.expired",  # its last day is over, and nothing took its place
    "payer.change_detected",  # a job found that a payer does something else than before
    "payer.change_updated",  # it moved on by as much again as matters
    "payer.change_closed",  # it is over, or has become the rule
    "job.task",  # one customer's share of a scheduled job is to be done
    "job.task_finished",  # it was done
    "job.finished",  # every share of a run was done
    "action.requested",  # a rule asks for something to be done
    "action.succeeded",  # it was done
    "action.failed",  # the payer said no
    "action.escalated",  # a person has to decide
    "payload.named",  # a sender named something that has to be fetched before anything is known of it
    "notification.requested",  # somebody is to be told
]

TYPE_PREFIX: Final = "app.upstream."
PAYLOAD_REF: Final = "payloadref"  # of an event whose payload is kept apart: where
PAYLOAD_SHA256: Final = "payloadsha256"  # and what it has to be
SPEC_VERSION: Final = "1.0"


@dataclass(frozen=True, slots=True)
class Event:
    """One CloudEvent. data: UTF-8 JSON, but for `webhook.received`, which carries the payer's bytes as they came.

    trace_parent: W3C `traceparent`, kept from the payer's POST to the last hop. parent_id: the event that caused this
    one; equal to `id` for the first. connection_id: where the story began.
    """

    id: UUID
    type: EventType
    source: str
    subject: str
    time: datetime
    customer_id: UUID
    data: bytes = field(repr=False)
    content_type: str = "application/json"
    trace_parent: str = ""
    parent_id: UUID | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event and the topic it is to be published to."""

    topic: Topic
    event: Event


@dataclass(frozen=True, slots=True)
class Message:
    """What a broker carries: bytes and string attributes, for one topic."""

    topic: Topic
    data: bytes = field(repr=False)
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Received:
    """An event as push delivered it. attempt: 1 for the first. attributes: as published, for a dead letter."""

    event: Event
    attempt: int
    subscription: str
    attributes: Mapping[str, str]


def trace_id(trace_parent: str) -> str:
    """Return the trace id of a W3C `traceparent`, or an empty string."""
    parts = trace_parent.split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else ""  # noqa: PLR2004 - four fields, 16-byte id
