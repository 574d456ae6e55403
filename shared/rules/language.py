"""A rule document becomes a `Rule`, or is refused with the JSON path at fault. Pure.

`schemas/rules/rule.schema.json` says the same of the document's shape, for editors and for `loader`; types of facts and
operators, patterns and dates are checked here only. Stored documents were checked by both when they were stored.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Final, get_args

from shared.domain.actions import OnError
from shared.domain.spending import Window
from shared.rules.conditions import Scope, parse_condition
from shared.rules.facts import Catalogue, catalogue
from shared.rules.model import (
    Action,
    ActionType,
    Example,
    Expectation,
    Limits,
    Mode,
    Rule,
    Source,
)
from shared.rules.reading import day, fields, flag, invalid, items, one_of, text, whole
from shared.rules.values import MAX_NUMBER, MismatchError, coerce

ACTIONS: Final[tuple[ActionType, ...]] = get_args(ActionType)
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
ON_ERROR: Final[tuple[OnError, ...]] = get_args(OnError)
EXPECTATIONS: Final[tuple[Expectation, ...]] = get_args(Expectation)

RULE_ID: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_ID: Final = 64
MAX_VERSION: Final = 1_000_000
MAX_PRIORITY: Final = 1000
MAX_EXAMPLES: Final = 100

REQUIRED: Final = ("id", "version", "name", "trigger", "when", "then", "mode")
OPTIONAL: Final = (
    "description",
    "priority",
    "stop",
    "limits",
    "on_error",
    "effective_from",
    "effective_until",
    "source",
    "examples",
)


def parse_rule(document: object, declared: Catalogue | None = None) -> Rule:
    """Return the rule that a decoded JSON or YAML document states.

    Raises:
        PoisonError: it is not one (`invalid_rule`); the text begins with the JSON path at fault.
    """
    entry = fields(document, "$", required=REQUIRED, optional=OPTIONAL)
    known = declared or catalogue()
    scope = Scope(known, one_of(entry["trigger"], "$.trigger", known.amounts))
    begins, ends = _effective(entry)
    return Rule(
        id=_id(entry["id"]),
        version=whole(entry["version"], "$.version", least=1, most=MAX_VERSION),
        name=text(entry["name"], "$.name", most=120),
        trigger=scope.trigger,
        when=parse_condition(entry["when"], "$.when", scope),
        then=_actions(entry["then"]),
        mode=one_of(entry["mode"], "$.mode", MODES),
        description=text(entry["description"], "$.description", most=2000) if "description" in entry else "",
        priority=whole(entry.get("priority", 0), "$.priority", least=-MAX_PRIORITY, most=MAX_PRIORITY),
        stop=flag(entry.get("stop", False), "$.stop"),
        limits=_limits(entry.get("limits", {}), scope),
        on_error=one_of(entry.get("on_error", "escalate"), "$.on_error", ON_ERROR),
        effective_from=begins,
        effective_until=ends,
        source=_source(entry["source"]) if "source" in entry else None,
        examples=_examples(entry.get("examples", []), scope),
    )


def _id(raw: object) -> str:
    name = text(raw, "$.id", most=MAX_ID)
    if not RULE_ID.fullmatch(name):
        raise invalid("$.id", "lower-case words joined by hyphens are needed")
    return name


def _effective(entry: Mapping[str, object]) -> tuple[date | None, date | None]:
    begins, ends = (
        day(entry[name], f"$.{name}") if name in entry else None
        for name in ("effective_from", "effective_until")
    )
    if begins and ends and ends < begins:
        raise invalid("$.effective_until", "before effective_from: the rule would never be in effect")
    return begins, ends


def _actions(raw: object) -> tuple[Action, ...]:
    return tuple(
        _action(action, f"$.then[{index}]")
        for index, action in enumerate(items(raw, "$.then", least=1, most=10))
    )


def _action(raw: object, place: str) -> Action:
    entry = fields(raw, place, required=("action",), optional=("params",))
    params = entry.get("params", {})
    if not isinstance(params, Mapping) or not all(isinstance(name, str) for name in params):
        raise invalid(f"{place}.params", "an object is needed")
    return Action(one_of(entry["action"], f"{place}.action", ACTIONS), dict(params))


def _limits(raw: object, scope: Scope) -> Limits:
    entry = fields(raw, "$.limits", required=(), optional=("windows", "amount_over_cents", "amount_fact"))
    windows = items(entry.get("windows", []), "$.limits.windows", most=5)
    return Limits(
        windows=tuple(_window(window, f"$.limits.windows[{index}]") for index, window in enumerate(windows)),
        amount_over_cents=_most(entry, "$.limits", "amount_over_cents"),
        amount_fact=_amount_fact(entry, scope),
    )


def _amount_fact(entry: Mapping[str, object], scope: Scope) -> str | None:
    """Return the money that is at stake: as the rule names it, or as declared for its trigger."""
    if "amount_fact" in entry:
        fact = scope.fact(entry["amount_fact"], "$.limits.amount_fact")
        if fact.type != "money":
            raise invalid("$.limits.amount_fact", f"{fact.name} is {fact.type}, not money")
        return fact.name
    if "amount_over_cents" in entry and scope.declared.amounts[scope.trigger] is None:
        raise invalid("$.limits.amount_over_cents", f"{scope.trigger} carries no amount of money")
    return scope.declared.amounts[scope.trigger]


def _window(raw: object, place: str) -> Window:
    entry = fields(raw, place, required=("days",), optional=("max_actions", "max_amount_cents"))
    if len(entry) == 1:
        raise invalid(place, "max_actions or max_amount_cents is needed")
    return Window(
        days=whole(entry["days"], f"{place}.days", least=1, most=366),
        max_actions=_most(entry, place, "max_actions"),
        max_amount_cents=_most(entry, place, "max_amount_cents"),
    )


def _most(entry: Mapping[str, object], place: str, name: str) -> int | None:
    return whole(entry[name], f"{place}.{name}", least=0, most=MAX_NUMBER) if name in entry else None


def _source(raw: object) -> Source:
    entry = fields(raw, "$.source", required=("document",), optional=("section", "link"))
    parts = {name: text(value, f"$.source.{name}", most=500) for name, value in entry.items()}
    return Source(parts["document"], parts.get("section", ""), parts.get("link", ""))


def _examples(raw: object, scope: Scope) -> tuple[Example, ...]:
    return tuple(
        _example(example, f"$.examples[{index}]", scope)
        for index, example in enumerate(items(raw, "$.examples", most=MAX_EXAMPLES))
    )


def _example(raw: object, place: str, scope: Scope) -> Example:
    entry = fields(raw, place, required=("given", "expect"), optional=("on", "because"))
    given = entry["given"]
    if not isinstance(given, Mapping):
        raise invalid(f"{place}.given", "an object of facts and values is needed")
    for name, value in given.items():
        _given(name, value, f"{place}.given[{name!r:.60}]", scope)
    return Example(
        given=dict(given),
        expect=one_of(entry["expect"], f"{place}.expect", EXPECTATIONS),
        on=day(entry["on"], f"{place}.on") if "on" in entry else None,
        because=text(entry["because"], f"{place}.because", most=200) if "because" in entry else "",
    )


def _given(name: object, value: object, place: str, scope: Scope) -> None:
    fact = scope.fact(name, place)
    try:
        coerce(fact.type, value)
    except MismatchError as exc:
        raise invalid(place, f"{fact.name} is {fact.type}: {exc}") from exc
