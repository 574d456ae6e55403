"""From a payer's POST to the audit trail: sustained deliveries a second, and latency at half the aim.

Embedded, starter rules on, everything on this machine: PostgreSQL, two function processes, the broker and the load
generator share its cores. A delivery is a one-claim remittance, four in five paid and one denied; it makes one domain
event, which is decided and audited. `cpu.*` is processor time a delivery: other work on the machine does not change
it much, while it halves the rates.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import uvloop
from sqlalchemy import Engine, TextClause, text

from benchmarks.load import Measured, closed_loop, open_loop
from benchmarks.payloads import remittance
from benchmarks.processor_time import spent_s
from benchmarks.report import Figure, arguments, quantile, report
from benchmarks.targets import Target, apply_starter_rules, embedded
from shared.runtime.bootstrap import App

HALF_THE_AIM = 200.0

AUDITED = text("SELECT count(*) FROM executions WHERE created_at >= to_timestamp(:since)")

END_TO_END = text("""
SELECT 1000 * extract(epoch FROM max(e.created_at) - min(i.event_at)) AS ms
FROM executions e JOIN inbox i ON i.trace_id = e.trace_id AND i.consumer = 'process_webhook'
WHERE i.event_at >= to_timestamp(:since)
GROUP BY e.trace_id
""")

HOPS = text("""
SELECT consumer, 1000 * extract(epoch FROM processed_at - event_at) AS ms FROM inbox
WHERE event_at >= to_timestamp(:since)
""")


def main() -> None:
    """Measure, print, and write the figures."""
    given = arguments("pipeline", str(__doc__))
    count, seconds = (600, 3) if given.quick else (8_000, 20)
    with embedded(hosts=2) as target:
        apply_starter_rules(target)
        record = _operator(target)
        _send(target, 300)
        _drain(target)
        figures = _sustained(target, record, count)
        figures += _paced(target, record, seconds)
        record.dispose()
    report(
        "pipeline", figures, given.json, title="Pipeline, HTTP to audit trail (embedded, starter rules on)"
    )


def _sustained(target: Target, record: Engine, count: int) -> list[Figure]:
    since = time.time()
    before = spent_s(target)
    started = time.perf_counter()
    sent = _send(target, count)
    ingress_s = time.perf_counter() - started
    _drain(target)
    elapsed = time.perf_counter() - started
    spent = {part: after - before[part] for part, after in spent_s(target).items()}
    decided = _scalars(record, AUDITED, since)[0]
    if sent.statuses != {202: count} or decided < count:
        raise RuntimeError(f"{sent.statuses}, {decided} audit rows for {count} deliveries")
    return [
        Figure("sustained.deliveries", count / elapsed, "1/s"),
        Figure("sustained.accepted", count / ingress_s, "1/s"),
        *(Figure(f"cpu.{part}", 1000 * seconds / count, "ms") for part, seconds in spent.items()),
        Figure("cpu.all", 1000 * sum(spent.values()) / count, "ms"),
    ]


def _paced(target: Target, record: Engine, seconds: int) -> list[Figure]:
    since = time.time()
    bodies = [remittance(1_000_000 + i) for i in range(int(HALF_THE_AIM * seconds))]
    sent = target.requests(bodies, content_type="application/edi-x12")
    run = uvloop.run(open_loop(target.port, sent, per_s=HALF_THE_AIM))
    _drain(target)
    figures = _latency("paced.ingress", [1000 * s for s in run.latencies_s])
    figures += _latency("paced.end_to_end", _scalars(record, END_TO_END, since))
    with record.begin() as connection:
        hops = connection.execute(HOPS, {"since": since}).all()
    for consumer in sorted({row.consumer for row in hops}):
        figures += _latency(f"paced.{consumer}", [float(row.ms) for row in hops if row.consumer == consumer])
    return figures


def _latency(stem: str, ms: Sequence[float]) -> list[Figure]:
    return [Figure(f"{stem}.p{share}", quantile(ms, share / 100), "ms") for share in (50, 95)]


def _send(target: Target, count: int) -> Measured:
    first = int(time.time() * 1000)
    bodies = [remittance(first + i) for i in range(count)]
    sent = target.requests(bodies, content_type="application/edi-x12")
    return uvloop.run(closed_loop(target.port, sent, concurrency=32))


def _drain(target: Target) -> None:
    if target.runtime is None or not target.runtime.drained(timeout_s=300):
        raise RuntimeError("the pipeline did not drain")


def _operator(target: Target) -> Engine:
    assert target.runtime is not None  # noqa: S101 - embedded targets have one
    return App(replace(target.runtime.runtime.settings, database_user="upstream_operator")).engine


def _scalars(record: Engine, statement: TextClause, since: float) -> list[float]:
    with record.begin() as connection:
        return [float(value) for value in connection.execute(statement, {"since": since}).scalars()]


if __name__ == "__main__":
    main()
