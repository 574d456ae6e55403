"""A scheduled job, one firing of it, and one customer's share of that. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final, Literal, get_args
from uuid import NAMESPACE_URL, UUID, uuid5

from shared.domain.ids import derive

JobName = Literal[
    "check_expiring_authorizations",
    "build_risk_baselines",
    "detect_behavioral_changes",
    "release_actions",
    "measure_backlog",
]
SCHEDULED: Final[tuple[JobName, ...]] = get_args(JobName)
JOBS: Final[tuple[JobName, ...]] = tuple(
    name for name in SCHEDULED if name != "measure_backlog"
)  # have shares
Stage = Literal[
    "customer",  # what a customer's own rows tell
    "network",  # what several customers' findings tell each of them
]
NOBODY: Final = UUID(int=0)  # the customer whose rows are nobody's: runs, and what is known across customers
_RUNS: Final = uuid5(NAMESPACE_URL, "urn:upstream:runs")


@dataclass(frozen=True, slots=True)
class Run:
    """One firing. slot: the minute it was due, in UTC. options: what a person asked for, else empty."""

    job: JobName
    slot: datetime
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> UUID:
        """Return the run's id: the same for every firing of the slot."""
        return derive(_RUNS, self.key, *(f"{name}={self.options[name]}" for name in sorted(self.options)))

    @property
    def key(self) -> str:
        """Return how the run is named: `build_risk_baselines:2026-02-03T02:00Z`."""
        return f"{self.job}:{self.slot.astimezone(UTC):%Y-%m-%dT%H:%MZ}"

    @property
    def on(self) -> date:
        """Return the day that the run is of, in UTC."""
        return self.slot.astimezone(UTC).date()

    @property
    def goes_on(self) -> bool:
        """Whether it goes on from the run before, as of its slot: not as of now, nor for days that a person named."""
        return self.job != "release_actions" and "from" not in self.options

    @property
    def trace_parent(self) -> str:
        """Return the trace of the run as a whole; each customer's share has one of its own."""
        return trace_of(self.id)


def slot_of(moment: datetime) -> datetime:
    """Return the slot that a firing at this moment is of: schedules are kept to the minute."""
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def job_named(name: str) -> JobName | None:
    """Return the job of this name, or None."""
    return next((job for job in SCHEDULED if job == name), None)


def task_id(run_id: UUID, stage: Stage, customer_id: UUID) -> UUID:
    """Return the id of a customer's share, which is its message's."""
    return derive(run_id, stage, customer_id)


def trace_of(identity: UUID) -> str:
    """Return the W3C `traceparent` of a story that begins with `identity`: the same whenever it is told on."""
    return f"00-{identity.hex}-{derive(identity, 'span').hex[:16]}-01"
