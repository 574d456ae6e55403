"""Every `upstream` command that the runbook names exists, with the options it names."""

import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app

RUNBOOK = (Path(__file__).parents[3] / "docs" / "runbook.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```", RUNBOOK, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()] + re.findall(r"`(upstream [^`]+)`", RUNBOOK)
COMMANDS = sorted({line for line in LINES if line.startswith("upstream ")})
GROUPS = {"actions", "appeals", "connections", "customers", "dead-letters", "portals", "rules"}


def test_the_runbook_names_commands() -> None:
    assert len(COMMANDS) >= 20


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_runbook_exists(line: str) -> None:
    words = shlex.split(line.partition(" > ")[0])[1:]
    command = list(takewhile(re.compile(r"[a-z-]+").fullmatch, words[: 1 + (words[0] in GROUPS)]))
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*command, "--help"])
    assert result.exit_code == 0, result.output
    assert f"Usage: upstream {' '.join(command)} " in result.stdout
    for option in (word for word in words if word.startswith("--")):
        assert option in result.stdout, (option, command)
