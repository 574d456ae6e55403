"""When jobs are due, and whether they fire."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.jobs import JobName


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """A job's schedule as it stands. next_at: None while it is paused. last_at: None before the first firing."""

    name: JobName
    cron: str
    time_zone: str
    paused: bool
    next_at: datetime | None
    last_at: datetime | None


class Scheduler(Protocol):
    """Fires jobs when they are due. Blocks."""

    def jobs(self) -> Sequence[ScheduledJob]:
        """Return the schedules that exist, by name.

        Raises:
            TransientError: the scheduler is out of reach.
        """
        ...

    def pause(self, name: JobName) -> None:
        """Fire the job no more until it is resumed. One that is paused stays so.

        Raises:
            PoisonError: it has no schedule (`not_found`).
            TransientError: the scheduler is out of reach.
        """
        ...

    def resume(self, name: JobName) -> None:
        """Fire the job when it is due again; what was due in between is not made up for.

        Raises:
            PoisonError: it has no schedule (`not_found`).
            TransientError: the scheduler is out of reach.
        """
        ...

    def run(self, name: JobName) -> None:
        """Fire the job now, paused or not.

        Raises:
            PoisonError: it has no schedule (`not_found`).
            TransientError: the scheduler or the job is out of reach; nothing is known of the firing.
        """
        ...
