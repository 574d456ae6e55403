"""`upstream rules explain`: why rules did or did not fire on an event, predicate by predicate."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, console, show_json

if TYPE_CHECKING:
    from cli.workspace import Workspace
    from shared.ports.archive import ArchivedEvent
    from shared.rules.model import Rule


def explain(
    event: Annotated[UUID, typer.Option(help="A domain event; `upstream trace` shows them.")],
    rule: Annotated[str, typer.Option(help="Only this rule.")] = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show each rule in force as a tree of ✓ and ✗ with what the event said, as of the day of the event.

    Facts that cost a query are shown as the event's decisions saw them; those that no decision saw are missing.
    """
    from cli.workspace import opened
    from shared.rules.explain import explain as explained
    from shared.rules.facts import EventFacts

    with opened(home) as workspace:
        found = workspace.archive.event(event)
        if found is None:
            raise Failure(
                f"{event} is not a domain event that is known here; `upstream trace {event}` tells more"
            )
        customer_id, archived = found
        rules = _rules(workspace, customer_id, archived, rule)
    on = archived.at.date()
    facts = EventFacts(archived.data, on, _seen(archived.seen))
    trees = [(each, explained(each, facts, on)) for each in rules]
    if as_json:
        show_json(
            [
                {
                    "rule_id": each.id,
                    "version": each.version,
                    "fires": tree.holds,
                    "tree": str(tree).splitlines(),
                }
                for each, tree in trees
            ]
        )
        return
    out = console()
    out.print(f"{archived.type} of {archived.at:%Y-%m-%d %H:%M:%S}")
    for each, tree in trees:
        out.print(f"\n{each.id} version {each.version} ({each.mode})")
        out.print(str(tree))


def _rules(workspace: "Workspace", customer_id: UUID, event: "ArchivedEvent", name: str) -> "list[Rule]":
    """Return the rules in force that look at such an event, or the one that was asked for, whatever its version."""
    from shared.rules.loader import load_rule

    stored = workspace.desk.documents(customer_id, rule_id=name or None)
    rules = [load_rule(each.document) for each in stored if each.active]
    asked = [rule for rule in rules if rule.trigger == event.type]
    if name and not asked:
        triggers = ", ".join(sorted({rule.trigger for rule in rules})) or "not in force"
        raise Failure(f"{name} does not look at {event.type} ({triggers})")
    return asked


def _seen(values: Mapping[str, object]) -> dict[str, Callable[[], object]]:
    def remember(value: object) -> Callable[[], object]:
        return lambda: value

    return {name: remember(value) for name, value in values.items()}
