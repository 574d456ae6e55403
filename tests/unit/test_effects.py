"""What follows from a decision, where the action cannot be done at all."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from shared.domain.actions import ActionState, OnError
from shared.domain.events import Event
from shared.handlers.effects import Effects, Occasion, apply
from shared.rules.engine import Decision
from shared.rules.model import Action

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
EVENT = Event(
    id=UUID(int=1),
    type="payer.change_detected",
    source="/test",
    subject="findings/1",
    time=NOW,
    customer_id=UUID(int=2),
    data=b"{}",
)


@pytest.mark.parametrize(("on_error", "state"), [("escalate", "open"), ("log", "failed")])
def test_a_hold_on_what_is_no_claim_is_a_persons_or_only_written_down(
    on_error: OnError, state: ActionState
) -> None:
    hold = Action("hold_claim", {"reason": "payer_change"})
    effects = Effects()
    apply(
        Decision("rule", 1, "live", "fired", (hold,), (), on_error=on_error),
        Occasion(EVENT, NOW, 0.1),
        effects,
    )
    assert [action.state for action in effects.actions] == [state]
    assert effects.holds == []
