"""`upstream rules`: what customers approved."""

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, show_json, show_table
from cli.rules_backtest import backtest
from cli.rules_explain import explain
from cli.rules_lint import checked, lint, run_examples, together

app = typer.Typer(help="What customers approved.", no_args_is_help=True)
app.command("lint")(lint)
app.command("test")(run_examples)
app.command("explain")(explain)
app.command("backtest")(backtest)


@app.command()
def apply(
    path: Annotated[Path, typer.Argument(exists=True, help="A rule's file, or a folder of them.")],
    customer: Annotated[str, typer.Option(help="Whose rules they are.")],
    by: Annotated[str, typer.Option("--by", help="Who applies them; your login, if nothing else.")] = "",
    dry_run: Annotated[bool, typer.Option(help="Say what would change, and change nothing.")] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Put rules in force: exactly the versions that each file holds. Rules without a file stay as they are."""
    from cli.workspace import opened

    drafts = checked(path)
    with opened(home) as workspace:
        changes = workspace.desk.apply_rules(
            workspace.customer(customer).id,
            [draft.document for draft in drafts],
            applied_by=by or getpass.getuser(),
            dry_run=dry_run,
            check=together,
        )
    if as_json:
        show_json(
            {"customer": customer, "dry_run": dry_run, "changes": [asdict(change) for change in changes]}
        )
        return
    title = "Would change" if dry_run else ""
    show_table(
        ["rule", ">version", "change"], [(c.rule_id, c.version, c.change) for c in changes], title=title
    )


@app.command("list")
def list_(
    customer: Annotated[str, typer.Option(help="Only this customer's.")] = "",
    retired: Annotated[bool, typer.Option(help="Versions that are no longer in force, too.")] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show the rules in force."""
    from cli.workspace import opened

    with opened(home) as workspace:
        customer_id = workspace.customer(customer).id if customer else None
        stored = workspace.desk.rules(customer_id, retired=retired)
    if as_json:
        show_json([asdict(rule) for rule in stored])
        return
    show_table(
        ["rule", ">version", "mode", "trigger", "in force", "applied", "customer"],
        [
            (
                *(r.rule_id, r.version, r.mode, r.trigger, "yes" if r.active else "no"),
                *(f"{r.applied_at:%Y-%m-%d}", r.customer),
            )
            for r in stored
        ],
    )


@app.command()
def diff(
    path: Annotated[Path, typer.Argument(exists=True, help="A rule's file, or a folder of them.")],
    customer: Annotated[str, typer.Option(help="With whose rules in force to compare.")],
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show what files say otherwise than the rules in force: field by field, old and new."""
    from cli.workspace import opened
    from shared.rules.difference import differences

    drafts = checked(path)
    with opened(home) as workspace:
        stored = workspace.desk.documents(workspace.customer(customer).id)
    in_force = {s.rule_id: s.document for s in stored if s.active}
    changed = [
        (draft.rule.id, *change)
        for draft in drafts
        for change in differences(in_force.get(draft.rule.id), draft.document)
    ]
    if as_json:
        show_json([dict(zip(("rule_id", "place", "old", "new"), change, strict=True)) for change in changed])
        return
    show_table(["rule", "place", "in force", "draft"], changed)


@app.command()
def rollback(
    rule: Annotated[str, typer.Argument(help="The rule's id.")],
    customer: Annotated[str, typer.Option(help="Whose.")],
    to: Annotated[int, typer.Option(help="The version; the one before, if left out.")] = 0,
    by: Annotated[str, typer.Option("--by", help="Who does it; your login, if nothing else.")] = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Put an earlier version of a rule back in force, from the next event on; the later one is kept."""
    from cli.workspace import opened

    with opened(home) as workspace:
        customer_id = workspace.customer(customer).id
        stored = {s.version: s for s in workspace.desk.documents(customer_id, rule_id=rule)}
        current = max((s.version for s in stored.values() if s.active), default=max(stored, default=0) + 1)
        wanted = to or max((version for version in stored if version < current), default=0)
        if wanted not in stored:
            known = ", ".join(map(str, stored)) or "none"
            raise Failure(f"{rule} has no such version to go back to; stored: {known}")
        changes = workspace.desk.apply_rules(
            customer_id, [stored[wanted].document], applied_by=by or getpass.getuser(), check=together
        )
    if as_json:
        show_json([asdict(change) for change in changes])
        return
    show_table(["rule", ">version", "change"], [(c.rule_id, c.version, c.change) for c in changes])


@app.command()
def history(
    customer: Annotated[str, typer.Option(help="Whose rules.")],
    rule: Annotated[str, typer.Option(help="Only this rule's.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show who put which version in force, and out of it, the newest first."""
    from cli.workspace import opened

    with opened(home) as workspace:
        customer_id = workspace.customer(customer).id
        found = workspace.desk.rule_history(customer_id, rule_id=rule or None, limit=limit)
    if as_json:
        show_json([asdict(one) for one in found])
        return
    show_table(
        ["when", "rule", ">version", "change", "by"],
        [(f"{c.changed_at:%Y-%m-%d %H:%M}", c.rule_id, c.version, c.change, c.changed_by) for c in found],
    )


@app.command()
def stop(
    customer: Annotated[str, typer.Option(help="Whose rules.")],
    why: Annotated[str, typer.Option(help="The reason, for those who find things stopped.")],
    action: Annotated[str, typer.Option(help="Only rules that ask for this, such as submit_appeal.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who stops them; your login, if nothing else.")] = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Stop rules from acting: from the next event on, a person decides. See what is stopped with `controls`.

    What rules asked for before and no portal was told yet waits, too: see `actions list --waiting`.
    """
    _switch(home, customer, action, off=True, by=by, why=why)


@app.command()
def resume(
    customer: Annotated[str, typer.Option(help="Whose rules.")],
    why: Annotated[str, typer.Option(help="The reason.")],
    action: Annotated[str, typer.Option(help="What was stopped: an action, or everything if left out.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who lets them go on; your login, if nothing else.")] = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Let rules act again that were stopped, and what waited for it be done."""
    from cli.actions import release

    _switch(home, customer, action, off=False, by=by, why=why)
    release(home)


def _switch(home: Path, customer: str, action: str, *, off: bool, by: str, why: str) -> None:
    from cli.workspace import opened
    from shared.rules.language import ACTIONS

    if action and action not in ACTIONS:
        raise Failure(f"no action is called {action!r}; known: {', '.join(ACTIONS)}")
    with opened(home) as workspace:
        customer_id = workspace.customer(customer).id
        workspace.desk.switch(customer_id, action, off=off, by=by or getpass.getuser(), why=why)


@app.command()
def limit(
    customer: Annotated[str, typer.Option(help="Whose rules, all together.")],
    days: Annotated[int, typer.Option(min=1, max=366, help="In any so many days, today included.")],
    max_actions: Annotated[int | None, typer.Option(min=0, help="As often as this.")] = None,
    max_amount: Annotated[float | None, typer.Option(min=0, help="For as many dollars as this.")] = None,
    by: Annotated[str, typer.Option("--by", help="Who sets it; your login, if nothing else.")] = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Set what all rules of a customer together may do; with neither maximum, take the limit of these days away."""
    from cli.workspace import opened
    from shared.domain.spending import Window

    cents = None if max_amount is None else round(max_amount * 100)
    with opened(home) as workspace:
        customer_id = workspace.customer(customer).id
        workspace.desk.limit(customer_id, Window(days, max_actions, cents), by=by or getpass.getuser())


@app.command()
def controls(
    customer: Annotated[str, typer.Option(help="Whose.")], home: Home = DEFAULT_HOME, as_json: AsJson = False
) -> None:
    """Show what is stopped, and what all rules together may do."""
    from cli.workspace import opened

    with opened(home) as workspace:
        customer_id = workspace.customer(customer).id
        switches, windows = workspace.desk.switches(customer_id), workspace.desk.controls(customer_id).windows
    if as_json:
        show_json({"switches": [asdict(s) for s in switches], "windows": [asdict(w) for w in windows]})
        return
    show_table(
        ["action", "", "by", "since", "why"],
        [
            (
                *(s.action_type or "everything", "stopped" if s.off else "goes on", s.changed_by),
                *(f"{s.changed_at:%Y-%m-%d %H:%M}", s.why),
            )
            for s in switches
        ],
        title="Switches",
    )
    show_table(
        [">days", ">actions", ">dollars"],
        [(w.days, *(_or_any(w.max_actions), _or_any(w.max_amount_cents, 100))) for w in windows],
        title="Limits over all rules",
    )


def _or_any(most: int | None, divisor: int = 1) -> str:
    return "any" if most is None else f"{most / divisor:,.0f}"
