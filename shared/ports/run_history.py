"""What engineers ask of jobs' runs, across customers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from shared.domain.jobs import JobName


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run. tasks, done: shares of its present stage. counts: what they came to. slowest_ms: of all its shares."""

    id: UUID
    job: JobName
    slot: datetime
    options: Mapping[str, str]
    state: str
    stage: str
    tasks: int
    done: int
    counts: Mapping[str, object]
    fired_at: datetime
    finished_at: datetime | None
    slowest_ms: float | None


@dataclass(frozen=True, slots=True)
class PastTask:
    """One customer's share of a run."""

    customer: str
    stage: str
    state: str
    attempt: int | None
    duration_ms: float | None
    done_at: datetime | None
    counts: Mapping[str, object]


class RunHistory(Protocol):
    """Reads runs as an operator. Blocks."""

    def runs(self, job: JobName | None = None, *, limit: int) -> Sequence[PastRun]:
        """Return the newest runs.

        Raises:
            TransientError: the database is away or busy.
        """
        ...

    def tasks(self, run_id: UUID) -> Sequence[PastTask]:
        """Return every customer's share of a run, by customer.

        Raises:
            TransientError: the database is away or busy.
        """
        ...
