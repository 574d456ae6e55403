"""Other rule engines, each given the same rules in its own language, in the form in which it is quickest.

A peer answers with the places of the rules that are true of an event's facts. What it takes to turn a Python dict into
the engine's own data is part of the time, as it would be in use.
"""
# mypy: disable-error-code="import-not-found, import-untyped, exhaustive-match"
# ruff: noqa: PLC0415, D102 - a peer is imported when it is measured; what its methods do stands in `Peer`

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final

Condition = Mapping[str, Any]
Facts = Mapping[str, Any]
CHUNK: Final = 500  # rules in one expression, where an engine takes many at once
COMPARISONS: Final = {"eq": "==", "gte": ">=", "lt": "<"}


class Peer(ABC):
    """An engine. most: rules it is measured with; beyond that a run takes too long to be worth it."""

    name: str
    most: int = 100_000

    @abstractmethod
    def load(self, conditions: Sequence[Condition]) -> None:
        """Take rules over."""

    @abstractmethod
    def matches(self, facts: Facts) -> list[int]:
        """Return the places of the rules that are true."""


class JsonLogic(Peer):
    """datalogic-py: JSONLogic in Rust. All rules are one array: one call an event."""

    name = "datalogic-py"

    def load(self, conditions: Sequence[Condition]) -> None:
        import datalogic_py

        engine = datalogic_py.Engine()
        self._session = engine.session()
        self._rules = [
            engine.compile([_json_logic(c) for c in conditions[at : at + CHUNK]])
            for at in range(0, len(conditions), CHUNK)
        ]

    def matches(self, facts: Facts) -> list[int]:
        import datalogic_py

        handle = datalogic_py.DataHandle(json.dumps({_slot(name): value for name, value in facts.items()}))
        evaluate = self._session.evaluate_data
        found: list[int] = []
        for nth, rule in enumerate(self._rules):
            found += [CHUNK * nth + at for at, true in enumerate(evaluate(rule, handle)) if true]
        return found


class Zen(Peer):
    """zen-engine: expressions compiled in Rust. All rules are one list: one call an event."""

    name = "zen-engine"

    def load(self, conditions: Sequence[Condition]) -> None:
        import zen

        texts = [_expression(c, "and", "or", "not ({})", "some({}, # == {})") for c in conditions]
        chunks = [texts[at : at + CHUNK] for at in range(0, len(texts), CHUNK)]
        self._rules = [zen.compile_expression(f"[{', '.join(chunk)}]") for chunk in chunks]

    def matches(self, facts: Facts) -> list[int]:
        context = {_slot(name): list(v) if isinstance(v, tuple) else v for name, v in facts.items()}
        found: list[int] = []
        for nth, rule in enumerate(self._rules):
            found += [CHUNK * nth + at for at, true in enumerate(rule.evaluate(context)) if true]
        return found


class Cel(Peer):
    """common-expression-language: CEL in Rust. All rules are one list: one call an event."""

    name = "common-expression-language"
    most = 10_000

    def load(self, conditions: Sequence[Condition]) -> None:
        import cel

        texts = [_expression(c, "&&", "||", "!({})", "({1} in {0})") for c in conditions]
        chunks = [texts[at : at + CHUNK] for at in range(0, len(texts), CHUNK)]
        self._rules = [cel.compile(f"[{', '.join(chunk)}]") for chunk in chunks]

    def matches(self, facts: Facts) -> list[int]:
        context = {_slot(name): list(v) if isinstance(v, tuple) else v for name, v in facts.items()}
        found: list[int] = []
        for nth, rule in enumerate(self._rules):
            found += [CHUNK * nth + at for at, true in enumerate(rule.execute(context)) if true]
        return found


class RuleEngine(Peer):
    """rule-engine: expressions in Python, one rule at a time."""

    name = "rule-engine"
    most = 1_000

    def load(self, conditions: Sequence[Condition]) -> None:
        import rule_engine

        texts = [_expression(c, "and", "or", "not ({})", "({1} in {0})") for c in conditions]
        self._rules = [rule_engine.Rule(text) for text in texts]

    def matches(self, facts: Facts) -> list[int]:
        thing = {_slot(name): value for name, value in facts.items()}
        return [nth for nth, rule in enumerate(self._rules) if rule.matches(thing)]


