"""`python -m local.drill`: the disaster drill, and its times against what is promised; exit code 1 if it fails."""

import argparse
import logging
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from local.drill.play import Outcome, drill
from local.soak.deliveries import mix
from local.soak.state import differences

RTO_S: Final = 4 * 3600
RPO_S: Final = 15 * 60


def main() -> int:
    """Return the exit code."""
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    # The handlers run in this process: a line of theirs for each event would bury the figures.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    parser = argparse.ArgumentParser(prog="python -m local.drill", description=__doc__)
    parser.add_argument(
        "-n", type=int, default=600, help="deliveries, a hundred or more (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=2026)
    asked = parser.parse_args()
    deliveries, months = mix(asked.n, seed=asked.seed, today=datetime.now(UTC).date())
    accepted = [one for one in deliveries if one.reply == "accepted" and not one.dead_letter]
    with tempfile.TemporaryDirectory(prefix="upstream-drill-") as folder:
        outcome = drill(Path(folder), accepted, months)
    return show(outcome)


def show(outcome: Outcome) -> int:
    """Print what it came to; return the exit code."""
    rows = sum(len(rows) for rows in outcome.expected.rows.values())
    wrong = differences(outcome.expected, outcome.state)
    lines = [
        ("deliveries that had their 202", f"{len(outcome.accepted):,}"),
        ("of these, undone by the recovery", f"{outcome.undone:,}"),
        ("and taken while there was no record", f"{len(outcome.accepted) // 4:,}"),
        ("damage and load, before the disk was lost", f"{outcome.damaged_for_s:.1f} s"),
        ("recovered to the point before the damage", f"{outcome.recovered_s:.1f} s"),
        ("replayed from the topics", f"{outcome.replayed_s:.1f} s, {outcome.replayed:,} messages"),
        ("of these, dropped as taken before", f"{outcome.repeats:,}"),
        ("until service again (RTO 4 h)", f"{outcome.down_s:.1f} s"),
        ("data lost (RPO 15 min)", f"{len(outcome.missing):,} deliveries"),
        ("rows compared with a quiet run", f"{rows:,}, of which {sum(map(_count, wrong.values())):,} differ"),
    ]
    for what, value in lines:
        sys.stdout.write(f"{what:<44} {value}\n")
    for name, (missing, extra) in wrong.items():
        sys.stdout.write(f"\n{name}: missing {missing[:2]}, too much {extra[:2]}\n")
    good = not wrong and not outcome.missing and outcome.down_s < RTO_S
    sys.stdout.write("\nnothing that was accepted is missing\n" if good else "\nTHE DRILL FAILED\n")
    return 0 if good else 1


def _count(sides: tuple[list[str], list[str]]) -> int:
    return max(map(len, sides))


if __name__ == "__main__":
    sys.exit(main())
