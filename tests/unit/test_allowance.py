"""What rules may do without a person, over windows of days."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.actions import MAX_CHAIN
from shared.domain.spending import CUSTOMER, Controls, Spent, Window
from shared.handlers.allowance import CountedAllowance
from shared.rules.engine import LimitedBy
from shared.rules.language import parse_rule
from shared.rules.model import Rule

ON = date(2026, 2, 3)


class Counted:
    """What was done, by scope and day."""

    def __init__(self) -> None:
        self.days: defaultdict[tuple[str, date], list[int]] = defaultdict(list)

    def spent(self, scope: str, *, since: date) -> Sequence[Spent]:
        return [
            Spent(on, len(amounts), sum(amounts))
            for (where, on), amounts in self.days.items()
            if where == scope and on >= since
        ]

    def spend(self, scope: str, *, on: date, amount_cents: int) -> None:
        self.days[scope, on].append(amount_cents)


def rule(*windows: object, actions: Sequence[str] = ("notify",), **fields: object) -> Rule:
    document: dict[str, object] = {
        "id": "r",
        "version": 1,
        "name": "r",
        "trigger": "claim.denied",
        "when": {"fact": "denial.carc", "op": "exists", "value": True},
        "then": [{"action": action, "params": {}} for action in actions],
        "mode": "live",
    }
    if windows:
        document["limits"] = {"windows": list(windows)}
    return parse_rule(document | fields)


def asked(
    ledger: Counted,
    which: Rule,
    amount_cents: int | None = 100,
    *,
    controls: Controls = Controls(),  # noqa: B008 - a value
    on: date = ON,
    acts: bool = True,
    chain: int = 0,
) -> LimitedBy:
    allowance = CountedAllowance(controls, ledger, on, chain)
    return allowance.verdict(which, amount_cents, acts=acts).limited_by


def test_without_windows_nothing_is_counted() -> None:
    ledger = Counted()
    assert [asked(ledger, rule()) for _ in range(100)] == [""] * 100
    assert not ledger.days


def test_a_rule_acts_as_often_as_its_window_says_and_again_when_the_days_have_passed() -> None:
    ledger, limited = Counted(), rule({"days": 7, "max_actions": 2})
    assert [asked(ledger, limited) for _ in range(3)] == ["", "", "windows"]
    assert asked(ledger, limited, on=ON + timedelta(days=6)) == "windows"
    assert asked(ledger, limited, on=ON + timedelta(days=7)) == ""


def test_the_money_of_a_window_is_not_gone_over() -> None:
    ledger, limited = Counted(), rule({"days": 1, "max_amount_cents": 1000})
    assert asked(ledger, limited, 700) == ""
    assert asked(ledger, limited, 301) == "windows"
    assert asked(ledger, limited, 300) == ""
    assert asked(ledger, limited, None) == "amount_unknown"


def test_of_several_windows_the_tightest_decides_and_all_are_shown() -> None:
    ledger = Counted()
    limited = rule({"days": 1, "max_actions": 5}, {"days": 30, "max_actions": 1, "max_amount_cents": 500})
    assert asked(ledger, limited) == ""
    verdict = CountedAllowance(Controls(), ledger, ON).verdict(limited, 100, acts=True)
    assert verdict.limited_by == "windows"
    assert [
        (seen["days"], seen["used_actions"], seen["used_amount_cents"]) for seen in verdict.consulted
    ] == [
        (1, 1, 100),
        (30, 1, 100),
    ]


def test_a_customers_windows_are_over_all_of_its_rules() -> None:
    ledger, controls = Counted(), Controls(windows=(Window(1, max_actions=2),))
    assert asked(ledger, rule(), controls=controls) == ""
    assert asked(ledger, rule(id="other"), controls=controls) == ""
    assert asked(ledger, rule(), controls=controls) == "customer_windows"
    assert {scope for scope, _ in ledger.days} == {CUSTOMER}


def test_what_one_window_forbids_uses_nothing_of_another() -> None:
    ledger, controls = Counted(), Controls(windows=(Window(1, max_actions=0),))
    assert asked(ledger, rule({"days": 1, "max_actions": 1}), controls=controls) == "customer_windows"
    assert not ledger.days


def test_a_shadow_rule_is_told_and_not_counted() -> None:
    ledger, limited = Counted(), rule({"days": 1, "max_actions": 1})
    assert asked(ledger, limited, acts=False) == ""
    assert not ledger.days
    assert asked(ledger, limited) == ""
    assert asked(ledger, limited, acts=False) == "windows"


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        ({""}, "switched_off"),
        ({"notify"}, "switched_off"),
        ({"create_task"}, "switched_off"),
        ({"submit_appeal"}, ""),
        (set(), ""),
    ],
)
def test_a_rule_that_asks_for_what_is_switched_off_does_nothing(off: set[str], expected: str) -> None:
    controls = Controls(off=frozenset(off))
    assert asked(Counted(), rule(actions=("notify", "create_task")), controls=controls) == expected


def test_rules_that_set_each_other_off_end() -> None:
    assert asked(Counted(), rule(), chain=MAX_CHAIN - 1) == ""
    assert asked(Counted(), rule(), chain=MAX_CHAIN) == "chain"


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 300)), max_size=60),
    st.integers(1, 8),
    st.integers(0, 5),
    st.integers(0, 800),
)
def test_no_window_is_ever_gone_over(
    events: list[tuple[int, int]], days: int, most: int, most_cents: int
) -> None:
    ledger = Counted()
    limited = rule({"days": days, "max_actions": most, "max_amount_cents": most_cents})
    acted: list[tuple[date, int]] = []
    for offset, amount in sorted(events):
        on = ON + timedelta(days=offset)
        if asked(ledger, limited, amount, on=on) == "":
            acted.append((on, amount))
    for last, _ in acted:
        within = [amount for on, amount in acted if last - timedelta(days=days) < on <= last]
        assert len(within) <= most
        assert sum(within) <= most_cents
