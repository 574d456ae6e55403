"""The estimate follows the claims, and docs/cost.md says what the command says."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.cost import document, read_prices
from cli.cost_model import Price, Workload, bill, scale_to_zero_saves

PAGE = (Path(__file__).parents[3] / "docs" / "cost.md").read_text()
PRICES = read_prices()


def total(customers: int, claims_per_day: int = 200) -> float:
    return sum(line.usd for line in bill(Workload(customers, claims_per_day), PRICES))


def rows() -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    return {name.strip("*"): [cell.strip("* ") for cell in cells] for name, *cells in lines}


def test_every_price_has_a_date_and_a_page_it_was_read_on() -> None:
    for name, price in document()["prices"].items():
        assert price["as_of"].startswith("20"), name
        assert price["source"].startswith("https://cloud.google.com/"), name
        assert price["unit"], name
        assert price["usd"] > 0, name


@pytest.mark.parametrize("column", [0, 1, 2])
def test_the_page_has_the_figures_of_the_command(column: int) -> None:
    customers = (10, 50, 100)[column]
    told = json.loads(CliRunner().invoke(app, ["cost", "--customers", str(customers), "--json"]).stdout)
    page = rows()
    for line in told["lines"]:
        assert page[line["name"]][column] == f"{line['usd']:,.2f}"
    assert page["all"][column] == f"{told['usd']:,.2f}"
    assert page["of it fixed"][column] == f"{told['fixed_usd']:,.2f}"
    first = document()["first_design"]["by_customers_usd"][str(customers)]
    assert page["first design"][column] == f"{first:,}"
    assert f"${round(told['scale_to_zero_saves_usd'])} saved" in PAGE


def test_more_customers_and_more_claims_cost_more() -> None:
    assert total(10) < total(50) < total(100)
    assert total(50, 200) < total(50, 2_000)


def test_what_is_fixed_is_there_without_a_claim() -> None:
    idle = bill(Workload(1, 0), PRICES)
    assert {line.name for line in idle if line.usd > 1} <= {line.name for line in idle if line.fixed}


def test_a_dearer_price_makes_a_dearer_bill_whichever_it_is() -> None:
    """No price is read and left out: a table with one that nobody uses would look better kept than it is."""
    workload = Workload(1_000, 20_000)
    base = sum(line.usd for line in bill(workload, PRICES)) - scale_to_zero_saves(PRICES)
    for name, price in PRICES.items():
        dearer = {**PRICES, name: Price(price.usd * 2, price.free)}
        assert sum(line.usd for line in bill(workload, dearer)) - scale_to_zero_saves(dearer) != base, name


def test_the_table_for_people_says_what_the_claims_cost() -> None:
    result = CliRunner().invoke(app, ["cost", "--customers", "10"])
    assert result.exit_code == 0
    assert "database, two zones" in result.stdout
    assert "Read the sources again" in result.stderr
