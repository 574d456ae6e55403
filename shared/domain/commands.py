"""What a rule asks for, once it fired. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from shared.domain.actions import ActionState

ExecutionDecision = Literal["fired", "escalated", "shadow", "no_match"]
ExecutionResult = Literal["SUCCESS", "FAILED", "ESCALATED", "SHADOW"]
Severity = Literal["info", "warning", "critical"]

PORTAL_ACTIONS = frozenset(
    {"submit_appeal", "submit_reauth_request", "check_claim_status", "check_authorization_status"}
)


@dataclass(frozen=True, slots=True)
class Execution:
    """One row of the audit trail: what was decided of an event, by which rule version, and why."""

    id: UUID
    event_id: UUID
    event_type: str
    subject: str
    rule_id: str | None
    rule_version: int | None
    decision: ExecutionDecision
    result: ExecutionResult
    explanation: object
    execution_time_ms: float
    trace_id: str


@dataclass(frozen=True, slots=True)
class Action:
    """Something to be done because a rule fired. state: `requested` for a worker, `open` for a person."""

    id: UUID
    execution_id: UUID
    event_id: UUID
    rule_id: str
    subject: str
    type: str
    state: ActionState
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person should look at."""

    id: UUID
    event_id: UUID
    rule_id: str
    severity: Severity
    title: str
    subject: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A claim that must not go out until a person released it. submitted_on, payer_rank: of its submission."""

    claim_id: UUID
    reason: str
    submitted_on: str | None = None
    payer_rank: int = 1


@dataclass(frozen=True, slots=True)
class Risk:
    """A submitted claim's risk score, 0-100, and what each factor added. submitted_on, payer_rank: of that."""

    claim_id: UUID
    score: int
    factors: object
    submitted_on: str | None = None
    payer_rank: int = 1
