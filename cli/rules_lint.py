"""`upstream rules lint` and `rules test`: what is wrong with rule files, before they act."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson
from cli.output import Failure, console, show_json, tell

if TYPE_CHECKING:
    from shared.ports.operators import RuleDocument
    from shared.rules.lint import Finding
    from shared.rules.loader import Draft
    from shared.runtime.errors import UnreadableError


class Form(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


Rules = Annotated[Path, typer.Argument(exists=True, help="A rule's file, or a folder of them.")]


def lint(
    path: Rules, form: Annotated[Form, typer.Option("--format", help="What to print.")] = Form.TEXT
) -> None:
    """Find what is wrong with rules: each finding with its place and what to do. Exits 1 if one is an error."""
    from shared.rules.lint import errors

    drafts, findings = examined(path)
    located = [(*_located(path, drafts, finding), finding) for finding in findings]
    match form:
        case Form.SARIF:
            from shared.rules.findings import to_sarif

            sys.stdout.write(json.dumps(to_sarif(located, version="0.1.0"), indent=2) + "\n")
        case Form.JSON:
            show_json([{"file": file, "line": line, **asdict(f)} for file, line, f in located])
        case Form.TEXT:
            _show(located)
    if errors(findings):
        raise typer.Exit(1)


def run_examples(path: Rules, as_json: AsJson = False) -> None:
    """Run every example of every rule. Exits 1 if one is not kept; the condition is shown in ✓ and ✗."""
    from shared.rules.examples import check_examples

    drafts, broken = _read(path)
    for finding in broken:
        tell(f"{finding.rule_id}: {finding.place}: {finding.problem}")
    failures = [(draft, failure) for draft in drafts for failure in check_examples(draft.rule)]
    count = sum(len(draft.rule.examples) for draft in drafts)
    if as_json:
        failed = [asdict(failure) for _, failure in failures]
        show_json({"rules": len(drafts), "examples": count, "failures": failed})
    for draft, failure in [] if as_json else failures:
        place = f"examples[{failure.index}]" if failure.index >= 0 else "examples"
        tell(f"{draft.path.name}: version {failure.rule_version}: {place}: {failure.problem}")
        if failure.explanation:
            typer.echo(failure.explanation, err=True)
    if failures or broken:
        raise Failure(f"{len(failures)} of {count} examples are not kept; {len(broken)} files do not load")
    if not as_json:
        typer.echo(f"{count} examples of {len(drafts)} rules are kept")


def checked(path: Path) -> "Sequence[Draft]":
    """Return the rules of a file or folder of which lint has no error to tell.

    Raises:
        Failure: it has; each was complained of.
    """
    from shared.rules.lint import errors

    drafts, findings = examined(path)
    wrong = errors(findings)
    for finding in wrong:
        file, line = _located(path, drafts, finding)
        tell(f"{file}:{line}: {finding.place}: {finding.problem}: {finding.fix} ({finding.code})")
    if wrong:
        raise Failure(f"lint finds {len(wrong)} errors; nothing was applied")
    return drafts


def together(before: "Sequence[RuleDocument]", after: "Sequence[RuleDocument]") -> None:
    """Return if lint has no error to tell of a customer's rules as they would be, that it had not of them as they are.

    Raises:
        Failure: it has; each was complained of. So rules that set each other off, or hide one another, are found
            whichever file they came from.
    """
    from shared.rules.lint import errors

    known = set(errors(_of_set(before)))
    wrong = [finding for finding in errors(_of_set(after)) if finding not in known]
    for finding in wrong:
        tell(f"{finding.rule_id}: {finding.place}: {finding.problem}: {finding.fix} ({finding.code})")
    if wrong:
        raise Failure(f"with the rules in force, lint finds {len(wrong)} errors; nothing was changed")


def _of_set(documents: "Sequence[RuleDocument]") -> "list[Finding]":
    """Return what lint finds of stored rules together; one that no longer loads acts no more, and is left out."""
    from contextlib import suppress
    from datetime import UTC, datetime

    from shared.rules.lint import lint as lint_rules
    from shared.rules.loader import load_rule
    from shared.runtime.errors import PoisonError

    rules = []
    for document in documents:
        with suppress(PoisonError):
            rules.append(load_rule(document))
    return lint_rules(rules, datetime.now(UTC).date())


def examined(path: Path) -> "tuple[Sequence[Draft], Sequence[Finding]]":
    """Return the rules that load, and what lint finds of all of them together."""
    from datetime import UTC, datetime

    from shared.rules.evaluator import check_versions
    from shared.rules.lint import Finding
    from shared.rules.lint import lint as lint_rules
    from shared.runtime.errors import UnreadableError

    drafts, findings = _read(path)
    try:
        check_versions(draft.rule for draft in drafts)
    except UnreadableError as exc:
        problem = exc.detail.removeprefix(f"{exc.place}: ")
        rule_id = problem.partition(",")[0]
        fix = "give each its own days"
        findings = [*findings, Finding("two-versions", "error", rule_id, 0, exc.place, problem, fix)]
    today = datetime.now(UTC).date()
    return drafts, [*findings, *lint_rules([draft.rule for draft in drafts], today)]


def _read(path: Path) -> "tuple[list[Draft], list[Finding]]":
    from shared.rules.loader import SUFFIXES, read_file
    from shared.runtime.errors import UnreadableError

    files = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES) if path.is_dir() else [path]
    drafts: list[Draft] = []
    broken: list[Finding] = []
    for file in files:
        try:
            drafts += read_file(file)
        except UnreadableError as exc:
            broken.append(_unreadable(file, exc))
    return drafts, broken


def _unreadable(file: Path, error: "UnreadableError") -> "Finding":
    from shared.rules.lint import Finding
    from shared.runtime.errors import UnreadableError

    cause = error.__cause__ if isinstance(error.__cause__, UnreadableError) else error
    problem = cause.detail.removeprefix(f"{cause.place}: ")
    fix = _similar_fact(file, cause.place) if "not a declared fact" in problem else "see docs/rules.md"
    return Finding("invalid-rule", "error", file.stem, 0, cause.place, problem, fix)


def _similar_fact(file: Path, place: str) -> str:
    """Return which declared fact was perhaps meant at the place."""
    from difflib import get_close_matches

    from shared.rules.documents import line_of
    from shared.rules.facts import catalogue

    text = file.read_text(encoding="utf-8")
    line = text.splitlines()[line_of(text, 0, place) - 1]
    words = [word.strip(" ,{}\"'") for word in line.replace(":", " ").split()]
    near = [match for word in words for match in get_close_matches(word, catalogue().facts, n=1, cutoff=0.7)]
    return f"did you mean {near[0]}?" if near else "facts are declared in schemas/rules/facts.json"


def _located(path: Path, drafts: "Sequence[Draft]", finding: "Finding") -> tuple[str, int]:
    """Return the file of a finding and the line that it is about."""
    from shared.rules.documents import line_of
    from shared.runtime.errors import PoisonError

    of_rule = [draft for draft in drafts if draft.rule.id == finding.rule_id]
    suffixes = [path] if path.is_file() else sorted(path.glob(f"{finding.rule_id}.*"))
    file = of_rule[0].path if of_rule else next(iter(suffixes), path)
    nth = next((n for n, draft in enumerate(of_rule) if draft.rule.version == finding.rule_version), 0)
    try:
        return str(file), line_of(file.read_text(encoding="utf-8"), nth, finding.place)
    except (PoisonError, OSError, ValueError):
        return str(file), 1


def _show(located: "Sequence[tuple[str, int, Finding]]") -> None:
    out = console()
    for file, line, finding in located:
        out.print(f"{file}:{line}: {finding.severity}: {finding.problem} ({finding.code})")
        out.print(f"    {finding.place}: {finding.fix}")
    counts = dict.fromkeys(("error", "warning", "note"), 0)
    for _, _, finding in located:
        counts[finding.severity] += 1
    out.print(", ".join(f"{count} {severity}s" for severity, count in counts.items()))
