"""The jobs at size: nightly baselines, a rebuild, a detection run; 200 customers, 40 payers, 300 procedures.

The daily sums are made by SQL, as `process_webhook` would have left them: 30,000 claims a day, procedures and payers
drawn unevenly (a few make most of a practice's claims). Each customer's share runs as it does in the pipeline, in its
own transaction as `upstream_app`, one after another in this process, whose memory is measured. DuckDB adds up the same
rows in one scan, without isolation, transactions or shrinkage: what the machine could do at best.
"""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import UUID, uuid5

import pg8000.dbapi
import psutil
from sqlalchemy import Engine, create_engine, text

from benchmarks.report import Figure, arguments, report
from local.postgres import OWNER, LocalPostgres
from shared.adapters.postgres.engine import build_engine
from shared.adapters.postgres.jobs.work import PostgresJobWork
from shared.adapters.postgres.record import tenant
from shared.domain.events import Event
from shared.domain.jobs import NOBODY, JobName, Run
from shared.handlers.jobs.baselines import build_risk_baselines
from shared.handlers.jobs.detect import detect_behavioral_changes
from shared.handlers.jobs.share import Done, Share
from shared.runtime.settings import Settings

CUSTOMERS: Final = 200
A_DAY: Final = 30_000
DAYS_AT_ONCE: Final = 8
MILLION: Final = 1_000_000
ON: Final = date(2026, 11, 20)
JOBS: Final = {
    "build_risk_baselines": build_risk_baselines,
    "detect_behavioral_changes": detect_behavioral_changes,
}

# One row a claim first, then its sums. Powers of a uniform number make few payers and procedures frequent.
DAYS = text("""
WITH claims AS (
    SELECT uuid_of.id AS customer_id,
        'payer-' || CAST(floor(40 * power(random(), 2)) AS integer) AS payer_key,
        CAST(10000 + floor(300 * power(random(), 3)) AS text) AS procedure,
        CAST(:first AS date) + CAST(floor(random() * CAST(:days AS integer)) AS integer) AS day,
        CAST(random() < 0.1 AS integer) AS denied, CAST(5000 + random() * 50000 AS bigint) AS charge_cents
    FROM generate_series(1, CAST(:n AS integer)) AS n
    JOIN bench_customers uuid_of ON uuid_of.nth = mod(n, CAST(:customers AS integer))
), stats AS (
    INSERT INTO claim_daily_stats AS s (
        customer_id, payer_key, procedure, day, decided, denied, charge_cents, paid_cents)
    SELECT customer_id, payer_key, procedure, day, count(*), sum(denied), sum(charge_cents), 0
    FROM claims GROUP BY 1, 2, 3, 4
    ON CONFLICT (customer_id, payer_key, procedure, day) DO UPDATE SET
        decided = s.decided + EXCLUDED.decided, denied = s.denied + EXCLUDED.denied,
        charge_cents = s.charge_cents + EXCLUDED.charge_cents, changed_tx = pg_current_xact_id()
), reasons AS (
    INSERT INTO claim_daily_reasons AS s (customer_id, day, payer_key, carc, procedure, denied, charge_cents)
    SELECT customer_id, day, payer_key, CAST(floor(20 * power(random(), 3)) AS text), procedure, 1, charge_cents
    FROM claims WHERE denied = 1
    ON CONFLICT DO NOTHING
)
INSERT INTO claim_lags AS s (customer_id, submitted_on, payer_key, lag_days, claims)
SELECT customer_id, day, payer_key, CAST(5 + floor(random() * 20) AS integer) AS lag_days, count(*)
FROM claims GROUP BY 1, 2, 3, 4
ON CONFLICT (customer_id, submitted_on, payer_key, lag_days) DO UPDATE SET claims = s.claims + EXCLUDED.claims
""")

