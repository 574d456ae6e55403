"""The local stand-in for Cloud Scheduler: it fires what `schemas/schedules.json` declares, at the minute it declares.

What was due while nothing ran is not made up for, as Cloud Scheduler would not either once a job was resumed; a job
that somebody paused stays paused over restarts.
"""

import asyncio
import fcntl
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog
from cronsim import CronSim

from shared.adapters.embedded.callers import local_token
from shared.adapters.embedded.secrets import FileSecretStore
from shared.domain.jobs import JobName, job_named, slot_of
from shared.ports.clock import Clock, system_clock
from shared.ports.scheduler import ScheduledJob
from shared.runtime.errors import PoisonError, TransientError

DECLARED: Final = Path(__file__).parents[1] / "schemas" / "schedules.json"
STATE: Final = "scheduler.json"
TICK_S: Final = 1.0
TIMEOUT_S: Final = 60.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is declared of one job."""

    name: JobName
    cron: str
    time_zone: str

    def next_after(self, moment: datetime) -> datetime:
        """Return the next slot. Schedules are in UTC, where every minute comes once."""
        return next(CronSim(self.cron, moment.astimezone(UTC))).astimezone(UTC)


def schedules(declared: Path = DECLARED) -> list[Schedule]:
    """Return every declared schedule, by name.

    Raises:
        ValueError: one is for no job of ours.
    """
    document = json.loads(declared.read_text(encoding="utf-8"))
    found = []
    for name, schedule in sorted(document["schedules"].items()):
        job = job_named(name)
        if job is None:
            raise ValueError(f"{declared.name}: {name} is no job")
        found.append(Schedule(job, schedule["cron"], document["time_zone"]))
    return found


class LocalScheduler:
    """Schedules of one home folder. Any process may pause a job; the one that serves fires them."""

    def __init__(self, home: Path, url: str | None, *, clock: Clock = system_clock) -> None:
        """url: where the functions are served; None while nothing runs."""
        self._state = home / STATE
        self._secrets = FileSecretStore(home / "secrets")
        self._url = url
        self._clock = clock
        self._schedules = {schedule.name: schedule for schedule in schedules()}

    def jobs(self) -> list[ScheduledJob]:
        """Return the schedules, by name."""
        paused, last = self._read()
        now = self._clock()
        return [
            ScheduledJob(
                name=schedule.name,
                cron=schedule.cron,
                time_zone=schedule.time_zone,
                paused=schedule.name in paused,
                next_at=None if schedule.name in paused else schedule.next_after(now),
                last_at=datetime.fromisoformat(last[schedule.name]) if schedule.name in last else None,
            )
            for schedule in self._schedules.values()
        ]

    def pause(self, name: JobName) -> None:
        """Fire the job no more until it is resumed."""
        self._known(name)
        self._change(lambda paused, _: paused.add(name))

    def resume(self, name: JobName) -> None:
        """Fire the job when it is due again."""
        self._known(name)
        self._change(lambda paused, _: paused.discard(name))

    def run(self, name: JobName) -> None:
        """Fire the job now."""
        self.fire(name, self._clock())

    def fire(self, name: JobName, slot: datetime) -> Mapping[str, Any]:
        """Fire the job for a slot, and return what it answers.

        Raises:
            PoisonError: it has no schedule (`not_found`).
            TransientError: nothing serves it, or it could not take the firing; fire again.
        """
        self._known(name)
        answer = self._post(name, slot)
        moment = self._clock().isoformat()
        self._change(lambda _, last: last.update({name: moment}))
        return answer

    async def keep(self) -> None:
        """Fire what is due, until cancelled. What could not be fired is tried again at the next tick, and logged."""
        due = {name: schedule.next_after(self._clock()) for name, schedule in self._schedules.items()}
        while True:
            await asyncio.sleep(TICK_S)
            now = self._clock()
            for name, slot in due.items():
                if slot <= now and await asyncio.to_thread(self._fired, name, slot):
                    due[name] = self._schedules[name].next_after(now)

    def _fired(self, name: JobName, slot: datetime) -> bool:
        """Return whether there is nothing left to do for the slot."""
        paused, _ = self._read()
        if name in paused:
            return True
        try:
            self.fire(name, slot)
        except TransientError as exc:
            log.warning("job.not_fired", job=name, code=exc.code)
            return False
        return True

    def _post(self, name: JobName, slot: datetime) -> Mapping[str, Any]:
        if self._url is None:
            raise TransientError("unavailable", "nothing runs on this folder: `upstream serve` does")
        headers = {
            "Authorization": f"Bearer {local_token(self._secrets)}",
            "X-CloudScheduler-ScheduleTime": slot_of(slot).isoformat(),
        }
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            f"{self._url}/functions/{name}", data=b"", headers=headers, method="POST"
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT_S) as reply:
                answer: Mapping[str, Any] = json.loads(reply.read())
                return answer
        except (urllib.error.URLError, OSError, ValueError) as exc:
            raise TransientError("unavailable", f"{name}: {getattr(exc, 'reason', exc)}") from exc

    def _known(self, name: JobName) -> None:
        if name not in self._schedules:
            raise PoisonError("not_found", f"{name} has no schedule")

    def _read(self) -> tuple[set[str], dict[str, str]]:
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            return set(state["paused"]), dict(state["last"])
        except FileNotFoundError:
            return set(), {}

    def _change(self, change: Callable[[set[str], dict[str, str]], object]) -> None:
        self._state.parent.mkdir(parents=True, exist_ok=True)
        with self._state.with_suffix(".lock").open(
            "w"
        ) as lock:  # commands and the running scheduler change it alike
            fcntl.flock(lock, fcntl.LOCK_EX)
            paused, last = self._read()
            change(paused, last)
            fresh = self._state.with_suffix(".new")
            fresh.write_text(json.dumps({"paused": sorted(paused), "last": last}) + "\n", encoding="utf-8")
            fresh.replace(self._state)
