import sys
from pathlib import Path

import pytest

from cli.hints import command


def test_a_command_works_as_it_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(Path.cwd() / ".venv" / "bin" / "upstream")])
    monkeypatch.setenv("PATH", "/nowhere")
    assert command("rules", "list", "--customer", "A B") == ".venv/bin/upstream rules list --customer 'A B'"
    assert command("serve", home=Path("/srv/x y")).endswith("serve --home '/srv/x y'")


def test_elsewhere_it_goes_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest"])
    assert command("serve") == "upstream serve"