YARDSTICK = """
SELECT customer_id, payer_key, procedure, sum(decided) AS n, sum(denied) AS d FROM sums
WHERE day > DATE '2026-11-20' - 180 GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """The database as the application sees it, and as its owner does, who waits as long as it takes."""

    app: Engine
    filler: Engine
    customers: list[UUID]

    def fill(self, first: date, days: int, n: int) -> None:
        """Add claims decided in some days, a few days at a time."""
        for at in range(0, days, DAYS_AT_ONCE):
            span = min(DAYS_AT_ONCE, days - at)
            asked = {"first": first + timedelta(days=at), "days": span, "n": n * span // days}
            with self.filler.begin() as connection:
                connection.exec_driver_sql("SET LOCAL work_mem = '128MB'")
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                connection.execute(DAYS, {**asked, "customers": CUSTOMERS})

    def settle(self) -> None:
        """Let the planner know, as autovacuum would have."""
        with self.filler.begin() as connection:
            connection.exec_driver_sql(
                "ANALYZE claim_daily_stats, claim_daily_reasons, claim_lags, risk_baselines"
            )

    def run(self, job: JobName, on: date, **options: str) -> "Cost":
        """Do every customer's share, and return what it cost, here and in PostgreSQL."""
        share: Callable[[Share], Done] = JOBS[job]
        run = Run(job, datetime(on.year, on.month, on.day, 2, tzinfo=UTC), options)
        with self.app.connect() as connection:  # the pool's newest, so the one that the shares use
            server = psutil.Process(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        began, spent = time.perf_counter(), _processor_s(server)
        for customer in self.customers:
            with tenant(self.app, customer) as connection:
                event = Event(uuid5(run.id, customer.hex), "job.task", "", "", run.slot, customer, b"")
                share(Share(run, event, {}, PostgresJobWork(connection, customer), run.slot))
        return Cost(time.perf_counter() - began, _processor_s(server) - spent)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that passed, and the processor's, here and in the server: on a busy machine only these compare."""

    passed_s: float
    processor_s: float

    def figures(self, name: str) -> Iterator[Figure]:
        """Return both."""
        yield Figure(name, self.passed_s, "s")
        yield Figure(f"{name}.processor", self.processor_s, "s")


def _processor_s(server: psutil.Process) -> float:
    used = server.cpu_times()
    return time.process_time() + used.user + used.system


@contextmanager
def bench() -> Iterator[Bench]:
    """Run PostgreSQL with 200 customers in it. Settings are its defaults but for what a server of 8 GiB would have."""
    with TemporaryDirectory(prefix="upstream-bench-") as folder:
        home = Path(folder)
        with LocalPostgres(home) as postgres:
            settings = postgres.prepare(Settings(home=home))
            app = build_engine(settings, user=settings.database_user, database=settings.database_name)
            socket = f"{settings.database}/.s.PGSQL.{settings.database_port}"
            connect = partial(
                pg8000.dbapi.connect, user=OWNER, database=settings.database_name, unix_sock=socket
            )
            filler = create_engine("postgresql+pg8000://", creator=connect)
            customers = [uuid5(NOBODY, str(nth)) for nth in range(CUSTOMERS)]
            with filler.begin() as connection:
                connection.exec_driver_sql("CREATE TABLE bench_customers (nth integer PRIMARY KEY, id uuid)")
                rows = [{"nth": nth, "id": str(customer)} for nth, customer in enumerate(customers)]
                connection.execute(text("INSERT INTO bench_customers VALUES (:nth, CAST(:id AS uuid))"), rows)
            yield Bench(app, filler, customers)
            for engine in (app, filler):
                engine.dispose()


def _measured(found: Bench, claims: int, filled_days: int, on: date) -> Iterator[Figure]:
    """Measure with this many claims behind us, then a day's more. on: a day of its own, so that builds go forward."""
    label = f"{claims / MILLION:g}M"
    found.settle()
    yield from found.run("build_risk_baselines", on, full="yes").figures(f"rebuild.{label}")
    found.fill(on + timedelta(days=1), 1, A_DAY)
    yield from found.run("build_risk_baselines", on + timedelta(days=1)).figures(f"nightly.{label}")
    yield from found.run("detect_behavioral_changes", on + timedelta(days=1)).figures(f"detection.{label}")
    yield Figure(f"history.{label}", filled_days, "days")


def _yardstick(found: Bench, label: str) -> Iterator[Figure]:
    with found.filler.begin() as connection, TemporaryDirectory() as folder:
        rows = connection.execute(
            text("SELECT customer_id, payer_key, procedure, day, decided, denied FROM claim_daily_stats")
        )
        file = Path(folder) / "sums.csv"
        with file.open("w") as out:
            out.writelines(",".join(map(str, row)) + "\n" for row in rows.yield_per(10_000))
        duck = import_module("duckdb").connect()
        duck.execute("SET threads TO 1")
        duck.execute(
            "CREATE TABLE sums AS SELECT * FROM read_csv(?, header = false, names = ['customer_id', 'payer_key',"
            " 'procedure', 'day', 'decided', 'denied'], types = {'procedure': 'VARCHAR', 'day': 'DATE'})",
            [str(file)],
        )
        began = time.perf_counter()
        duck.execute(YARDSTICK).fetchall()
        yield Figure(f"duckdb.180_days.{label}", time.perf_counter() - began, "s")


def main() -> None:
    """Measure, print, and write the figures."""
    given = arguments("jobs", str(__doc__))
    sizes = (60_000,) if given.quick else (MILLION, 3 * MILLION, 10 * MILLION)
    figures: list[Figure] = []
    with bench() as found:
        done = days = 0
        for nth, size in enumerate(sizes):
            more = max(1, (size - done) // A_DAY)
            found.fill(ON - timedelta(days=days + more - 1), more, size - done)
            done, days = size, days + more
            figures += _measured(found, size, days, ON + timedelta(days=2 * nth))
        figures.append(
            Figure("memory.peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MiB")
        )
        figures += _yardstick(found, "all")
    report("jobs", figures, given.json, title="Jobs, 200 customers, 40 payers, 300 procedures")


if __name__ == "__main__":
    main()
