from datetime import date

from shared.rules.explain import explain
from shared.rules.facts import EventFacts
from shared.rules.language import parse_rule

ON = date(2026, 2, 3)
RULE = parse_rule(
    {
        "id": "r",
        "version": 1,
        "name": "r",
        "trigger": "claim.denied",
        "when": {
            "all": [
                {"fact": "denial.amount_cents", "op": "gt", "value": 50_000},
                {
                    "any": [
                        {"fact": "denial.carc", "op": "in", "value": ["29", "50"]},
                        {"fact": "claim.service_on", "op": "within_days", "value": [-90, 0]},
                        {"fact": "denial.remarks", "op": "contains", "value": "N130"},
                    ]
                },
                {"not": {"fact": "claim.payer_id", "op": "exists", "value": False}},
            ]
        },
        "then": [{"action": "notify"}],
        "mode": "live",
    }
)
DATA = {
    "claim": {"service_on": "2026-01-04", "payer_id": 87_726},
    "denial": {"amount_cents": 42_000, "remarks": ["M15", "N130"]},
}


def test_the_tree_says_of_every_predicate_what_the_event_said() -> None:
    assert str(explain(RULE, EventFacts(DATA, ON), ON)).splitlines() == [
        "✗ all",
        "  ✗ denial.amount_cents gt 50000 (is 42000)",
        "  ✓ any",
        "    ✗ denial.carc in [29, 50] (is missing)",
        "    ✓ claim.service_on within_days [-90, 0] (is 2026-01-04)",
        "    ✓ denial.remarks contains N130 (is [M15, N130])",
        "  ✓ not",
        "    ✗ claim.payer_id exists false (is of another type)",
    ]


def test_the_tree_can_be_walked() -> None:
    tree = explain(RULE, EventFacts(DATA, ON), ON)
    assert (tree.kind, tree.holds, tree.evidence) == ("all", False, None)
    first = tree.parts[0]
    assert first.kind == "predicate"
    assert first.evidence == {
        "fact": "denial.amount_cents",
        "op": "gt",
        "value": 50_000,
        "actual": 42_000,
        "holds": False,
    }
