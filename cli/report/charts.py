"""Charts as SVG that can be read aloud: a title, a description with the figures' gist, and text that stays text."""

import io
import re
from collections.abc import Callable, Sequence
from datetime import date
from html import escape
from typing import TYPE_CHECKING, Final

from cli.report.history import FoundChange, PayerHistory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, BAND, MARK = "#1f3a5f", "#b9cde4", "#a4262c"  # told apart in grey, too
OF_RATES: Final = frozenset({"denial_rate", "denial_rate_procedure", "denial_reason", "network"})


def rate_chart(history: PayerHistory) -> str:
    """Return the denial rate by week, over the band that it was believed to lie in, with the days of changes."""
    weeks = history.weeks

    def draw(axes: "Axes") -> None:
        known = [b for b in history.beliefs if weeks and b.since >= weeks[0].begins_on]
        if known:
            days = _places([*(b.since for b in known), history.on])
            low, high = (
                [*edge, edge[-1]] for edge in ([100 * b.low for b in known], [100 * b.high for b in known])
            )
            axes.fill_between(days, low, high, step="post", color=BAND, label="baseline, 95 %")
        rates = [100 * w.rate for w in weeks]
        axes.plot(_places([w.begins_on for w in weeks]), rates, color=INK, marker="o", label="denied")
        axes.set_ylabel("denied, % of decided claims")
        axes.set_ylim(bottom=0)
        _mark(axes, [c for c in history.changes if c.kind in OF_RATES])

    last = f" In the last week {weeks[-1].denied} of {weeks[-1].decided} were denied." if weeks else ""
    text = f"Share of claims denied by week of decision, {len(weeks)} weeks up to {history.on}.{last}"
    return _svg("rate", "Denial rate by week", text, draw)


def speed_chart(history: PayerHistory) -> str:
    """Return the median days to a decision by week of submission."""
    told = [(s.begins_on, s.median_days) for s in history.speeds if s.median_days is not None]

    def draw(axes: "Axes") -> None:
        days = _places([day for day, _ in told])
        axes.plot(days, [n for _, n in told], color=INK, marker="s", label="median")
        axes.set_ylabel("days from submission to decision")
        axes.set_ylim(bottom=0)
        _mark(axes, [c for c in history.changes if c.kind == "payment_delay"])

    last = f" It was {told[-1][1]} days in the week of {told[-1][0]}." if told else " No week has one yet."
    return _svg("speed", "Days to a decision by week", f"Median by week of submission.{last}", draw)


def _mark(axes: "Axes", changes: Sequence[FoundChange]) -> None:
    days = sorted({change.first_seen_on for change in changes})
    for nth, place in enumerate(_places(days)):
        axes.axvline(place, color=MARK, linestyle="--", label="" if nth else "change found")


def _places(days: Sequence[date]) -> list[float]:
    """Return where days stand on an axis of dates."""
    from matplotlib.dates import date2num

    return [float(date2num(day)) for day in days]  # type: ignore[no-untyped-call]


def _svg(name: str, title: str, description: str, draw: Callable[["Axes"], None]) -> str:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.xaxis_date()
        draw(axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper left", frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.autofmt_xdate()
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return _told(out.getvalue(), name, title, description)


def _told(svg: str, name: str, title: str, description: str) -> str:
    """Give the picture what a screen reader says of it, and ids of its own on a page with several."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    head = f'<svg role="img" aria-labelledby="{name}-title {name}-desc"'
    spoken = (
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    )
    return re.sub(r">", f">{spoken}", svg.replace("<svg", head, 1), count=1)
