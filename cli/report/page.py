"""The report as one HTML file: no script, no picture and no style from anywhere else, and fit to be printed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.report.charts import rate_chart, speed_chart
from cli.report.history import FoundChange, PayerHistory
from shared.domain.money import dollars

TEMPLATE: Final = Path(__file__).with_name("page.html")
KINDS: Final = {
    "denial_rate": "Denials rose",
    "denial_rate_procedure": "Denials of a procedure rose",
    "denial_reason": "A denial reason rose",
    "payment_delay": "Decisions take longer",
    "underpayment": "Paid below the fee schedule",
    "network": "The same reason rose at several practices",
}


@dataclass(frozen=True, slots=True)
class Table:
    """Columns that begin with `>` are numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


def page(history: PayerHistory) -> str:
    """Return the whole page."""
    from jinja2 import Environment

    template = Environment(autoescape=True, trim_blocks=True).from_string(
        TEMPLATE.read_text(encoding="utf-8")
    )
    return template.render(
        history=history,
        summary=summary(history),
        rate_chart=rate_chart(history),
        speed_chart=speed_chart(history),
        changes=changes(history),
        reasons=reasons(history),
        weeks=weeks(history),
    )


def summary(history: PayerHistory) -> str:
    """Return the whole of it in two sentences."""
    decided = sum(week.decided for week in history.weeks)
    denied = sum(week.denied for week in history.weeks)
    paid = sum(week.paid_cents for week in history.weeks)
    still = sum(change.state == "open" for change in history.changes)
    share = f"{100 * denied / decided:.1f} %" if decided else "none"
    return (
        f"{decided:,} claims were decided, {denied:,} of them denied ({share}); {dollars(paid)} was paid."
        f" Changes found: {len(history.changes)}; still open: {still}."
    )


def changes(history: PayerHistory) -> Table:
    """Return what was found of the payer."""
    columns = ("first seen", "what", "about", ">before", ">now", ">at stake", "state")
    return Table(columns, [_change(change) for change in history.changes])


def reasons(history: PayerHistory) -> Table:
    """Return the most frequent reasons of denials."""
    rows = [(r.carc or "none given", f"{r.denied:,}", dollars(r.charge_cents)) for r in history.reasons]
    return Table(("reason", ">claims", ">charged"), rows)


def weeks(history: PayerHistory) -> Table:
    """Return the weeks, the newest first."""
    rows = [
        (
            *(week.begins_on, f"{week.decided:,}", f"{week.denied:,}", f"{100 * week.rate:.1f} %"),
            *(dollars(week.charge_cents), dollars(week.paid_cents)),
        )
        for week in reversed(history.weeks)
    ]
    return Table(("week of", ">decided", ">denied", ">rate", ">charged", ">paid"), rows)


def _change(change: FoundChange) -> Sequence[object]:
    return (
        change.first_seen_on,
        KINDS.get(change.kind, change.kind),
        change.subject,
        "" if change.kind == "network" else _figure(change.kind, change.baseline),
        _figure(change.kind, change.current),
        "" if change.at_stake_cents is None else dollars(change.at_stake_cents),
        change.state if change.closed_on is None else f"{change.closed_why} {change.closed_on}",
    )


def _figure(kind: str, value: float) -> str:
    if kind == "payment_delay":
        return f"{value:.0f} days"
    return f"{value:.0f} or more" if kind == "network" else f"{100 * value:.1f} %"
