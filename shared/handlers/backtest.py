"""What a draft of rules would have done with the events of the past, beside what the rules in force would have.

Both are put to the same facts, and each has its own windows, counted from the first event on. Facts that cost a query
are those that the decisions of the time saw: what nobody asked then is not known now, and is said so.
"""

import gc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from shared.domain.spending import Controls, Spent
from shared.handlers.allowance import CountedAllowance
from shared.ports.archive import ArchivedEvent
from shared.rules.engine import CompiledRules, Decision
from shared.rules.facts import EventFacts

PAYERS: Final = ("claim", "authorization")  # which objects of an event name a payer


@dataclass(slots=True)
class Sum:
    """How often, and over how much money."""

    times: int = 0
    cents: int = 0

    def add(self, cents: int) -> None:
        """Add once more."""
        self.times += 1
        self.cents += cents


@dataclass(slots=True)
class Did:
    """What one set of rules did. by_rule: (id, outcome). by_action, by_payer, by_day: of what fired."""

    by_rule: defaultdict[tuple[str, str], Sum] = field(default_factory=lambda: defaultdict(Sum))
    by_payer: defaultdict[str, Sum] = field(default_factory=lambda: defaultdict(Sum))
    by_day: defaultdict[date, Sum] = field(default_factory=lambda: defaultdict(Sum))
    by_action: Counter[str] = field(default_factory=Counter)

    def note(self, decision: Decision, payer: str, on: date) -> None:
        """Add one decision."""
        cents = decision.at_stake_cents or 0
        self.by_rule[decision.rule_id, decision.outcome].add(cents)
        if decision.outcome == "fired":
            self.by_payer[payer].add(cents)
            self.by_day[on].add(cents)
            self.by_action.update(action.type for action in decision.actions)


@dataclass(slots=True)
class Comparison:
    """The draft beside the rules in force. only_draft, only_live: events on which that one alone fired something.

    unknown: by fact, events on which one of them asked what no decision of the time had seen.
    """

    draft: Did = field(default_factory=Did)
    live: Did = field(default_factory=Did)
    events: int = 0
    only_draft: int = 0
    only_live: int = 0
    unknown: Counter[str] = field(default_factory=Counter)


class Tally:
    """What was done, in memory; see `shared.handlers.allowance.Ledger`."""

    def __init__(self) -> None:
        self._days: defaultdict[str, dict[date, Sum]] = defaultdict(dict)

    def spent(self, scope: str, *, since: date) -> Sequence[Spent]:
        """Return what was done on each day from `since` on."""
        return [Spent(on, day.times, day.cents) for on, day in self._days[scope].items() if on >= since]

    def spend(self, scope: str, *, on: date, amount_cents: int) -> None:
        """Note that it was done once more."""
        self._days[scope].setdefault(on, Sum()).add(amount_cents)


class Recorded(Mapping[str, Callable[[], object]]):
    """Facts that cost a query, as decisions of the time saw them. unknown: those asked for that none saw."""

    __slots__ = ("_seen", "unknown")

    def __init__(self, seen: Mapping[str, object]) -> None:
        self._seen = seen
        self.unknown: list[str] = []

    def __getitem__(self, name: str) -> Callable[[], object]:
        if name not in self._seen:
            self.unknown.append(name)
        value = self._seen.get(name)
        return lambda: value

    def __iter__(self) -> Iterator[str]:
        return iter(self._seen)

    def __len__(self) -> int:
        return len(self._seen)


class Past:
    """Plays events to two sets of rules."""

    def __init__(self, draft: CompiledRules, live: CompiledRules, controls: Controls) -> None:
        """controls: the customer's own windows; switches are left out, since a draft is tried as if it might act."""
        self._draft, self._live = draft, live
        self._controls = Controls(windows=controls.windows)
        self._draft_tally, self._live_tally = Tally(), Tally()
        self.comparison = Comparison()

    def play(self, pages: Iterable[Sequence[ArchivedEvent]]) -> Iterator[int]:
        """Decide page by page; yield how many events each had."""
        with _collector_resting():
            for page in pages:
                for event in page:
                    self._decide(event)
                yield len(page)

    def _decide(self, event: ArchivedEvent) -> None:
        on, found = event.at.date(), self.comparison
        recorded = Recorded(event.seen)
        facts = EventFacts(event.data, on, recorded)
        live = self._live.evaluate(event.type, facts, on, allowance=self._allowance(self._live_tally, on))
        draft = self._draft.evaluate(event.type, facts, on, allowance=self._allowance(self._draft_tally, on))
        found.events += 1
        found.unknown.update(recorded.unknown)
        if live.decisions or draft.decisions:
            _note(found, draft.decisions, live.decisions, event, on)

    def _allowance(self, tally: Tally, on: date) -> CountedAllowance:
        return CountedAllowance(self._controls, tally, on)


@contextmanager
def _collector_resting() -> Iterator[None]:
    """Put off the search for cycles: events have none, and to look for some in each page took half of all the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _note(
    found: Comparison,
    draft: Sequence[Decision],
    live: Sequence[Decision],
    event: ArchivedEvent,
    on: date,
) -> None:
    payer = _payer(event.data)
    for decision in draft:
        found.draft.note(decision, payer, on)
    for decision in live:
        found.live.note(decision, payer, on)
    draft_fired = any(decision.outcome == "fired" for decision in draft)
    live_fired = any(decision.outcome == "fired" for decision in live)
    found.only_draft += draft_fired and not live_fired
    found.only_live += live_fired and not draft_fired


def _payer(data: Mapping[str, object]) -> str:
    for name in PAYERS:
        part = data.get(name)
        if isinstance(part, Mapping) and isinstance(part.get("payer_id"), str):
            return str(part["payer_id"])
    return ""
