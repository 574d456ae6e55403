"""`upstream rules backtest`: what a draft would have done on the events of the past, beside the rules in force."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, console, show_json, show_table

if TYPE_CHECKING:
    from shared.handlers.backtest import Comparison, Did, Sum
    from shared.rules.loader import Draft
    from shared.rules.model import Rule

Key = TypeVar("Key")

DAY: Final = ["%Y-%m-%d"]


def backtest(
    path: Annotated[Path, typer.Argument(exists=True, help="The draft: a rule's file, or a folder of them.")],
    customer: Annotated[str, typer.Option(help="Whose events.")],
    since: Annotated[datetime, typer.Option("--from", formats=DAY, help="The first day (UTC).")],
    until: Annotated[datetime, typer.Option("--to", formats=DAY, help="The last day.")],
    chart: Annotated[Path | None, typer.Option(help="Write an SVG chart of actions by day here.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Try a draft on the events that were decided, and change nothing.

    A draft takes the place of the rules of the same id; the customer's other rules stay as they are. A rule in shadow
    is shown as live, since what it would do is the question.
    """
    from cli.rules_lint import checked
    from cli.workspace import opened
    from shared.handlers.backtest import Past
    from shared.rules.indexed import IndexedRules

    first, last = since.date(), until.date()
    if last < first:
        raise Failure("--to lies before --from")
    drafts = checked(path)
    with opened(home) as workspace:
        customer_id = workspace.customer(customer).id
        live = _live([s.document for s in workspace.desk.documents(customer_id) if s.active])
        controls = workspace.desk.controls(customer_id)
        past = Past(IndexedRules(_with(live, drafts)), IndexedRules(live), controls)
        archive = workspace.archive
        total = archive.count(customer_id, since=first, until=last)
        _play(past.play(archive.pages(customer_id, since=first, until=last)), total, quiet=as_json)
    days = [first + timedelta(days=nth) for nth in range((last - first).days + 1)]
    if chart is not None:
        chart.write_text(_svg(past.comparison, days), encoding="utf-8")
    if as_json:
        show_json(_as_json(past.comparison))
    else:
        _show(past.comparison, days)


def _live(documents: "Sequence[Mapping[str, object]]") -> "list[Rule]":
    """Return the rules in force that load; one that does not acts no more than it would on an event."""
    from shared.rules.loader import load_rule
    from shared.runtime.errors import PoisonError

    rules: list[Rule] = []
    for document in documents:
        try:
            rules.append(load_rule(document))
        except PoisonError:
            continue
    return rules


def _with(live: "Sequence[Rule]", drafts: "Sequence[Draft]") -> "list[Rule]":
    from dataclasses import replace

    ids = {draft.rule.id for draft in drafts}
    tried = [replace(d.rule, mode="live") if d.rule.mode == "shadow" else d.rule for d in drafts]
    return [*(rule for rule in live if rule.id not in ids), *tried]


def _play(steps: "Iterator[int]", total: int, *, quiet: bool) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("events", total=total)
        for count in steps:
            progress.advance(task, count)


def _show(found: "Comparison", days: Sequence[date]) -> None:
    from cli.chart import sparkline

    rules = sorted({*found.draft.by_rule, *found.live.by_rule})
    show_table(
        ["rule", "outcome", ">draft", ">in force", ">draft $", ">in force $"],
        [
            (rule, outcome, *_both(found.draft.by_rule, found.live.by_rule, (rule, outcome)))
            for rule, outcome in rules
        ],
        title=f"{found.events:,} events",
    )
    payers = sorted({*found.draft.by_payer, *found.live.by_payer})
    show_table(
        ["payer", ">draft", ">in force", ">draft $", ">in force $"],
        [(payer or "none", *_both(found.draft.by_payer, found.live.by_payer, payer)) for payer in payers],
        title="What fired, by payer",
    )
    actions = sorted({*found.draft.by_action, *found.live.by_action})
    show_table(
        ["action", ">draft", ">in force"],
        [(action, found.draft.by_action[action], found.live.by_action[action]) for action in actions],
        title="Actions without a person",
    )
    draft, live = _by_day(found.draft, days), _by_day(found.live, days)
    most = max([*draft, *live, 1])
    out = console()
    out.print(f"draft    {sparkline(draft, most=most)}\nin force {sparkline(live, most=most)}")
    out.print(
        f"fired by the draft alone: {found.only_draft:,} events; by the rules in force alone: {found.only_live:,}"
    )
    for fact, count in sorted(found.unknown.items()):
        out.print(
            f"{fact} was not recorded of {count:,} events: rules that ask for it may fire more often than shown"
        )


def _both(draft: "Mapping[Key, Sum]", live: "Mapping[Key, Sum]", key: Key) -> tuple[str, str, str, str]:
    one, other = draft.get(key), live.get(key)
    return (
        f"{one.times if one else 0:,}",
        f"{other.times if other else 0:,}",
        f"{(one.cents if one else 0) / 100:,.0f}",
        f"{(other.cents if other else 0) / 100:,.0f}",
    )


def _by_day(did: "Did", days: Sequence[date]) -> list[int]:
    return [did.by_day[day].times if day in did.by_day else 0 for day in days]


def _svg(found: "Comparison", days: Sequence[date]) -> str:
    from cli.chart import Series, svg

    series = [Series("in force", _by_day(found.live, days)), Series("draft", _by_day(found.draft, days))]
    return svg("Decisions that acted without a person, by day", days, series)


def _as_json(found: "Comparison") -> Mapping[str, object]:
    def did(one: "Did") -> Mapping[str, object]:
        return {
            "rules": [
                {"rule_id": rule, "outcome": outcome, **asdict(total)}
                for (rule, outcome), total in sorted(one.by_rule.items())
            ],
            "payers": {payer: asdict(total) for payer, total in sorted(one.by_payer.items())},
            "days": {day.isoformat(): asdict(total) for day, total in sorted(one.by_day.items())},
            "actions": dict(one.by_action),
        }

    return {
        "events": found.events,
        "only_draft": found.only_draft,
        "only_in_force": found.only_live,
        "unknown": dict(found.unknown),
        "draft": did(found.draft),
        "in_force": did(found.live),
    }
