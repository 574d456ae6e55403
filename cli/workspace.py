"""Where commands find a pipeline: the one that runs here, or its database, started for as long as a command takes."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.output import Failure
from shared.runtime.settings import Settings, from_environment

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shared.ports.archive import EventArchive
    from shared.ports.connections import Connection
    from shared.ports.evidence import EvidenceStore
    from shared.ports.operators import Customer, OperatorDesk, SecretWriter
    from shared.ports.record import History
    from shared.ports.run_history import RunHistory
    from shared.ports.scheduler import Scheduler
    from shared.runtime.bootstrap import App

RUNTIME_FILE: Final = "runtime.json"
START_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A pipeline, as its `runtime.json` tells.

    pid_created_at: tells its process from a later one. ready: set up, so that other commands may use it.
    """

    url: str
    pid: int
    pid_created_at: float
    host_pids: tuple[int, ...]
    environment: Mapping[str, str]
    ready: bool


class Workspace:
    """What commands use of a pipeline. Parts are built when first used."""

    def __init__(self, settings: Settings, running: Running | None) -> None:
        """running: None where only the database is up."""
        self.settings = settings
        self.running = running

    @cached_property
    def app(self) -> "App":
        """The pipeline's own parts."""
        from shared.runtime.bootstrap import App

        return App(self.settings)

    @cached_property
    def engine(self) -> "Engine":
        """The record's connections, as the role that sees every customer."""
        from shared.adapters.postgres.engine import build_engine

        # On Google Cloud an engineer logs in as themselves, a member of that role.
        user = self.settings.database_user if self.settings.runtime == "gcp" else "upstream_operator"
        settings = replace(self.settings, database_user=user, pool_size=2)
        return build_engine(settings, user=settings.database_user, database=settings.database_name)

    @cached_property
    def desk(self) -> "OperatorDesk":
        """Customers, their rules and their contracts."""
        from shared.adapters.postgres.operators import PostgresOperatorDesk

        return PostgresOperatorDesk(self.engine)

    @cached_property
    def archive(self) -> "EventArchive":
        """The domain events that were decided."""
        from shared.adapters.postgres.archive import PostgresEventArchive

        return PostgresEventArchive(self.engine)

    @cached_property
    def history(self) -> "History":
        """What happened."""
        from shared.adapters.postgres.history import PostgresHistory

        return PostgresHistory(self.engine)

    @cached_property
    def scheduler(self) -> "Scheduler":
        """When jobs are due."""
        if self.settings.runtime == "gcp":
            from shared.adapters.google_scheduler import GoogleScheduler

            return GoogleScheduler(project_id=self.settings.project_id, region=self.settings.region)
        from local.scheduler import LocalScheduler

        return LocalScheduler(self.settings.home, self.running.url if self.running else None)

    @cached_property
    def run_history(self) -> "RunHistory":
        """What jobs' runs came to."""
        from shared.adapters.postgres.jobs.history import PostgresRunHistory

        return PostgresRunHistory(self.engine)

    @cached_property
    def evidence(self) -> "EvidenceStore":
        """What shows that actions were done: on Google Cloud in a bucket apart from payloads."""
        if self.settings.runtime != "gcp":
            return self.app.evidence
        from shared.adapters.evidence_bucket import BucketEvidenceStore

        project_id = self.settings.project_id
        return BucketEvidenceStore(f"{project_id}-evidence", project_id=project_id)

    @cached_property
    def writes_secrets(self) -> bool:
        """Whether commands write secrets. On Google Cloud people do: see `cli/cloud_secrets.py`."""
        return self.settings.runtime != "gcp"

    @cached_property
    def secrets(self) -> "SecretWriter":
        """Where secrets are written, if `writes_secrets`."""
        from shared.adapters.embedded.secrets import FileSecretStore

        return FileSecretStore(self.settings.home / "secrets")

    def customer(self, name: str) -> "Customer":
        """Return the customer of this name.

        Raises:
            Failure: there is none.
        """
        found = self.desk.customer(name)
        if found is None:
            known = ", ".join(customer.name for customer in self.desk.customers()) or "nobody"
            raise Failure(f"no customer is called {name!r}; known: {known}")
        return found

    def connection(self, identity: str) -> "Connection":
        """Return the connection of this id, or the only one whose id begins so.

        Raises:
            Failure: there is none, or more than one.
        """
        found = [c for c in self.app.registry.list() if str(c.id).startswith(identity.lower())]
        if len(found) != 1 or not identity:
            raise Failure(f"{len(found) or 'no'} connections have an id that begins with {identity!r}")
        return found[0]

    def close(self) -> None:
        """Close what was opened."""
        for owner in (self, self.__dict__.get("app")):
            for name in ("engine", "local_engine"):
                engine = vars(owner).get(name) if owner is not None else None
                if engine is not None:
                    engine.dispose()


