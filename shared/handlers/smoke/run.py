"""One smoke test: prepare the customer, send as a payer would, wait for the audit row, clean up.

The steps are `prepare`, `send`, one for each function that the event passes, and `clean_up`. A step that fails ends the
test; what the event has left by then stays, so that it can be traced, and the next test removes it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from shared.domain.events import trace_id
from shared.handlers.smoke.progress import Progress, progress
from shared.ports.canary import Canary, CanaryDesk
from shared.ports.clock import Clock
from shared.ports.record import History
from shared.runtime.errors import UpstreamError
from shared.runtime.signatures import sign

ACCEPTED: Final = 202
POLL_S: Final = 0.2
PAYER: Final = {"name": "Canary payer"}  # what the rule looks for

Post = Callable[[str, Mapping[str, str], bytes, float], tuple[int, Mapping[str, Any]]]


class UnreachableError(Exception):
    """Nobody answered. Its text says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step that was begun. ms: how long it took; of a function, from the send until it was done with the event.

    code: the reply's or the error's, empty for a step that went as it should. detail: for people; no patient data.
    """

    step: str
    ok: bool
    ms: float
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sending:
    """The one event. url: where deliveries are taken, without the connection's path. timeout_s: for the whole test."""

    url: str
    secret: str = field(repr=False)
    delivery_id: str
    trace_parent: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Smoke:
    """What came of a test. event_id: as the reply named it; None before there was one."""

    event_id: UUID | None
    trace_id: str
    steps: tuple[Step, ...]

    @property
    def ok(self) -> bool:
        """Whether the audit row was there and the clean-up done."""
        return self.steps[-1].step == "clean_up" and all(step.ok for step in self.steps)


@dataclass(frozen=True, slots=True)
class Means:
    """What a test works with. monotonic_s, sleep: real time. post: raises UnreachableError where nobody answers."""

    desk: CanaryDesk
    history: History
    post: Post
    clock: Clock
    monotonic_s: Callable[[], float]
    sleep: Callable[[float], None]


def smoke(sending: Sending, canary: Canary, *, means: Means) -> Smoke:
    """Return what came of one test; a failure of any step is in its steps, not raised."""
    run = _Run(sending, canary, means)
    run.carry_out()
    return Smoke(run.event_id, trace_id(sending.trace_parent), tuple(run.steps))


class _Stop(Exception):  # noqa: N818 - ends a run whose last step says why
    pass


class _Run:
    def __init__(self, sending: Sending, canary: Canary, means: Means) -> None:
        self.steps: list[Step] = []
        self.event_id: UUID | None = None
        self._sending, self._canary, self._means = sending, canary, means
        self._deadline_s = means.monotonic_s() + sending.timeout_s

    def carry_out(self) -> None:
        trace = trace_id(self._sending.trace_parent)
        step, began_s = "prepare", self._means.monotonic_s()
        try:
            with self._means.desk.alone(wait_s=self._left_s()):
                self._means.desk.prepare(self._canary)
                self._done(step, began_s)
                step, began_s = "send", self._means.monotonic_s()
                sent_at, self.event_id = self._send(began_s)
                step, began_s = "wait", self._means.monotonic_s()
                self._wait(began_s, sent_at, self.event_id)
                step, began_s = "clean_up", self._means.monotonic_s()
                self._means.desk.sweep(self._canary, trace_id=trace)
            self._done(step, began_s)
        except _Stop:
            pass
        except UpstreamError as exc:
            self._failed(step, began_s, exc.code, exc.detail)

    def _send(self, began_s: float) -> tuple[datetime, UUID]:
        """Post the event; return when, and which it is."""
        sending, sent_at = self._sending, self._means.clock()
        body = _claim(sending.delivery_id, sent_at)
        headers = {
            **sign(self._canary.connection.scheme, sending.delivery_id, body, sending.secret, sent_at),
            "Content-Type": "application/json",
            "traceparent": sending.trace_parent,
        }
        try:
            status, reply = self._means.post(
                sending.url.rstrip("/") + self._canary.path, headers, body, self._left_s()
            )
        except UnreachableError as exc:
            self._failed("send", began_s, "unreachable", str(exc))
            raise _Stop from exc
        if status != ACCEPTED:
            code = str(reply.get("code") or f"http_{status}")
            self._failed("send", began_s, code, f"refused with {status}")
            raise _Stop
        self._done("send", began_s)
        return sent_at, UUID(reply["event_id"])

    def _wait(self, began_s: float, sent_at: datetime, event_id: UUID) -> None:
        """Return once the event came through; a step for each function that it passed."""
        while True:
            found = progress(list(self._means.history.story(event_id)), rule_id=self._canary.rule_id)
            if found.arrived or found.over or self._left_s() <= 0:
                break
            self._means.sleep(POLL_S)
        self.steps += [
            Step(station, ok=True, ms=round((at - sent_at).total_seconds() * 1000, 1))
            for station, at in found.passed
        ]
        if not found.arrived:
            self._failed(
                found.at, began_s, found.code or "no_audit_row", _why(found, self._sending.timeout_s)
            )
            raise _Stop

    def _left_s(self) -> float:
        return max(self._deadline_s - self._means.monotonic_s(), 0.0)

    def _done(self, step: str, began_s: float) -> None:
        self.steps.append(Step(step, ok=True, ms=self._since_ms(began_s)))

    def _failed(self, step: str, began_s: float, code: str, detail: str) -> None:
        self.steps.append(Step(step, ok=False, ms=self._since_ms(began_s), code=code, detail=detail))

    def _since_ms(self, began_s: float) -> float:
        return round((self._means.monotonic_s() - began_s) * 1000, 1)


def _why(found: Progress, timeout_s: float) -> str:
    where = f"accepted, and stopped at {found.at}: {found.why}"
    return where if found.over else f"{where} within {timeout_s:g} s"


def _claim(number: str, now: datetime) -> bytes:
    """Return a claim of nobody's, worth a cent, that no other test's is taken for."""
    return orjson.dumps(
        {
            "type": "claim.submitted",
            "claim_number": f"CANARY-{number}",
            "payer": PAYER,
            "charge": "0.01",
            "submitted_on": now.date().isoformat(),
        }
    )
