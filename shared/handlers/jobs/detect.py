"""`detect_behavioral_changes`: what a customer's payers do otherwise than before."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, Final
from uuid import UUID

import orjson

from shared.domain.detection import LEAST_N, LEVEL, LONGEST_DAYS, Rise, Shift, outermost, rises, shifts
from shared.domain.drift import DailyRatios, paid_shares
from shared.domain.events import Event, Outgoing
from shared.domain.findings import Change, Finding, changes, finding_id
from shared.domain.ids import derive
from shared.domain.jobs import trace_of
from shared.domain.slowdown import SlowDown, WeekOfClaims, present_days, slow_down_p, slow_downs
from shared.domain.statistics import false_discovery
from shared.handlers.jobs.share import Done, Share
from shared.ports.jobs import JobWork, Signal

SIGNIFICANT_DIGITS: Final = 6


def detect_behavioral_changes(share: Share) -> Done:
    """Open, update and close the customer's findings, and tell of what is new.

    Raises:
        TransientError: the database is away or busy.
    """
    work, on, customer_id = share.work, share.run.on, share.event.customer_id
    series, tested = work.denial_series(on)
    weeks, ratios = work.weeks_of_claims(on), work.daily_ratios(on)
    slower, payers = _slower(work, weeks, on)
    dropped = [one for one in ratios if one.dropped]
    tested += payers + sum(one.tested for one in ratios)
    risen, delays, drops = _sure(rises(series), slower, dropped, tested=tested)
    seen = [
        *(_of_denials(shift, work, on, customer_id) for shift in outermost(risen)),
        *(_of_delay(slow, p, q, on, customer_id) for slow, p, q in delays),
        *(_of_payment(drop, q, on, customer_id) for drop, q in drops),
    ]
    open_now = work.open_findings()
    known = [finding for finding in open_now if finding.kind != "network"]
    found = changes(known, seen, _present(known, work, weeks, ratios, on), on=on)
    work.keep_findings([change.finding for change in found], run_id=share.run.id)
    return Done(
        counts={
            "tests": tested,
            **tally(found),
            "network_open": len(open_now) - len(known),
        },
        outgoing=tuple(told(change, share) for change in found if change.event),
        signals=tuple(
            Signal(derive(customer_id, "network"), s.series.payer_key, s.series.subject)
            for s in risen
            if s.series.kind == "denial_reason"
        ),
    )


def _sure(
    risen: Sequence[Rise],
    slower: Sequence[tuple[SlowDown, float]],
    dropped: Sequence[DailyRatios],
    *,
    tested: int,
) -> tuple[list[Shift], list[tuple[SlowDown, float, float]], list[tuple[DailyRatios, float]]]:
    """Return what is sure of all that one run tested, together: false discoveries are held over the three kinds."""
    p_values = [*(rise.p for rise in risen), *(p for _, p in slower), *(drop.p for drop in dropped)]
    q_values = false_discovery(p_values, tested=tested)
    after_rises, after_delays = len(risen), len(risen) + len(slower)
    delays = zip(slower, q_values[after_rises:after_delays], strict=True)
    drops = zip(dropped, q_values[after_delays:], strict=True)
    return (
        shifts(zip(risen, q_values[:after_rises], strict=True)),
        [(slow, p, q) for (slow, p), q in delays if q <= LEVEL],
        [(drop, q) for drop, q in drops if q <= LEVEL],
    )


def _present(
    known: Sequence[Finding],
    work: JobWork,
    weeks: Sequence[WeekOfClaims],
    ratios: Sequence[DailyRatios],
    on: date,
) -> dict[UUID, float]:
    """Return what the open findings are about as it is now, where there is enough to say."""
    present = {finding: rate for finding, (rate, n) in work.current_rates(known, on).items() if n >= LEAST_N}
    days, shares = present_days(weeks), paid_shares(ratios)
    for finding in known:
        if finding.kind == "payment_delay" and finding.payer_key in days:
            present[finding.id] = days[finding.payer_key]
        elif finding.kind == "underpayment" and (finding.payer_key, finding.subject) in shares:
            present[finding.id] = shares[finding.payer_key, finding.subject]
    return present


def tally(found: Sequence[Change]) -> Mapping[str, int]:
    """Return how many findings were opened, updated and closed."""
    events = [change.event for change in found]
    return {
        "opened": events.count("payer.change_detected"),
        "updated": events.count("payer.change_updated"),
        "closed": events.count("payer.change_closed"),
    }


def _of_denials(shift: Shift, work: JobWork, on: date, customer_id: UUID) -> Finding:
    series = shift.series
    key = (series.kind, series.payer_key, series.subject)
    return Finding(
        id=finding_id(customer_id, key, on),
        kind=series.kind,
        payer_key=series.payer_key,
        subject=series.subject,
        first_seen_on=on,
        last_seen_on=on,
        baseline=shift.baseline,
        current=shift.current,
        n=shift.n,
        told=shift.current,
        low=shift.low,
        high=shift.high,
        p=shift.p,
        q=shift.q,
        at_stake_cents=shift.at_stake_cents,
        detail={
            "window_days": shift.window_days,
            "baseline_n": round(series.past.counts.n),
            "design_effect": round(series.past.design_effect, 2),
            **work.affected(payer_key=series.payer_key, on=on),
        },
    )


def _slower(
    work: JobWork, weeks: Sequence[WeekOfClaims], on: date
) -> tuple[list[tuple[SlowDown, float]], int]:
    """Return the payers that may have become slower, with p, and how many were looked at."""
    slower, looked_at = slow_downs(weeks)
    return [
        (slow, slow_down_p(work.life_table(payer_key=slow.payer_key, on=on), first_week=slow.first_week))
        for slow in slower
    ], looked_at


def _of_delay(slow: SlowDown, p: float, q: float, on: date, customer_id: UUID) -> Finding:
    return Finding(
        id=finding_id(customer_id, ("payment_delay", slow.payer_key, ""), on),
        kind="payment_delay",
        payer_key=slow.payer_key,
        subject="",
        first_seen_on=on,
        last_seen_on=on,
        baseline=slow.baseline_days,
        current=slow.current_days,
        n=slow.n,
        told=slow.current_days,
        p=p,
        q=q,
        detail={"window_days": 7 * (slow.first_week + 1)},
    )


def _of_payment(ratios: DailyRatios, q: float, on: date, customer_id: UUID) -> Finding:
    error = ratios.error
    return Finding(
        id=finding_id(customer_id, ("underpayment", ratios.payer_key, ratios.procedure), on),
        kind="underpayment",
        payer_key=ratios.payer_key,
        subject=ratios.procedure,
        first_seen_on=on,
        last_seen_on=on,
        baseline=ratios.past_mean,
        current=ratios.now_mean,
        n=ratios.n,
        told=ratios.now_mean,
        low=ratios.now_mean - 2 * error,
        high=ratios.now_mean + 2 * error,
        p=ratios.p,
        q=q,
        at_stake_cents=max(0, ratios.short_cents),
        detail={"window_days": LONGEST_DAYS, "procedures": [ratios.procedure], "carcs": []},
    )


def told(change: Change, share: Share) -> Outgoing:
    """Return the domain event that rules are asked about. It carries codes and sums, and no patient."""
    finding = change.finding
    assert change.event is not None  # noqa: S101 - for the type: the caller tells of those alone
    return Outgoing(
        "domain-events",
        Event(
            id=derive(finding.id, change.event, share.run.id),
            type=change.event,
            source="/functions/run_job_task",
            subject=f"findings/{finding.id}",
            time=share.now,
            customer_id=share.event.customer_id,
            data=orjson.dumps({"change": facts(finding)}),
            trace_parent=trace_of(finding.id),
            parent_id=share.event.id,
        ),
    )


def facts(finding: Finding) -> dict[str, Any]:
    """Return the finding by the names of `schemas/rules/facts.json`."""
    row = asdict(finding)
    of_procedure = finding.kind in ("denial_rate_procedure", "underpayment")
    rounded = {name: _rounded(row[name]) for name in ("baseline", "current", "low", "high", "p", "q")}
    plain = ("id", "kind", "state", "n", "at_stake_cents", "first_seen_on", "closed_on", "closed_why")
    return {
        **{name: row[name] for name in plain},
        **rounded,
        "payer_id": finding.payer_key,
        "procedure": finding.subject if of_procedure else None,
        "carc": finding.subject if finding.kind in ("denial_reason", "network") else None,
        "procedures": finding.detail.get("procedures", []),
        "carcs": finding.detail.get("carcs", []),
        "customers": finding.detail.get("customers"),
        "window_days": finding.detail.get("window_days", 0),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{SIGNIFICANT_DIGITS}g}")
