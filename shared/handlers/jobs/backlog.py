"""What waits for somebody becomes two log lines, which metrics and alerts are made of (schemas/metrics.json)."""

import structlog

from shared.ports.backlog import Backlog

log = structlog.get_logger()


def report_backlog(backlog: Backlog) -> None:
    """Measure, and write the lines.

    Raises:
        TransientError: the database is away or busy; fire again.
    """
    found = backlog.measure()
    log.info("dead_letters.counted", count=found.dead_letters)
    log.info("outbox.measured", age_s=round(found.outbox_age_s, 3))
