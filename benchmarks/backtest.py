"""A back-test over stored events: a draft beside the rules in force, read from a database made for it."""

import json
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

import psutil
from sqlalchemy import Engine, text

from benchmarks.report import Figure, arguments, report
from benchmarks.rule_load import claim_event, rule_documents
from local.postgres import LocalPostgres
from shared.adapters.postgres.archive import PostgresEventArchive
from shared.adapters.postgres.engine import build_engine
from shared.domain.spending import Controls
from shared.handlers.backtest import Past
from shared.rules.indexed import IndexedRules
from shared.rules.language import parse_rule
from shared.runtime.settings import Settings

FIRST = date(2026, 1, 1)
DAYS = 90
CHUNK = 20_000

STORE = text("""
INSERT INTO outbox (id, customer_id, consumer, parent_id, topic, event_type, trace_id, attributes, data, created_at)
SELECT gen_random_uuid(), CAST(:customer AS uuid), 'process_webhook', gen_random_uuid(), 'domain-events',
    'claim.denied', '', '{}', convert_to(CAST(e.event AS text), 'UTF8'),
    CAST(:first AS timestamptz) + (CAST(:offset AS bigint) + e.nth) * interval '1 day' * :days / CAST(:total AS bigint)
FROM jsonb_array_elements(CAST(:events AS jsonb)) WITH ORDINALITY AS e(event, nth)
""")


def main() -> None:
    """Fill a database, back-test over it, print, and write the figures."""
    given = arguments("backtest", str(__doc__))
    total = 20_000 if given.quick else 1_000_000
    random = Random(7)
    live = [parse_rule(document) for document in rule_documents(random, 200)]
    draft = [parse_rule(document) for document in rule_documents(random, 200)]
    customer = uuid4()
    with tempfile.TemporaryDirectory() as folder, LocalPostgres(Path(folder)) as postgres:
        settings = postgres.prepare(Settings(home=Path(folder)))
        engine = build_engine(settings, user="upstream_operator", database=settings.database_name)
        _fill(engine, str(customer), total, random)
        archive = PostgresEventArchive(engine)
        last = FIRST + timedelta(days=DAYS)
        process = psutil.Process()
        before, most = process.memory_info().rss, 0
        started, began_cpu = time.perf_counter(), time.process_time()
        past = Past(IndexedRules(draft), IndexedRules(live), Controls())
        counted = archive.count(customer, since=FIRST, until=last)
        played = 0
        for count in past.play(archive.pages(customer, since=FIRST, until=last)):
            played += count
            most = max(most, process.memory_info().rss)
        elapsed_s, cpu_s = time.perf_counter() - started, time.process_time() - began_cpu
        engine.dispose()
    if not played == counted == past.comparison.events == total:
        raise RuntimeError(f"{played} of {total} events were played")
    fired = sum(sum_.times for sum_ in past.comparison.draft.by_payer.values())
    figures = [
        Figure("backtest.events", total, ""),
        Figure("backtest.rules", len(draft) + len(live), ""),
        Figure("backtest.elapsed", elapsed_s, "s"),
        Figure("backtest.own_processor", cpu_s, "s"),
        Figure("backtest.per_event", elapsed_s / total * 1e6, "µs"),
        Figure("backtest.draft_fired", fired, "decisions"),
        Figure("backtest.memory_grown", (most - before) / 2**20, "MB"),
    ]
    report("backtest", figures, given.json, title="A draft of 200 rules beside 200 in force")


def _fill(engine: Engine, customer: str, total: int, random: Random) -> None:
    for offset in range(0, total, CHUNK):
        events = [claim_event(random) for _ in range(min(CHUNK, total - offset))]
        with engine.begin() as connection:
            connection.execute(
                STORE,
                {
                    "customer": customer,
                    "first": datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC).isoformat(),
                    "offset": offset,
                    "days": DAYS,
                    "total": total,
                    "events": json.dumps(events),
                },
            )


if __name__ == "__main__":
    main()