@contextmanager
def opened(home: Path, *, create: bool = False) -> Iterator[Workspace]:
    """Open the pipeline of a folder. create: make an empty one where there is none.

    Raises:
        Failure: there is none.
    """
    with ExitStack() as stack:
        running = _await_ready(home)
        workspace = Workspace(_settings(home, running, stack, create=create), running)
        stack.callback(workspace.close)
        yield workspace


def _settings(home: Path, running: Running | None, stack: ExitStack, *, create: bool) -> Settings:
    if os.environ.get("UPSTREAM_RUNTIME") == "gcp":
        return from_environment()
    if running is not None:
        emulators = {k: v for k, v in running.environment.items() if k.endswith("_EMULATOR_HOST")}
        os.environ.update(emulators)  # Google's clients read where an emulator is from there
        return from_environment(running.environment)
    if not create and not (home / "postgres").is_dir():
        raise Failure(f"there is no pipeline in {home}: `upstream demo` or `upstream serve` makes one")
    from local.postgres import LocalPostgres

    postgres = stack.enter_context(LocalPostgres(home))
    return postgres.prepare(Settings(home=home.absolute()))


def _await_ready(home: Path) -> Running | None:
    """Return the pipeline that runs on a folder, once it is set up, or None."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while (running := _alive(home)) is not None and not running.ready and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return running


def find_running(home: Path) -> Running | None:
    """Return the pipeline that runs on a folder and is set up, or None."""
    running = _alive(home)
    return running if running is not None and running.ready else None


def _alive(home: Path) -> Running | None:
    announced = _announced(home)
    if announced is None:
        return None
    import psutil  # the image, where nothing is ever announced, does without

    try:
        created_at = psutil.Process(announced.pid).create_time()
    except psutil.Error:
        return None
    return announced if abs(created_at - announced.pid_created_at) < 1 else None


def _announced(home: Path) -> Running | None:
    """Return what the newest pipeline of the folder said of itself, whether it still runs or was killed."""
    try:
        found = json.loads((home / RUNTIME_FILE).read_text())
        return Running(**{**found, "host_pids": tuple(found["host_pids"])})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def announce(
    home: Path, *, url: str, host_pids: Sequence[int], environment: Mapping[str, str], ready: bool
) -> None:
    """Tell other commands of this process's pipeline; `withdraw` ends that."""
    import psutil

    pid_created_at = psutil.Process().create_time()
    running = Running(url, os.getpid(), pid_created_at, tuple(host_pids), environment, ready)
    target = home / RUNTIME_FILE
    fresh = target.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(running), indent=2) + "\n")
    fresh.replace(target)


def withdraw(home: Path) -> None:
    """Tell other commands that the folder's pipeline is gone."""
    (home / RUNTIME_FILE).unlink(missing_ok=True)


def make_way(home: Path) -> None:
    """Return once no pipeline runs on the folder; what one that was killed left running is ended.

    Raises:
        Failure: one runs, and is not ours to stop.
    """
    running = find_running(home)
    if running is not None:
        raise Failure(
            f"a pipeline is running in {home} (process {running.pid}, {running.url}); stop it first"
        )
    left = _announced(home)
    if left is not None:
        from cli.leftovers import end_hosts

        end_hosts(left.host_pids, not_before=left.pid_created_at)
        (home / RUNTIME_FILE).unlink(missing_ok=True)
