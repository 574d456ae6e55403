"""`upstream cost`: what a month on Google Cloud costs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.options import AsJson
from cli.output import show_json, show_table, tell

if TYPE_CHECKING:
    from cli.cost_model import Price

TABLE: Final = Path(__file__).parents[1] / "schemas" / "pricing.json"


def cost(
    customers: Annotated[int, typer.Option(min=1, help="Practices.")] = 50,
    claims_per_day: Annotated[int, typer.Option(min=0, help="Of each.")] = 200,
    months: Annotated[int, typer.Option(min=1, help="How long claims have been kept.")] = 12,
    as_json: AsJson = False,
) -> None:
    """Estimate a month in production, from the dated list prices in schemas/pricing.json."""
    from cli.cost_model import Workload, bill, scale_to_zero_saves

    prices = read_prices()
    lines = bill(Workload(customers, claims_per_day, months), prices)
    total = sum(line.usd for line in lines)
    fixed = sum(line.usd for line in lines if line.fixed)
    saved = scale_to_zero_saves(prices)
    if as_json:
        show_json(
            {
                "customers": customers,
                "claims_per_day": claims_per_day,
                "months": months,
                "usd": round(total, 2),
                "fixed_usd": round(fixed, 2),
                "scale_to_zero_saves_usd": round(saved, 2),
                "lines": [{**asdict(line), "usd": round(line.usd, 2)} for line in lines],
            }
        )
        return
    rows = [
        (line.name, f"{line.usd:,.2f}", f"{line.usd / total:.0%}", "yes" if line.fixed else "")
        for line in lines
    ]
    show_table(
        ["what", ">$ a month", ">share", "fixed"],
        [*rows, ("all", f"{total:,.2f}", "100%", f"{fixed:,.2f}")],
        title=f"{customers} customers, {claims_per_day} claims a day each, kept for {months} months",
    )
    tell(f"scaling to zero saves {saved:,.0f} $ a month against one always-on instance of every function")
    tell(f"{document()['note']} ({TABLE.name})")


def document() -> dict[str, Any]:
    """Return the price table as it is kept."""
    read: dict[str, Any] = json.loads(TABLE.read_text())
    return read


def read_prices() -> "dict[str, Price]":
    """Return the prices by name."""
    from cli.cost_model import Price

    return {name: Price(one["usd"], one.get("free", 0.0)) for name, one in document()["prices"].items()}
