"""`upstream rules`: what customers approved."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, show_json, show_table, tell

if TYPE_CHECKING:
    from shared.rules.loader import Draft

app = typer.Typer(help="What customers approved.", no_args_is_help=True)


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
    import getpass

    from cli.workspace import opened

    drafts = read_checked(path)
    with opened(home) as workspace:
        changes = workspace.desk.apply_rules(
            workspace.customer(customer).id,
            [draft.document for draft in drafts],
            applied_by=by or getpass.getuser(),
            dry_run=dry_run,
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


def read_checked(path: Path) -> "Sequence[Draft]":
    """Return the rules of a file or folder that load and keep their examples.

    Raises:
        PoisonError: one does not load, or two versions would act on one day; the text names the place.
        Failure: one does not keep its examples; each was complained of.
    """
    from shared.rules.evaluator import check_versions
    from shared.rules.examples import check_examples
    from shared.rules.loader import read_file, read_pack

    drafts = read_pack(path) if path.is_dir() else read_file(path)
    check_versions(draft.rule for draft in drafts)
    failures = [(draft, failure) for draft in drafts for failure in check_examples(draft.rule)]
    for draft, failure in failures:
        place = f"examples[{failure.index}]" if failure.index >= 0 else "examples"
        tell(f"{draft.path.name}: version {failure.rule_version}: {place}: {failure.problem}")
        if failure.explanation:
            typer.echo(failure.explanation, err=True)
    if failures:
        raise Failure(f"{len(failures)} examples are not kept; nothing was applied")
    return drafts