class Clips(Peer):
    """clipspy: CLIPS, a Rete in C. What every part of an `all` asks is a pattern, so that rules share it."""

    name = "clipspy"
    most = 10_000

    def load(self, conditions: Sequence[Condition]) -> None:
        import clips

        self._found: list[int] = []
        self._environment = clips.Environment()
        self._environment.define_function(self._found.append, "found")
        slots = " ".join(
            f"({'multislot' if slot == 'claim_procedures' else 'slot'} {slot})" for slot in SLOTS
        )
        self._environment.build(f"(deftemplate event {slots})")
        for nth, each in enumerate(conditions):
            self._environment.build(f"(defrule r{nth} {_clips(each)} => (found {nth}))")
        self._template = self._environment.find_template("event")

    def matches(self, facts: Facts) -> list[int]:
        self._found.clear()
        fact = self._template.assert_fact(**{_slot(name): facts[name] for name in NAMES})
        self._environment.run()
        fact.retract()
        return sorted(self._found)


PEERS: Final[tuple[type[Peer], ...]] = (JsonLogic, Zen, Cel, RuleEngine, Clips)
NAMES: Final = (
    "claim.payer_id",
    "claim.procedures",
    "denial.carc",
    "denial.amount_cents",
    "claim.charge_cents",
    "claim.days_since_service",
)


def _slot(name: str) -> str:
    return name.replace(".", "_")


SLOTS: Final = tuple(_slot(name) for name in NAMES)


def _json_logic(c: Condition) -> object:
    match c:
        case {"all": parts}:
            return {"and": [_json_logic(part) for part in parts]}
        case {"any": parts}:
            return {"or": [_json_logic(part) for part in parts]}
        case {"not": part}:
            return {"!": [_json_logic(part)]}
    variable, value = {"var": _slot(c["fact"])}, c["value"]
    match c["op"]:
        case "between":
            return {"<=": [value[0], variable, value[1]]}
        case "contains":
            return {"in": [value, variable]}
        case op:
            return {COMPARISONS[op]: [variable, value]}


def _expression(c: Condition, both: str, either: str, negation: str, contains: str) -> str:
    def inner(part: Condition) -> str:
        return _expression(part, both, either, negation, contains)

    match c:
        case {"all": parts}:
            return f"({f' {both} '.join(map(inner, parts))})"
        case {"any": parts}:
            return f"({f' {either} '.join(map(inner, parts))})"
        case {"not": part}:
            return negation.format(inner(part))
    slot, value = _slot(c["fact"]), c["value"]
    match c["op"]:
        case "between":
            return f"({slot} >= {value[0]} {both} {slot} <= {value[1]})"
        case "contains":
            return contains.format(slot, json.dumps(value))
        case op:
            return f"({slot} {COMPARISONS[op]} {json.dumps(value)})"


def _clips(c: Condition) -> str:
    """Return the left side of a rule: patterns for what can be one, a test for the rest."""
    patterns: dict[str, str] = {}
    tests: list[str] = []
    for part in c["all"]:
        if "fact" not in part or _slot(part["fact"]) in patterns:
            tests.append(_clips_test(part))
            continue
        slot, value = _slot(part["fact"]), json.dumps(part["value"])
        match part["op"]:
            case "eq":
                patterns[slot] = f"({slot} ?{slot}&{value})"
            case "contains":
                patterns[slot] = f"({slot} $?{slot}&:(member$ {value} ?{slot}))"
            case _:
                patterns[slot] = f"({slot} ?{slot}&:{_clips_test(part)})"
    for slot in SLOTS:
        many = slot == "claim_procedures"
        patterns.setdefault(slot, f"({slot} {'$' if many else ''}?{slot})")
    tested = " ".join(f"(test {test})" for test in tests)
    return f"(event {' '.join(patterns[slot] for slot in SLOTS)}) {tested}"


def _clips_test(c: Condition) -> str:  # noqa: PLR0911 - one form each
    match c:
        case {"all": parts}:
            return f"(and {' '.join(map(_clips_test, parts))})"
        case {"any": parts}:
            return f"(or {' '.join(map(_clips_test, parts))})"
        case {"not": part}:
            return f"(not {_clips_test(part)})"
    slot, value = _slot(c["fact"]), c["value"]
    match c["op"]:
        case "between":
            return f"(<= {value[0]} ?{slot} {value[1]})"
        case "contains":
            return f"(neq (member$ {json.dumps(value)} ?{slot}) FALSE)"
        case "eq":
            return f"(eq ?{slot} {json.dumps(value)})"
        case op:
            return f"({COMPARISONS[op]} ?{slot} {value})"
