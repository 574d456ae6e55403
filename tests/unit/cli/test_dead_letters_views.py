"""Times and places as an engineer types them, and what the command says without a pipeline."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import pytest
import typer
from typer.testing import CliRunner

from cli.app import app
from cli.dead_letter_views import moment, place
from shared.ports.dead_letters import Place

NOW = datetime(2026, 2, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("45s", NOW - timedelta(seconds=45)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2h", NOW - timedelta(hours=2)),
        ("3d", NOW - timedelta(days=3)),
        ("2026-02-03", datetime(2026, 2, 3, tzinfo=UTC)),
        ("2026-02-03T14:00", datetime(2026, 2, 3, 14, tzinfo=UTC)),
        ("2026-02-03T14:00+02:00", datetime(2026, 2, 3, 14, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_a_time_is_a_date_or_so_long_ago(text: str, expected: datetime) -> None:
    assert moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["yesterday", "2", "h", "-2h", "2 h", "2w", "14:00"])
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="neither a time"):
        moment(text, NOW)


def test_a_place_is_what_a_listing_printed() -> None:
    assert place(f"{NOW.isoformat()}~{UUID(int=7)}") == Place(NOW, UUID(int=7))
    for text in ("", "~", f"{NOW.isoformat()}~x", f"x~{UUID(int=7)}"):
        with pytest.raises(typer.BadParameter):
            place(text)


@pytest.mark.parametrize("name", ["list", "show", "replay", "discard"])
def test_every_command_explains_itself_and_takes_json(name: str) -> None:
    result = CliRunner().invoke(app, ["dead-letters", name, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "--home" in result.stdout


@pytest.mark.parametrize("words", [("list",), ("show", "1"), ("replay", "--all"), ("discard", "--all")])
def test_without_a_pipeline_a_command_says_how_to_get_one(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["dead-letters", *words, "--home", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "upstream serve" in result.stderr
