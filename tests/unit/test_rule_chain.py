"""How many actions of rules led to an event travels with it, from message to message."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from shared.domain.events import Event
from shared.handlers import effects
from shared.handlers.effects import Effects, Occasion
from shared.rules.engine import Decision
from shared.rules.model import Action
from shared.runtime.envelope import from_headers, to_attributes

NOW = datetime(2026, 2, 3, tzinfo=UTC)


def event(**extensions: str) -> Event:
    return Event(
        id=uuid4(),
        type="action.failed",
        source="/test",
        subject=f"claims/{uuid4()}",
        time=NOW,
        customer_id=uuid4(),
        data=json.dumps({}).encode(),
        parent_id=uuid4(),
        extensions=extensions,
    )


@pytest.mark.parametrize(
    ("before", "after"), [({}, "1"), ({"rulechain": "4"}, "5"), ({"rulechain": "x"}, "1")]
)
def test_an_action_is_one_further_in_the_chain_than_the_event_it_answers(
    before: dict[str, str], after: str
) -> None:
    decision = Decision("r", 1, "live", "fired", (Action("check_claim_status"),), ())
    found = Effects()
    effects.apply(decision, Occasion(event(**before), NOW, 0.1), found)
    (outgoing,) = found.outgoing
    assert outgoing.event.extensions["rulechain"] == after


def test_the_count_survives_the_broker() -> None:
    sent = event(rulechain="3")
    headers = {name.lower(): value for name, value in to_attributes(sent).items()}
    assert effects.chain_of(from_headers(headers, sent.data).event) == 3


def test_what_is_switched_off_is_told_once_a_day_for_a_rule() -> None:
    stopped = Decision("r", 1, "live", "escalated", (Action("check_claim_status"),), (), "switched_off")
    first, second = event(), event()
    second = replace(second, customer_id=first.customer_id)
    found = Effects()
    for one in (first, second):
        effects.apply(stopped, Occasion(one, NOW, 0.1), found)
    assert len({alert.id for alert in found.alerts}) == 1
    assert [action.state for action in found.actions] == ["open", "open"]
    assert found.outgoing == []
