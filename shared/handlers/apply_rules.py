"""Domain events meet their customer's rules: decisions, the audit trail, and what follows, in one transaction."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import structlog

from shared.domain.events import Event, Received, trace_id
from shared.handlers import effects
from shared.handlers.allowance import CountedAllowance
from shared.handlers.effects import Effects, Occasion
from shared.handlers.history_facts import HistoryFacts
from shared.handlers.rule_book import BookPage, RuleBook
from shared.ports.clock import Clock
from shared.ports.record import Emitted, EventRecord, EventTransaction
from shared.rules.engine import Evaluation
from shared.rules.facts import EventFacts
from shared.runtime.errors import PoisonError

CONSUMER: Final = "apply_rules"
log = structlog.get_logger()


def apply_rules(
    received: Sequence[Received], *, record: EventRecord, book: RuleBook, clock: Clock
) -> Sequence[Emitted]:
    """Decide one customer's events; return, for each, the messages that its decisions cause.

    Raises:
        PoisonError: an event's data is not JSON (`invalid_event`). Nothing was decided, of any of them.
        TransientError: the database is away or busy. Nothing was decided.
    """
    decided: list[tuple[Received, Effects, float]] = []
    with record.events(CONSUMER, received) as transactions:
        for one, transaction in zip(received, transactions, strict=True):
            if not transaction.repeat:
                decided.append((one, *_decide(transaction, one.event, book, clock)))
    for done in decided:
        _log(*done)
    return [transaction.emitted for transaction in transactions]


def _decide(
    transaction: EventTransaction, event: Event, book: RuleBook, clock: Clock
) -> tuple[Effects, float]:
    """Write what the rules decide; return it, and how many milliseconds deciding took."""
    started = time.perf_counter()
    page = book.page(event.customer_id, transaction.rules_version, transaction)
    on = clock().date()
    data = _data(event)
    history = HistoryFacts(transaction, data.get("claim", {}), on)
    evaluation = page.rules.evaluate(
        event.type,
        EventFacts(data, on, history.lazy()),
        on,
        allowance=CountedAllowance(page.controls, transaction, on, effects.chain_of(event)),
    )
    risks = [history.scored()] if event.type == "claim.submitted" else []
    elapsed_ms = (time.perf_counter() - started) * 1000
    occasion = Occasion(event, clock(), elapsed_ms, history.claim.get("submitted_on"), history.payer_rank)
    found = _effects(evaluation, page, occasion)
    transaction.decide(
        found.executions, actions=found.actions, alerts=found.alerts, holds=found.holds, risks=risks
    )
    transaction.emit(found.outgoing)
    return found, elapsed_ms


def _log(received: Received, found: Effects, elapsed_ms: float) -> None:
    """Write a decided event's line. Events of one transaction share a thread's context, so each names its own ids."""
    event = received.event
    log.info(
        "rules.evaluated",
        event_id=str(event.id),
        event_type=event.type,
        customer_id=str(event.customer_id),
        trace_id=trace_id(event.trace_parent),
        attempt=received.attempt,
        action_type=found.actions[0].type if found.actions else "",
        count=len(found.actions),
        duration_ms=round(elapsed_ms, 4),
    )


def _data(event: Event) -> Mapping[str, Any]:
    try:
        data = orjson.loads(event.data)
    except orjson.JSONDecodeError as exc:
        raise PoisonError("invalid_event", "data is not JSON") from exc
    if not isinstance(data, dict):
        raise PoisonError("invalid_event", "data is not an object")
    return data


def _effects(evaluation: Evaluation, page: BookPage, occasion: Occasion) -> Effects:
    found = Effects()
    for decision in evaluation.decisions:
        effects.apply(decision, occasion, found)
    for rule in page.broken:
        if rule.trigger == occasion.event.type:
            found.executions.append(effects.failed(occasion, rule))
            found.alerts.append(effects.alert_on(occasion, rule))
    if not found.executions:
        found.executions.append(effects.no_match(occasion))
    return found
