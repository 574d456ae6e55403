"""The indexed engine: its cost follows the rules that could fire, not the rules there are.

It decides as `evaluator.RuleSet` does, which is its oracle: tests hold the two together on generated rules and events.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil
from typing import Final

from shared.rules import evaluator as plain
from shared.rules.columns import BUDGET_BYTES, MISTYPED
from shared.rules.engine import Allowance, CompiledRules, Evaluation
from shared.rules.evaluator import NOTHING, by_trigger, check_versions, decide, predicates, rank
from shared.rules.facts import Catalogue, FactSource, catalogue
from shared.rules.holds import holds
from shared.rules.model import Rule
from shared.rules.routes import Routes
from shared.rules.segment import RANK, Match, Segment, Values

LARGEST: Final = 12_000  # wider masks cost more to read, and a column has more of them
FEW: Final = 3  # measured: of four, two predicates each, the index is ahead
FANOUT: Final = 8  # a segment is merged into one that is less than this many times its size
REBUILT_FROM: Final = 4  # a change of a quarter of the rules or more is not an edit

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Making:
    """What it takes to index rules. budget_bytes: of the masks of one fact in one segment.

    few: as many rules of one trigger are not indexed: to ask one by one is quicker, and today most customers have few.
    largest: rules of a segment; of more, those that name a code are routed by it.
    """

    declared: Catalogue
    budget_bytes: int = BUDGET_BYTES
    few: int = FEW
    largest: int = LARGEST

    def segments(self, rules: Iterable[Rule]) -> Iterator[Segment]:
        """Yield the segments of these rules of one trigger, none before one that is tried after it."""
        ranked = sorted(rules, key=rank)
        count = ceil(len(ranked) / self.largest)
        for nth in range(count):
            part = ranked[nth * len(ranked) // count : (nth + 1) * len(ranked) // count]
            yield Segment.of(part, self.declared, self.budget_bytes)


@dataclass(frozen=True, slots=True)
class Plan:
    """One trigger's rules, in segments. named: by how many rules each fact that costs no query is.

    segments: the largest first. routes: None where there are not many rules. added: how many rules since it was made.
    ordered: no segment has a rule that is tried before one of an earlier segment.
    """

    making: Making
    named: Counter[str]
    segments: tuple[Segment, ...]
    routes: Routes | None = None
    added: int = 0
    ordered: bool = True

    @classmethod
    def of(cls, rules: Sequence[Rule], making: Making) -> "Plan":
        """Return the plan of one trigger's rules."""
        named = Counter(_named(rules))
        if len(rules) <= making.largest:
            return cls(making, named, tuple(making.segments(rules)))
        routes, others = Routes.of(rules, making.declared, making.budget_bytes)
        return cls(making, named, tuple(making.segments(others)), routes, ordered=not routes.count)

    @property
    def count(self) -> int:
        """How many rules it has."""
        return sum(segment.count for segment in self.segments) + (self.routes.count if self.routes else 0)

    def rules(self) -> Iterator[Rule]:
        """Yield its rules, in no order."""
        for segment in self.segments:
            yield from segment.rules()
        if self.routes:
            yield from self.routes.rules()

    def matches(self, values: Values, on: date) -> list[Match]:
        """Return the rules that may fire, in the order in which they are tried."""
        if len(self.segments) == 1 and self.routes is None:
            segment = self.segments[0]
            return segment.index.matches(values, on, segment.live)
        found = [match for each in self.segments for match in each.index.matches(values, on, each.live)]
        if self.routes:
            found += self.routes.matches(values, on)
        return found if self.ordered else _in_order(found)

    def evaluate(self, facts: FactSource, on: date, allowance: Allowance | None) -> Evaluation:
        """Decide one event by these rules, as `IndexedRules.evaluate` says."""
        decisions = []
        for _, rule, certain in self.matches(_values(self.named, facts), on):
            if rule.in_effect(on) and (certain or holds(rule.when, facts, on)):
                decisions.append(decide(rule, facts, on, allowance))
                if rule.stop and rule.mode == "live":
                    break
        return Evaluation(tuple(decisions), len(facts.mismatches))

    def edited(self, put: Sequence[Rule], drop: Sequence[Rule]) -> "Plan":
        """Return the plan without some rules and with others. Only what is small beside the change is made anew.

        What was added is not routed: once it is a quarter of many, all is.
        """
        named = self.named.copy()
        named.subtract(_named(drop))
        named.update(_named(put))
        kept = [segment for each in self.segments if (segment := each.without(drop)).count]
        segments = _merged(kept, put, self.making)
        routes = self.routes.without(drop) if self.routes else None
        moved = bool(put) or any(segment.mostly_gone for segment in kept)
        plan = Plan(
            self.making, +named, segments, routes, self.added + len(put), ordered=self.ordered and not moved
        )
        if plan.count > self.making.largest and REBUILT_FROM * plan.added > plan.count:
            return Plan.of(list(plan.rules()), self.making)
        return plan


def _in_order(found: list[Match]) -> list[Match]:
    """Return the matches in the order in which they are tried, each once."""
    found.sort(key=RANK)
    return [match for nth, match in enumerate(found) if not nth or match.rule is not found[nth - 1].rule]


