"""Which rate of deliveries ingress holds with p99 below 250 ms, and where latency turns: an open loop at rising rates.

Arrivals are random (Poisson) and do not wait for replies; latency counts from when a delivery was due. `memory` is
`receive_webhook` on ports in memory, `embedded` the same on PostgreSQL with nobody taking the messages, `pipeline` all
of the local pipeline, whose consumers share the machine's cores with ingress and with this load generator.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import uvloop
from rich.console import Console

from benchmarks.arrivals import Step, poisson, send
from benchmarks.capacity import BISECTIONS, SHARES, histogram, holds, knee, narrowed, sustained, sweep
from benchmarks.load import closed_loop
from benchmarks.load_plot import plot
from benchmarks.payloads import remittance
from benchmarks.report import Figure, arguments, quantile, report
from benchmarks.targets import Target, embedded, hosted

PICTURE = Path("build/loadtest.svg")
BAR = 40


class Size(NamedTuple):
    """How much is measured. closed: requests that find the capacity. most: requests in one step, whatever its rate."""

    closed: int
    duration_s: float
    most: int
    shares: Sequence[float]
    bisections: int


FULL = Size(closed=3_000, duration_s=10.0, most=40_000, shares=SHARES, bisections=BISECTIONS)
QUICK = Size(closed=300, duration_s=1.0, most=1_500, shares=(0.2, 0.6, 1.25), bisections=1)


def main() -> None:
    """Measure, print, draw, and write the figures."""
    given = arguments("loadtest", str(__doc__))
    size = QUICK if given.quick else FULL
    measured: dict[str, list[Step]] = {}
    capacity: dict[str, float] = {}
    for name in ("memory", "embedded", "pipeline"):
        with ExitStack() as stack:
            target = _target(name, stack)
            capacity[name] = _capacity(target, size)
            measured[name] = _measured(target, capacity[name], size)
    _show_histograms(measured)
    picture = PICTURE if given.json is None else given.json.with_suffix(".svg")
    plot(measured, picture)
    title = f"Open loop on {os.cpu_count()} cores, {size.duration_s:g} s a rate; picture: {picture}"
    report("loadtest", _figures(measured, capacity), given.json, title=title)


def _target(name: str, stack: ExitStack) -> Target:
    if name == "memory":
        return stack.enter_context(hosted("memory"))
    return stack.enter_context(embedded(ingress_only=name == "embedded"))


def _capacity(target: Target, size: Size) -> float:
    """Return what a closed loop over 64 connections reaches; its first run warms up."""
    best = 0.0
    for _ in range(2):
        sent = target.requests(
            [remittance(n) for n in range(size.closed)], content_type="application/edi-x12"
        )
        best = uvloop.run(closed_loop(target.port, sent, concurrency=64)).per_s
        _drain(target)
    return best


def _measured(target: Target, capacity_per_s: float, size: Size) -> list[Step]:
    def measure(per_s: float) -> Step:
        due_s = poisson(per_s, size.duration_s, seed=round(per_s), most=size.most)
        bodies = [remittance(n) for n in range(len(due_s))]
        step = uvloop.run(
            send(target.port, target.requests(bodies, content_type="application/edi-x12"), due_s, per_s=per_s)
        )
        _drain(target)
        return step

    steps = sweep(capacity_per_s, measure, shares=size.shares)
    return [*steps, *narrowed(steps, measure, bisections=size.bisections)]


def _drain(target: Target) -> None:
    """Let consumers take what a step left, so that the next one begins with nothing in the way."""
    if target.runtime is not None and hasattr(target.runtime.runtime, "queue"):
        target.runtime.drained(timeout_s=120)


def _figures(measured: Mapping[str, Sequence[Step]], capacity: Mapping[str, float]) -> list[Figure]:
    figures = []
    for name, steps in measured.items():
        figures += [
            Figure(f"{name}.sustained", sustained(steps), "1/s"),
            Figure(f"{name}.knee", knee(steps), "1/s"),
            Figure(f"{name}.closed_loop.c64", capacity[name], "1/s"),
        ]
        for step in sorted(steps, key=lambda step: step.asked_per_s):
            stem = f"{name}.at{round(100 * step.asked_per_s / capacity[name])}"
            figures += [
                Figure(f"{stem}.asked", step.asked_per_s, "1/s"),
                Figure(f"{stem}.answered", step.answered_per_s, "1/s"),
                *(
                    Figure(f"{stem}.p{share:g}", quantile(step.latencies_s, share / 100) * 1000, "ms")
                    for share in (50, 95, 99, 99.9)
                ),
                Figure(f"{stem}.service_p99", quantile(step.service_s, 0.99) * 1000, "ms"),
                Figure(f"{stem}.unanswered", step.unanswered, "requests"),
                Figure(f"{stem}.holds", float(holds(step)), "0 or 1"),
            ]
    return figures


def _show_histograms(measured: Mapping[str, Sequence[Step]]) -> None:
    out = Console()
    for name, steps in measured.items():
        rate = sustained(steps)
        step = next((step for step in steps if step.asked_per_s == rate), None)
        if step is None:
            out.print(f"{name}: no rate held")
            continue
        out.print(f"\n{name} at {rate:,.0f} a second, ms from due to answered:")
        buckets = histogram(step.latencies_s)
        most = max(inside for _, inside in buckets)
        for end, inside in buckets:
            out.print(f"  < {end * 1000:>8g}  {inside:>7,}  {'█' * round(BAR * inside / most)}")


if __name__ == "__main__":
    main()
