"""What rules did without a person, counted by day, and what stops them. Pure values."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

CUSTOMER: Final = "customer"  # the scope of what all of a customer's rules did together
ALL_ACTIONS: Final = ""  # the switch of everything that a customer's rules do


@dataclass(frozen=True, slots=True)
class Window:
    """At most this much in any `days` days, the current one included; None is no limit."""

    days: int
    max_actions: int | None = None
    max_amount_cents: int | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What was done on one day within one scope."""

    on: date
    actions: int
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Controls:
    """What stops a customer's rules, whatever they say. off: action types, or ALL_ACTIONS. windows: over all rules."""

    off: frozenset[str] = frozenset()
    windows: tuple[Window, ...] = ()

    def stops(self, action_types: Iterable[str]) -> bool:
        """Whether one of these actions is switched off."""
        return bool(self.off) and (ALL_ACTIONS in self.off or not self.off.isdisjoint(action_types))


def rule_scope(rule_id: str) -> str:
    """Return the scope of what one rule did, whatever its version."""
    return f"rule:{rule_id}"
