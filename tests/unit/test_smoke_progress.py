"""How far a canary has come, read from its trace."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from shared.handlers.smoke.progress import progress
from shared.ports.record import Hop
from shared.rules.loader import load_rule
from shared.runtime.canary import canary

START = datetime(2026, 2, 3, 12, tzinfo=UTC)
VERSIONS = Path(__file__).parents[2] / "schemas" / "migrations" / "versions"


def hop(what: str, outcome: str = "taken", event_type: str = "", nth: int = 0, **detail: object) -> Hop:
    at = START + timedelta(milliseconds=nth)
    return Hop(at, what, UUID(int=nth), None, event_type, outcome, detail)


STORY = (
    hop("process_webhook", nth=1),
    hop("event", "published", "claim.submitted", nth=2),
    hop("apply_rules", nth=3),
    hop("decision", "fired", nth=3, rule_id="canary"),
    hop("event", "published", "notification.requested", nth=4),
    hop("notify", nth=5),
)


def at(hops: tuple[Hop, ...]) -> tuple[str, str, bool, str]:
    found = progress(hops, rule_id="canary")
    return found.at, found.why, found.over, found.code


def test_all_of_a_story_has_arrived_in_any_order() -> None:
    for hops in (STORY, STORY[::-1]):
        found = progress(hops, rule_id="canary")
        assert found.arrived
        assert [name for name, _ in found.passed] == ["process_webhook", "apply_rules", "notify"]
        assert [when for _, when in found.passed] == [STORY[n].at for n in (0, 2, 5)]


@pytest.mark.parametrize(
    ("known", "where"),
    [(0, "process_webhook"), (2, "apply_rules"), (5, "notify")],
)
def test_what_was_not_taken_is_waited_for(known: int, where: str) -> None:
    assert at(STORY[:known]) == (where, "it has not taken the event", False, "")


def test_what_was_committed_and_not_published_is_waited_for() -> None:
    waiting = hop("event", "waiting", "claim.submitted", nth=2)
    assert at((STORY[0], waiting)) == (
        "process_webhook",
        "it committed claim.submitted and has not published it",
        False,
        "",
    )


@pytest.mark.parametrize(
    "decision",
    [
        hop("decision", "no_match", rule_id=None),
        hop("decision", "shadow", rule_id="canary"),
        hop("decision", "fired", rule_id="x"),
    ],
)
def test_a_decision_without_the_canarys_rule_is_final(decision: Hop) -> None:
    where, why, over, _ = at((*STORY[:3], decision))
    assert (where, over) == ("apply_rules", True)
    assert "rule canary fired" in why


def test_a_dead_letter_is_final_and_names_its_function_and_code() -> None:
    letter = hop("dead letter", "unhandled", consumer="apply_rules")
    assert at((*STORY[:2], letter)) == ("apply_rules", "it is a dead letter", True, "unhandled")


def test_the_declared_rule_loads_and_does_nothing_that_leaves_the_house() -> None:
    rule = load_rule(canary().rule)
    assert (rule.id, rule.mode, rule.trigger) == (canary().rule_id, "live", "claim.submitted")
    assert [action.type for action in rule.then] == ["notify"]


def test_the_role_is_bound_to_the_declared_customer() -> None:
    [migration] = VERSIONS.glob("*_smoke.py")
    assert re.findall(r"'([0-9a-f-]{36})'::uuid", migration.read_text()) == [str(canary().customer_id)]


def test_its_secret_is_one_that_the_webhook_function_may_read() -> None:
    assert canary().connection.secret_name == f"connection-{canary().connection.id}"