def _merged(kept: Sequence[Segment], put: Sequence[Rule], making: Making) -> tuple[Segment, ...]:
    """Return segments most of which are far larger than the next, so that there are few and rules are seldom moved."""
    rules = list(put)
    stay: list[Segment] = []
    for segment in reversed(kept):
        if segment.count < min(FANOUT * len(rules), making.largest // 2) or segment.mostly_gone:
            rules.extend(segment.rules())
        else:
            stay.append(segment)
    return (*reversed(stay), *making.segments(rules))


class IndexedRules:
    """One customer's rules, indexed by trigger and fact. Immutable: share it between threads, edit it into another.

    Raises PoisonError (`invalid_rule`) if two versions of a rule are in effect on the same day: both would act.
    """

    __slots__ = ("_making", "_plans", "_rules")

    def __init__(self, rules: Iterable[Rule] = (), making: Making | None = None) -> None:
        given = tuple(rules)
        check_versions(given)
        self._making = making or Making(catalogue())
        self._rules = {_key(rule): rule for rule in given}
        self._plans = {trigger: self._plan(tried) for trigger, tried in by_trigger(given).items()}

    def _plan(self, rules: Sequence[Rule]) -> Plan | plain.Plan:
        return plain.Plan.of(rules) if len(rules) <= self._making.few else Plan.of(rules, self._making)

    def __reduce__(self) -> tuple[type["IndexedRules"], tuple[tuple[Rule, ...], Making]]:
        return IndexedRules, (tuple(self._rules.values()), self._making)

    def evaluate(
        self, trigger: str, facts: FactSource, on: date, *, allowance: Allowance | None = None
    ) -> Evaluation:
        """Decide one event as of a day. Total: what is wrong in an event's facts makes a predicate false.

        allowance: counts against limits per window. Without one, a rule that has such limits is escalated.
        Raises:
            TransientError: a lazy fact or the allowance could not be had for now. Nack.
        """
        plan = self._plans.get(trigger)
        return NOTHING if plan is None else plan.evaluate(facts, on, allowance)

    def matches(self, trigger: str, values: Values, on: date) -> list[Match]:
        """Return the rules that may fire of these values, whatever their dates, in the order in which they are tried.

        values: coerced, by fact; what is not there is missing.
        """
        match self._plans.get(trigger):
            case Plan() as plan:
                return plan.matches(values, on)
            case plain.Plan(rules=rules):
                return [Match(rank(rule), rule, certain=False) for rule in rules]
            case None:
                return []

    def edited(self, put: Iterable[Rule] = (), drop: Iterable[Key] = ()) -> "IndexedRules":
        """Return these rules with others, in place of stored ones of the same id and version, and without some.

        Raises:
            PoisonError: two versions of a rule would be in effect on the same day (`invalid_rule`).
        """
        added = {_key(rule): rule for rule in put}
        removed = [known for key in {*drop, *added} if (known := self._rules.get(key)) is not None]
        rules = self._rules.copy()
        for rule in removed:
            del rules[_key(rule)]
        rules.update(added)
        ids = {rule.id for rule in added.values()}
        check_versions(rule for rule in rules.values() if rule.id in ids)
        edited = IndexedRules((), self._making)
        edited._rules, edited._plans = rules, self._edited_plans(list(added.values()), removed)
        return edited

    def _edited_plans(self, put: Sequence[Rule], drop: Sequence[Rule]) -> dict[str, Plan | plain.Plan]:
        plans = dict(self._plans)
        added, removed = by_trigger(put), by_trigger(drop)
        for trigger in added.keys() | removed.keys():
            known = plans.pop(trigger, None)
            more, less = added.get(trigger, []), removed.get(trigger, [])
            if isinstance(known, Plan) and known.count > len(less):
                plans[trigger] = known.edited(more, less)
            elif rules := [*_without(known, less), *more]:
                plans[trigger] = self._plan(rules)
        return plans

    def changed_to(self, rules: Sequence[Rule]) -> "IndexedRules":
        """Return the set of exactly these rules, made from this one where most are the same objects.

        Raises:
            PoisonError: two versions of a rule are in effect on the same day (`invalid_rule`).
        """
        wanted = {_key(rule): rule for rule in rules}
        put = [rule for key, rule in wanted.items() if self._rules.get(key) is not rule]
        drop = [key for key in self._rules if key not in wanted]
        if len(wanted) < len(rules) or REBUILT_FROM * (len(put) + len(drop)) > len(wanted):
            return IndexedRules(rules, self._making)
        return self.edited(put, drop)


class IndexedEngine:
    """Compiles rules into `IndexedRules`."""

    def compile(self, rules: Iterable[Rule], since: CompiledRules | None = None) -> IndexedRules:
        """Compile rules in any order. since: what they were before; what did not change is taken from it.

        Raises:
            PoisonError: two versions of a rule are in effect on the same day (`invalid_rule`).
        """
        return since.changed_to(tuple(rules)) if isinstance(since, IndexedRules) else IndexedRules(rules)


def _values(names: Iterable[str], facts: FactSource) -> dict[str, object]:
    """Return every fact that costs no query: so mismatches do not depend on which rules were decided early."""
    get = facts.get
    values: dict[str, object] = {name: get(name) for name in names}
    for name in facts.mismatches:
        values[name] = MISTYPED
    return values


def _without(plan: Plan | plain.Plan | None, dropped: Iterable[Rule]) -> list[Rule]:
    if not isinstance(plan, plain.Plan):  # what is indexed comes here when nothing of it is left
        return []
    gone = {id(rule) for rule in dropped}
    return [rule for rule in plan.rules if id(rule) not in gone]


def _named(rules: Iterable[Rule]) -> Iterable[str]:
    for rule in rules:
        yield from {leaf.fact for leaf in predicates(rule.when) if not leaf.lazy}


def _key(rule: Rule) -> Key:
    return rule.id, rule.version
