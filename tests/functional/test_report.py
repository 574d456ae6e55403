"""`upstream report payer`: tables for a terminal, and a page that stands alone and can be read aloud."""

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.workspace import announce, withdraw
from shared.runtime.settings import to_environment

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

FILL = """
INSERT INTO claim_daily_stats (customer_id, payer_key, procedure, day, decided, denied, charge_cents, paid_cents)
SELECT CAST(:c AS uuid), 'oak-&-<elm>', '99213', date '2026-11-20' - n, 50, CASE WHEN n < 3 THEN 15 ELSE 5 END, 100000,
    80000 FROM generate_series(0, 120) n;
INSERT INTO claim_daily_reasons (customer_id, day, payer_key, carc, procedure, denied, charge_cents)
SELECT CAST(:c AS uuid), date '2026-11-20' - n, 'oak-&-<elm>', '197', '99213', 5, 10000 FROM generate_series(0, 120) n;
INSERT INTO claim_lags (customer_id, submitted_on, payer_key, lag_days, claims)
SELECT CAST(:c AS uuid), date '2026-11-20' - n, 'oak-&-<elm>', CASE WHEN n < 10 THEN -1 ELSE 10 END, 20
    FROM generate_series(0, 120) n;
INSERT INTO payer_baselines (customer_id, payer_key, since, decided, denied, procedures, squares, spread, alpha, beta)
SELECT CAST(:c AS uuid), 'oak-&-<elm>', date '2026-11-20' - n * 10, 5000, 500 + n * 10, 1, 1, 1, 1, 9
    FROM generate_series(0, 6) n;
INSERT INTO findings (id, customer_id, kind, payer_key, first_seen_on, last_seen_on, baseline, current, n, told,
    at_stake_cents, run_id)
VALUES (gen_random_uuid(), CAST(:c AS uuid), 'denial_rate', 'oak-&-<elm>', '2026-11-19', '2026-11-20', 0.1, 0.3, 150,
    0.3, 123456, gen_random_uuid())
"""


@pytest.fixture
def home(pipeline: "Pipeline") -> Iterator[Path]:
    runtime = pipeline.threaded.runtime
    environment = to_environment(runtime.settings)
    found = runtime.settings.home
    announce(found, url=runtime.url, host_pids=runtime.host_pids(), environment=environment, ready=True)
    yield found
    withdraw(found)


class Reader(HTMLParser):
    """Reads a page as a strict reader would: every element that is opened is closed, in order."""

    VOID = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.outside += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_payers_half_year_is_told_in_tables_and_in_a_page(
    pipeline: "Pipeline", home: Path, tmp_path: Path
) -> None:
    customer = pipeline.customer("Told <Practice>")
    for statement in FILL.split(";\n"):
        pipeline.execute(statement, c=str(customer))
    file = tmp_path / "report.html"
    words = [
        "report",
        "payer",
        "oak",
        "--customer",
        "Told <Practice>",
        "--on",
        "2026-11-20",
        "--home",
        str(home),
    ]
    result = CliRunner().invoke(app, [*words, "--html", str(file)])
    assert result.exit_code == 0, (result.output, result.exception)
    assert "30.0 %" in result.output
    assert "$1,234.56" in result.output
    figures = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert sum(week["decided"] for week in figures["weeks"]) == 121 * 50
    assert figures["reasons"] == [{"carc": "197", "denied": 605, "charge_cents": 1_210_000}]
    assert {s["median_days"] for s in figures["speeds"][:-2]} == {10}

    page = file.read_text()
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert all(link.startswith("#") for link in reader.outside)  # nothing from anywhere else
    assert "<script" not in page
    assert "@media print" in page
    assert "oak-&amp;-&lt;elm&gt;" in page
    assert "<elm>" not in page
    assert "Told &lt;Practice&gt;" in page


def test_charts_have_a_name_and_a_description_and_their_text_is_text(
    pipeline: "Pipeline", home: Path, tmp_path: Path
) -> None:
    customer = pipeline.customer("Charted Practice")
    for statement in FILL.split(";\n"):
        pipeline.execute(statement, c=str(customer))
    file = tmp_path / "report.html"
    words = [
        "report",
        "payer",
        "oak",
        "--customer",
        "Charted Practice",
        "--on",
        "2026-11-20",
        "--home",
        str(home),
    ]
    assert CliRunner().invoke(app, [*words, "--html", str(file)]).exit_code == 0
    page = file.read_text()
    charts = ["<svg" + part.partition("</svg>")[0] + "</svg>" for part in page.split("<svg")[1:]]
    assert len(charts) == 2
    ids: list[str] = []
    for chart in charts:
        tree = ET.fromstring(chart)  # noqa: S314 - our own page
        assert tree.get("role") == "img"
        texts = {e.get("id"): e.text or "" for e in tree.iter() if e.tag.endswith(("title", "desc"))}
        named = (tree.get("aria-labelledby") or "").split()
        assert len(named) == 2
        assert all(texts[name].strip() for name in named)
        assert [e for e in tree.iter() if e.tag.endswith("}text")], "labels are text, not outlines"
        ids += [e.get("id") or "" for e in tree.iter() if e.get("id")]
    assert len(ids) == len(set(ids)), "two charts of one page share no id"
    assert "change found" in charts[0]
    assert "baseline, 95 %" in charts[0]
    assert "45 of 150" not in charts[0]
    assert "In the last week" in charts[0]


def test_a_payer_that_nobody_knows_is_said_to_be_unknown(pipeline: "Pipeline", home: Path) -> None:
    pipeline.customer("Lonely Practice")
    words = ["report", "payer", "nobody", "--customer", "Lonely Practice", "--home", str(home)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "no payers are called" in result.output
