"""`Scheduler` on Cloud Scheduler. The schedules themselves are Terraform's, made from `schemas/schedules.json`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import grpc
from google.api_core.exceptions import FailedPrecondition, NotFound
from google.cloud.scheduler_v1 import CloudSchedulerClient
from google.cloud.scheduler_v1.services.cloud_scheduler.transports import CloudSchedulerGrpcTransport
from google.cloud.scheduler_v1.types import (
    Job,
    ListJobsRequest,
    PauseJobRequest,
    ResumeJobRequest,
    RunJobRequest,
)

from shared.adapters.google_calls import blocking_retry, google_errors
from shared.domain.jobs import JobName, job_named
from shared.ports.scheduler import ScheduledJob
from shared.runtime.errors import PoisonError

TIMEOUT_S: Final = 10.0


class GoogleScheduler:
    """Reads, pauses and runs the project's jobs. Nothing connects before the first call."""

    def __init__(self, *, project_id: str, region: str, channel: grpc.Channel | None = None) -> None:
        """channel: replaces the connection to Google, for tests."""
        self._parent = f"projects/{project_id}/locations/{region}"
        self._channel = channel

    @cached_property
    def _client(self) -> CloudSchedulerClient:
        if self._channel is None:
            return CloudSchedulerClient()
        return CloudSchedulerClient(transport=CloudSchedulerGrpcTransport(channel=self._channel))

    def jobs(self) -> list[ScheduledJob]:
        """Return the schedules that exist, by name. Other jobs of the project are not ours."""
        request = ListJobsRequest(parent=self._parent, page_size=100)
        with google_errors("scheduler"):
            found = list(
                self._client.list_jobs(request=request, timeout=TIMEOUT_S, retry=blocking_retry(TIMEOUT_S))
            )
        ours = [(job_named(job.name.rsplit("/", 1)[-1].replace("-", "_")), job) for job in found]
        return sorted((_scheduled(name, job) for name, job in ours if name), key=lambda job: job.name)

    def pause(self, name: JobName) -> None:
        """Fire the job no more until it is resumed."""
        with _of(name), _already():
            self._client.pause_job(
                request=PauseJobRequest(name=self._resource(name)),
                timeout=TIMEOUT_S,
                retry=blocking_retry(TIMEOUT_S),
            )

    def resume(self, name: JobName) -> None:
        """Fire the job when it is due again."""
        with _of(name), _already():
            self._client.resume_job(
                request=ResumeJobRequest(name=self._resource(name)),
                timeout=TIMEOUT_S,
                retry=blocking_retry(TIMEOUT_S),
            )

    def run(self, name: JobName) -> None:
        """Fire the job now. Not tried again: a second firing of its own slot would be a second run."""
        with _of(name):
            self._client.run_job(
                request=RunJobRequest(name=self._resource(name)), timeout=TIMEOUT_S, retry=None
            )

    def _resource(self, name: JobName) -> str:
        return f"{self._parent}/jobs/{name.replace('_', '-')}"


@contextmanager
def _of(name: JobName) -> Iterator[None]:
    with google_errors("scheduler"):
        try:
            yield
        except NotFound as exc:
            raise PoisonError("not_found", f"{name} has no schedule") from exc


@contextmanager
def _already() -> Iterator[None]:
    """Let a job be in the state it is asked to be in: a retry must not fail for having succeeded.

    Source: Cloud Scheduler API, `PauseJob`: "A job can only be paused if its state is ENABLED".
    """
    try:
        yield
    except FailedPrecondition:
        return


def _scheduled(name: JobName, job: Job) -> ScheduledJob:
    paused = job.state == Job.State.PAUSED
    return ScheduledJob(
        name=name,
        cron=job.schedule,
        time_zone=job.time_zone,
        paused=paused,
        next_at=_moment(job.schedule_time) if "schedule_time" in job and not paused else None,
        last_at=_moment(job.last_attempt_time) if "last_attempt_time" in job else None,
    )


def _moment(stamp: object) -> datetime:
    """Return the moment of a timestamp, which the client gives as a `datetime` of its own kind."""
    assert isinstance(stamp, datetime)  # noqa: S101 - for the type: proto-plus marshals it so
    return datetime.fromtimestamp(stamp.timestamp(), UTC)
