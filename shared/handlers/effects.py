"""What follows from decisions: audit rows, actions, alerts and messages. Pure; ids follow from the decisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from shared.domain.actions import ActionState
from shared.domain.commands import (
    PORTAL_ACTIONS,
    Action,
    Alert,
    Execution,
    ExecutionDecision,
    ExecutionResult,
    Hold,
    Severity,
)
from shared.domain.events import Event, EventType, Outgoing, Topic, trace_id
from shared.domain.ids import derive
from shared.handlers.rule_book import BrokenRule
from shared.rules.engine import Decision, LimitedBy, Outcome
from shared.rules.model import Action as Wanted

RESULTS: Final[Mapping[Outcome, ExecutionResult]] = {
    "fired": "SUCCESS",
    "escalated": "ESCALATED",
    "shadow": "SHADOW",
}
SEVERITIES: Final[Mapping[object, Severity]] = {"warning": "warning", "critical": "critical"}
TITLES: Final[Mapping[LimitedBy, str]] = {
    "switched_off": "A rule is switched off: a person decides",
    "chain": "A rule acts on what rules did, too often in a row: a person decides",
}
CHAIN: Final = "rulechain"  # the CloudEvents extension that counts


@dataclass(slots=True)
class Effects:
    """Everything that one event leads to."""

    executions: list[Execution] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Occasion:
    """The event that was decided, and when. elapsed_ms: what deciding took. submitted_on, payer_rank: of its claim."""

    event: Event
    now: datetime
    elapsed_ms: float
    submitted_on: str | None = None
    payer_rank: int = 1


def chain_of(event: Event) -> int:
    """Return how many actions of rules led to the event, one after the other."""
    count = event.extensions.get(CHAIN, "0")
    return int(count) if count.isascii() and count.isdigit() else 0


def no_match(occasion: Occasion) -> Execution:
    """Return the audit row of an event for which no rule fired: that nothing was done is a decision, too."""
    return _execution(occasion, None, None, "no_match", "SUCCESS", [])


def failed(occasion: Occasion, rule: BrokenRule) -> Execution:
    """Return the audit row of a stored rule that could not be asked."""
    return _execution(occasion, rule.rule_id, rule.version, "no_match", "FAILED", [{"reason": rule.reason}])


def alert_on(occasion: Occasion, rule: BrokenRule) -> Alert:
    """Return the one alert for a stored rule that no longer loads."""
    return Alert(
        id=derive(occasion.event.customer_id, "broken rule", rule.rule_id, rule.version),
        event_id=occasion.event.id,
        rule_id=rule.rule_id,
        severity="critical",
        title="A stored rule no longer loads and does not act",
        subject=f"rules/{rule.rule_id}/{rule.version}",
    )


def apply(decision: Decision, occasion: Occasion, effects: Effects) -> None:
    """Add what one decision leads to. A shadow decision leaves its audit row and nothing else."""
    execution = _execution(
        occasion,
        decision.rule_id,
        decision.rule_version,
        decision.outcome,
        RESULTS[decision.outcome],
        _explained(decision),
    )
    effects.executions.append(execution)
    if decision.outcome == "fired":
        for index, wanted in enumerate(decision.actions):
            _do(wanted, derive(execution.id, index), execution, occasion, decision, effects)
    elif decision.outcome == "escalated":
        _ask_a_person(decision, execution, occasion, effects)


def _explained(decision: Decision) -> list[object]:
    """Return the evidence, then the windows that were looked at, then the limit that was reached."""
    reached = [{"limited_by": decision.limited_by}] if decision.limited_by else []
    return [*decision.explanation, *decision.consulted, *reached]


def _do(
    wanted: Wanted,
    action_id: UUID,
    execution: Execution,
    occasion: Occasion,
    decision: Decision,
    effects: Effects,
) -> None:
    state: ActionState = "settled"
    match wanted.type:
        case "create_task":
            state = "open"
        case "escalate":
            state = "open"
            effects.alerts.append(_alert(action_id, execution, wanted.params))
        case "hold_claim":
            state = _hold(wanted, execution, occasion, decision, effects)
        case "notify":
            effects.outgoing.append(_notification(action_id, wanted, execution, occasion, decision))
        case _:
            state = "requested"
            effects.outgoing.append(_portal_action(action_id, wanted, execution, occasion))
    effects.actions.append(_action(action_id, wanted, execution, state))


def _hold(
    wanted: Wanted, execution: Execution, occasion: Occasion, decision: Decision, effects: Effects
) -> ActionState:
    """Hold the claim that the event is about; what is about no claim is left to a person, or only written down."""
    kind, _, identity = execution.subject.partition("/")
    if kind != "claims":
        return "open" if decision.on_error == "escalate" else "failed"
    reason = str(wanted.params["reason"])
    effects.holds.append(Hold(UUID(identity), reason, occasion.submitted_on, occasion.payer_rank))
    return "settled"


def _ask_a_person(decision: Decision, execution: Execution, occasion: Occasion, effects: Effects) -> None:
    """Leave every action of the rule to a person, and say so: once, or of what is switched off once a day."""
    for index, wanted in enumerate(decision.actions):
        effects.actions.append(_action(derive(execution.id, index), wanted, execution, "open"))
    alert_id = derive(execution.id, "limit")
    if decision.limited_by == "switched_off":
        customer_id, on = occasion.event.customer_id, occasion.now.date()
        alert_id = derive(customer_id, "switched off", decision.rule_id, on.isoformat())
    title = TITLES.get(decision.limited_by, "A rule reached its limit: a person decides")
    effects.alerts.append(_alert(alert_id, execution, {"title": title, "severity": "warning"}))


def _action(action_id: UUID, wanted: Wanted, execution: Execution, state: ActionState) -> Action:
    return Action(
        id=action_id,
        execution_id=execution.id,
        event_id=execution.event_id,
        rule_id=str(execution.rule_id),
        subject=execution.subject,
        type=wanted.type,
        state=state,
        params=wanted.params,
    )


def _alert(alert_id: UUID, execution: Execution, params: Mapping[str, object]) -> Alert:
    return Alert(
        id=alert_id,
        event_id=execution.event_id,
        rule_id=str(execution.rule_id),
        severity=SEVERITIES.get(params.get("severity"), "info"),
        title=str(params["title"]),
        subject=execution.subject,
    )


def _notification(
    action_id: UUID, wanted: Wanted, execution: Execution, occasion: Occasion, decision: Decision
) -> Outgoing:
    data = {
        "title": wanted.params["title"],
        "severity": SEVERITIES.get(wanted.params.get("severity"), "info"),
        "channels": wanted.params.get("channels", []),
        "text": f"Rule {execution.rule_id} (version {execution.rule_version}) fired for {execution.subject}.",
        "event_id": execution.event_id,
        "facts": {e["fact"]: e["actual"] for e in decision.explanation},
    }
    return _outgoing("notifications", "notification.requested", action_id, data, execution, occasion)


def _portal_action(action_id: UUID, wanted: Wanted, execution: Execution, occasion: Occasion) -> Outgoing:
    if wanted.type not in PORTAL_ACTIONS:
        raise ValueError(f"no way to do {wanted.type}")
    data = {
        "action_id": action_id,
        "type": wanted.type,
        "params": wanted.params,
        "rule_id": execution.rule_id,
        "rule_version": execution.rule_version,
    }
    return _outgoing("portal-actions", "action.requested", action_id, data, execution, occasion)


def _outgoing(
    topic: Topic,
    event_type: EventType,
    event_id: UUID,
    data: Mapping[str, object],
    execution: Execution,
    occasion: Occasion,
) -> Outgoing:
    cause = occasion.event
    return Outgoing(
        topic,
        Event(
            id=event_id,
            type=event_type,
            source="/functions/apply_rules",
            subject=execution.subject,
            time=occasion.now,
            customer_id=cause.customer_id,
            data=orjson.dumps(data),
            trace_parent=cause.trace_parent,
            parent_id=cause.id,
            extensions={**cause.extensions, CHAIN: str(chain_of(cause) + 1)},
        ),
    )


def _execution(
    occasion: Occasion,
    rule_id: str | None,
    rule_version: int | None,
    decision: ExecutionDecision,
    result: ExecutionResult,
    explanation: list[object],
) -> Execution:
    event = occasion.event
    return Execution(
        id=derive(event.id, "execution", rule_id, rule_version),
        event_id=event.id,
        event_type=event.type,
        subject=event.subject,
        rule_id=rule_id,
        rule_version=rule_version,
        decision=decision,
        result=result,
        explanation=explanation,
        execution_time_ms=round(occasion.elapsed_ms, 3),
        trace_id=trace_id(event.trace_parent),
    )
