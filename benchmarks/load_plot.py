"""The load test's picture: latency by rate, and at the sustained rate how replies are spread."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.arrivals import Step
from benchmarks.capacity import LIMIT_S, histogram, knee, sustained
from benchmarks.report import quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1f6feb", "#d1242f", "#1a7f37")


def plot(measured: Mapping[str, Sequence[Step]], to: Path) -> None:
    """Write an SVG. measured: steps by what was measured."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and wanted at the end only
    from matplotlib.figure import Figure  # noqa: PLC0415 - ditto

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "loadtest", "font.family": "sans-serif"}):
        figure = Figure(figsize=(11, 4.5), layout="constrained")
        by_rate, spread = figure.subplots(1, 2)
        _draw(by_rate, spread, measured)
        to.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(to, format="svg", metadata={"Date": None, "Creator": None})


def _draw(by_rate: "Axes", spread: "Axes", measured: Mapping[str, Sequence[Step]]) -> None:
    for colour, (name, steps) in zip(COLOURS, measured.items(), strict=False):
        _by_rate(by_rate, name, steps, colour)
        _spread(spread, name, steps, colour)
    by_rate.axhline(LIMIT_S * 1000, color="#57606a", linewidth=0.8)
    by_rate.set(xlabel="requests a second, as they were due", ylabel="ms from due to answered", yscale="log")
    by_rate.set_title("p50 (thin), p99 (thick); ▼ knee, ● sustained", fontsize=10)
    spread.set(xlabel="ms from due to answered", ylabel="share of replies", xscale="log")
    spread.set_title("at the sustained rate", fontsize=10)
    for axes in (by_rate, spread):
        axes.legend(fontsize=8, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)


def _by_rate(axes: "Axes", name: str, steps: Sequence[Step], colour: str) -> None:
    ordered = sorted(steps, key=lambda step: step.asked_per_s)
    rates = [step.asked_per_s for step in ordered]
    p99 = {step.asked_per_s: quantile(step.latencies_s, 0.99) * 1000 for step in ordered}
    axes.plot(rates, [quantile(s.latencies_s, 0.5) * 1000 for s in ordered], color=colour, linewidth=0.8)
    axes.plot(rates, [p99[rate] for rate in rates], color=colour, linewidth=1.8, label=name)
    for rate, mark in ((knee(steps), "v"), (sustained(steps), "o")):
        if rate:
            axes.plot([rate], [p99[rate]], mark, color=colour, markersize=8)


def _spread(axes: "Axes", name: str, steps: Sequence[Step], colour: str) -> None:
    held = next((step for step in steps if step.asked_per_s == sustained(steps)), None)
    if held is None:
        return
    buckets = histogram(held.latencies_s)
    count = len(held.latencies_s)
    ends = [end * 1000 for end, _ in buckets]
    label = f"{name}, {held.asked_per_s:,.0f}/s"
    axes.step(ends, [inside / count for _, inside in buckets], where="pre", color=colour, label=label)
