"""What a customer's rules may still do without a person: switches, windows, and how long a chain of events is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal, Protocol

from shared.domain.actions import MAX_CHAIN
from shared.domain.spending import CUSTOMER, Controls, Spent, Window, rule_scope
from shared.rules.engine import Consulted, Verdict
from shared.rules.model import Rule

UNLIMITED: Final = Verdict()

Owner = Literal["rule", "customer"]


class Ledger(Protocol):
    """What the record says was done; see `shared.ports.record.EventTransaction`."""

    def spent(self, scope: str, *, since: date) -> Sequence[Spent]:
        """Return what was done on each day from `since` on, and keep others from doing more meanwhile."""
        ...

    def spend(self, scope: str, *, on: date, amount_cents: int) -> None:
        """Note that it was done once more."""
        ...


@dataclass(frozen=True, slots=True)
class CountedAllowance:
    """The allowance of one event. chain: how many actions of rules led to it."""

    controls: Controls
    ledger: Ledger
    on: date
    chain: int = 0

    def verdict(self, rule: Rule, amount_cents: int | None, *, acts: bool) -> Verdict:
        """Return whether the rule may act once more; if so, and if it acts, that is counted.

        Raises:
            TransientError: the counts could not be read. Nack.
        """
        if self.controls.stops(action.type for action in rule.then):
            return Verdict("switched_off")
        if self.chain >= MAX_CHAIN:
            return Verdict("chain")
        own, shared = rule.limits.windows, self.controls.windows
        if not own and not shared:
            return UNLIMITED
        return self._within(rule, own, shared, amount_cents, acts=acts)

    def _within(
        self,
        rule: Rule,
        own: Sequence[Window],
        shared: Sequence[Window],
        amount_cents: int | None,
        *,
        acts: bool,
    ) -> Verdict:
        sums = any(window.max_amount_cents is not None for window in (*own, *shared))
        if sums and amount_cents is None and rule.limits.amount_fact is not None:
            return Verdict("amount_unknown")
        amount = max(amount_cents or 0, 0)
        mine, all_rules = rule_scope(rule.id), CUSTOMER
        consulted = (*self._consult("rule", mine, own), *self._consult("customer", all_rules, shared))
        for window in consulted:
            if _exceeded(window, amount):
                return Verdict("windows" if window["limit"] == "rule" else "customer_windows", consulted)
        if acts:
            for scope in [*([mine] if own else ()), *([all_rules] if shared else ())]:
                self.ledger.spend(scope, on=self.on, amount_cents=amount)
        return Verdict("", consulted)

    def _consult(self, owner: Owner, scope: str, windows: Sequence[Window]) -> Iterable[Consulted]:
        if not windows:
            return
        days = self.ledger.spent(scope, since=_first_day(self.on, max(window.days for window in windows)))
        for window in windows:
            first = _first_day(self.on, window.days)
            within = [day for day in days if day.on >= first]
            yield Consulted(
                limit=owner,
                days=window.days,
                used_actions=sum(day.actions for day in within),
                max_actions=window.max_actions,
                used_amount_cents=sum(day.amount_cents for day in within),
                max_amount_cents=window.max_amount_cents,
            )


def _first_day(on: date, days: int) -> date:
    return on - timedelta(days=days - 1)


def _exceeded(window: Consulted, amount_cents: int) -> bool:
    """Whether once more would be too much."""
    most, most_cents = window["max_actions"], window["max_amount_cents"]
    return (most is not None and window["used_actions"] + 1 > most) or (
        most_cents is not None and window["used_amount_cents"] + amount_cents > most_cents
    )
