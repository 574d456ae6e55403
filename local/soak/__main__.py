"""`python -m local.soak`: both runs, the tables, and exit code 1 if anything differs."""

import argparse
import asyncio
import logging
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from local.soak.deliveries import mix
from local.soak.play import Load, play
from local.soak.report import show
from local.soak.trouble import Plan
from local.soak.verdict import broken, findings


def main() -> int:
    """Return the exit code."""
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)  # each lost connection, at length
    usual = Plan()
    parser = argparse.ArgumentParser(prog="python -m local.soak", description=__doc__)
    parser.add_argument(
        "-n", type=int, default=5_000, help="deliveries, a hundred or more (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=2026, help="of the deliveries and of the trouble")
    parser.add_argument("--hosts", type=int, default=2, help="function processes")
    parser.add_argument("--kill-every-s", type=float, default=usual.kill_every_s)
    parser.add_argument(
        "--postgres-s", type=float, default=usual.postgres_s, help="how long PostgreSQL is away"
    )
    parser.add_argument("--broker-s", type=float, default=usual.broker_s, help="how long the broker hangs")
    parser.add_argument(
        "--home", type=Path, help="an empty folder to keep both runs in; without it they are removed"
    )
    asked = parser.parse_args()
    plan = Plan(
        kill_every_s=asked.kill_every_s, postgres_s=asked.postgres_s, broker_s=asked.broker_s, seed=asked.seed
    )
    if asked.home is not None:
        return soak(asked.n, asked.seed, plan, asked.home, hosts=asked.hosts)
    with tempfile.TemporaryDirectory(prefix="upstream-soak-") as folder:
        return soak(asked.n, asked.seed, plan, Path(folder), hosts=asked.hosts)


def soak(n: int, seed: int, plan: Plan, home: Path, *, hosts: int) -> int:
    """Play `n` deliveries undisturbed and disturbed, print what came of it, and return the exit code."""
    deliveries, months = mix(n, seed=seed, today=datetime.now(UTC).date())
    load = Load(deliveries, months, seed, plan)
    runs = []
    for name, disturbed in (("undisturbed", False), ("disturbed", True)):
        folder = home / name
        folder.mkdir(parents=True)
        runs.append(asyncio.run(play(folder, load, disturbed=disturbed, hosts=hosts)))
    calm, stormy = runs
    found = findings(calm, stormy)
    show(load, calm, stormy, found)
    return 1 if broken(found) else 0


if __name__ == "__main__":
    sys.exit(main())
