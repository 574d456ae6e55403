"""One suite for every scheduler: in memory, the local one, and Cloud Scheduler's client against a double."""

import asyncio
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
import pytest
from google.cloud.scheduler_v1.types import (
    Job,
    ListJobsRequest,
    ListJobsResponse,
    PauseJobRequest,
    ResumeJobRequest,
    RunJobRequest,
)

from local.scheduler import LocalScheduler, schedules
from shared.adapters.embedded.callers import SecretCallerVerifier
from shared.adapters.embedded.secrets import FileSecretStore
from shared.adapters.google_scheduler import GoogleScheduler
from shared.adapters.memory import InMemoryScheduler
from shared.domain.jobs import SCHEDULED, JobName
from shared.ports.scheduler import Scheduler
from shared.runtime.errors import PoisonError, TransientError

SERVICE = "google.cloud.scheduler.v1.CloudScheduler"
ENABLED, PAUSED = Job.State(Job.State.ENABLED), Job.State(Job.State.PAUSED)
PARENT = "projects/test/locations/here"
NOW = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)
NEXT: dict[JobName, datetime] = {
    "build_risk_baselines": datetime(2026, 11, 28, 2, 0, tzinfo=UTC),
    "check_expiring_authorizations": datetime(2026, 11, 28, 6, 0, tzinfo=UTC),
    "detect_behavioral_changes": datetime(2026, 11, 27, 18, 0, tzinfo=UTC),
    "release_actions": datetime(2026, 11, 27, 15, 10, tzinfo=UTC),
    "measure_backlog": datetime(2026, 11, 27, 15, 5, tzinfo=UTC),
}


@dataclass
class CloudSchedulerDouble:
    """Cloud Scheduler's service as far as we call it, in its own messages, with its states and refusals."""

    jobs: dict[str, Job] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    failures: list[grpc.StatusCode] = field(default_factory=list)

    def __post_init__(self) -> None:
        for schedule in schedules():
            name = f"{PARENT}/jobs/{schedule.name.replace('_', '-')}"
            self.jobs[name] = Job(
                name=name,
                schedule=schedule.cron,
                time_zone=schedule.time_zone,
                state=Job.State.ENABLED,
                schedule_time=NEXT[schedule.name],
            )
        other = f"{PARENT}/jobs/somebody-elses"
        self.jobs[other] = Job(name=other, schedule="* * * * *", state=Job.State.ENABLED)

    def list_jobs(self, request: ListJobsRequest, context: grpc.ServicerContext) -> ListJobsResponse:
        self._begin(context)
        assert request.parent == PARENT
        at = int(request.page_token or 0)  # two a page: whoever reads only the first sees half
        page = list(self.jobs.values())[at : at + 2]
        more = str(at + 2) if at + 2 < len(self.jobs) else ""
        return ListJobsResponse(jobs=page, next_page_token=more)

    def pause_job(self, request: PauseJobRequest, context: grpc.ServicerContext) -> Job:
        return self._move(request.name, ENABLED, PAUSED, context)

    def resume_job(self, request: ResumeJobRequest, context: grpc.ServicerContext) -> Job:
        return self._move(request.name, PAUSED, ENABLED, context)

    def run_job(self, request: RunJobRequest, context: grpc.ServicerContext) -> Job:
        job = self._job(request.name, context)
        self.ran.append(job.name.rsplit("/", 1)[-1].replace("-", "_"))
        self.jobs[job.name] = Job(job, last_attempt_time=NOW)
        return job

    def _move(self, name: str, was: Job.State, becomes: Job.State, context: grpc.ServicerContext) -> Job:
        job = self._job(name, context)
        if job.state != was:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not in that state")
        job.state = becomes
        return job

    def _job(self, name: str, context: grpc.ServicerContext) -> Job:
        self._begin(context)
        if name not in self.jobs:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such job")
        return self.jobs[name]

    def _begin(self, context: grpc.ServicerContext) -> None:
        assert context.time_remaining() is not None, "every call has a deadline"
        if self.failures:
            context.abort(self.failures.pop(0), "as told")


@pytest.fixture
def double() -> CloudSchedulerDouble:
    return CloudSchedulerDouble()


@pytest.fixture
def google(double: CloudSchedulerDouble) -> Iterator[GoogleScheduler]:
    server = grpc.server(futures.ThreadPoolExecutor(4))
    methods: list[tuple[str, Any, Any, Any]] = [
        ("ListJobs", double.list_jobs, ListJobsRequest, ListJobsResponse),
        ("PauseJob", double.pause_job, PauseJobRequest, Job),
        ("ResumeJob", double.resume_job, ResumeJobRequest, Job),
        ("RunJob", double.run_job, RunJobRequest, Job),
    ]
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        name: grpc.unary_unary_rpc_method_handler(
            method, request_deserializer=asked.deserialize, response_serializer=answered.serialize
        )
        for name, method, asked, answered in methods
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield GoogleScheduler(project_id="test", region="here", channel=channel)
    server.stop(None).wait()


@dataclass
class Functions:
    """Where jobs are fired to: checks the token as the functions do, and remembers."""

    url: str
    fired: list[tuple[str, str]]
    status: int = 202


@pytest.fixture
def functions(tmp_path: Path) -> Iterator[Functions]:
    verifier = SecretCallerVerifier(FileSecretStore(tmp_path / "secrets"))
    found = Functions("", [])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            verifier.verify({name.lower(): value for name, value in self.headers.items()})
            found.fired.append((self.path.rsplit("/", 1)[-1], self.headers["X-CloudScheduler-ScheduleTime"]))
            self.send_response(found.status)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield found
    server.shutdown()
    server.server_close()


@dataclass
class Bench:
    """A scheduler, and the jobs that it fired."""

    scheduler: Scheduler
    ran: Any

    def fired(self) -> list[str]:
        return [one if isinstance(one, str) else one[0] for one in self.ran]


@pytest.fixture(params=["memory", "local", "google"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    match request.param:
        case "memory":
            memory = InMemoryScheduler(NEXT, now=NOW)
            return Bench(memory, memory.ran)
        case "local":
            functions: Functions = request.getfixturevalue("functions")
            return Bench(LocalScheduler(tmp_path, functions.url, clock=lambda: NOW), functions.fired)
        case _:
            double: CloudSchedulerDouble = request.getfixturevalue("double")
            return Bench(request.getfixturevalue("google"), double.ran)


def test_every_job_has_its_schedule_and_nobody_elses_is_shown(bench: Bench) -> None:
    jobs = {job.name: job for job in bench.scheduler.jobs()}
    assert set(jobs) == set(SCHEDULED)
    assert {name: job.next_at for name, job in jobs.items()} == NEXT
    assert not any(job.paused or job.last_at for job in jobs.values())


@pytest.mark.parametrize("name", SCHEDULED)
def test_a_paused_job_has_no_next_time_until_it_is_resumed(bench: Bench, name: JobName) -> None:
    for _ in range(2):  # as a retry would
        bench.scheduler.pause(name)
    assert {job.name for job in bench.scheduler.jobs() if job.paused} == {name}
    assert {job.name for job in bench.scheduler.jobs() if job.next_at is None} == {name}
    for _ in range(2):
        bench.scheduler.resume(name)
    assert not any(job.paused for job in bench.scheduler.jobs())


def test_a_job_runs_when_it_is_told_to_though_it_is_paused(bench: Bench) -> None:
    bench.scheduler.pause("build_risk_baselines")
    bench.scheduler.run("build_risk_baselines")
    assert bench.fired() == ["build_risk_baselines"]
    (job,) = [job for job in bench.scheduler.jobs() if job.last_at]
    assert (job.name, job.last_at, job.paused) == ("build_risk_baselines", NOW, True)


def test_a_job_without_a_schedule_is_not_found(bench: Bench) -> None:
    unknown: Any = "sweep_the_floor"
    for call in (bench.scheduler.pause, bench.scheduler.resume, bench.scheduler.run):
        with pytest.raises(PoisonError, match="has no schedule"):
            call(unknown)


def test_a_call_that_failed_for_a_moment_is_made_again(
    google: GoogleScheduler, double: CloudSchedulerDouble
) -> None:
    double.failures = [grpc.StatusCode.UNAVAILABLE]
    google.pause("build_risk_baselines")
    assert [job.name for job in google.jobs() if job.paused] == ["build_risk_baselines"]


def test_a_firing_is_never_made_again_by_itself(
    google: GoogleScheduler, double: CloudSchedulerDouble
) -> None:
    double.failures = [grpc.StatusCode.UNAVAILABLE]
    with pytest.raises(TransientError):
        google.run("build_risk_baselines")
    assert double.ran == []


def test_without_a_grant_nothing_is_known(google: GoogleScheduler, double: CloudSchedulerDouble) -> None:
    double.failures = [grpc.StatusCode.PERMISSION_DENIED]
    with pytest.raises(TransientError):
        google.jobs()


def test_a_job_that_did_not_take_the_firing_was_not_run(functions: Functions, tmp_path: Path) -> None:
    functions.status = 503
    scheduler = LocalScheduler(tmp_path, functions.url, clock=lambda: NOW)
    with pytest.raises(TransientError):
        scheduler.run("build_risk_baselines")
    assert not any(job.last_at for job in scheduler.jobs())


def test_nothing_is_fired_where_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="upstream serve"):
        LocalScheduler(tmp_path, None).run("build_risk_baselines")


async def test_what_is_due_is_fired_for_its_slot_and_what_is_paused_is_not(
    functions: Functions, tmp_path: Path
) -> None:
    """A day in a second: the clock moves on by an hour each time somebody looks."""
    moment = NOW

    def clock() -> datetime:
        nonlocal moment
        moment += timedelta(minutes=20)
        return moment

    scheduler = LocalScheduler(tmp_path, functions.url, clock=clock)
    scheduler.pause("check_expiring_authorizations")
    scheduler.pause("release_actions")
    scheduler.pause("measure_backlog")
    await fired_for(scheduler, functions, at_least=5)
    assert {name for name, _ in functions.fired} == {"build_risk_baselines", "detect_behavioral_changes"}
    for name, slot in functions.fired:
        assert datetime.fromisoformat(slot).minute == 0
        assert datetime.fromisoformat(slot).hour % 6 == (2 if name == "build_risk_baselines" else 0)
    assert len(set(functions.fired)) == len(functions.fired)


async def fired_for(scheduler: LocalScheduler, functions: Functions, *, at_least: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("local.scheduler.TICK_S", 0.001)
        keeping = asyncio.create_task(scheduler.keep())
        async with asyncio.timeout(10):
            while len(functions.fired) < at_least:  # noqa: ASYNC110 - another thread counts
                await asyncio.sleep(0.01)
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping
