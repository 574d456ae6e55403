"""Named places at which a test kills the process, as a power cut would. docs/reliability.md says which test uses which.

A call site is `if __debug__: reach("…")`, and so is the import: under `python -O`, as production runs, neither is
compiled. Armed is one point at most, by environment:

    UPSTREAM_CRASH_AT      <point>[:<consumer>][:<nth>], as in `consumer.after_commit:apply_rules:2`
    UPSTREAM_CRASH_MARKER  a file made just before the kill; while it exists, the point lets everyone pass
"""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

CrashPoint = Literal[
    "ingress.before_claim",  # signed and within its rate; nothing is stored
    "ingress.after_claim",  # the key is claimed; nothing is published
    "ingress.after_publish",  # the event is durable; the sender has no reply
    "ingress.before_settle",  # the sender has its 202; the key is still only claimed
    "consumer.in_transaction",  # everything is written; nothing is committed
    "consumer.after_commit",  # committed; nothing of the outbox is published
    "consumer.after_publish",  # the outbox is published; none of it is marked
    "consumer.after_mark",  # marked; the message is not acknowledged
    "dead_letter.before_publish",  # it can never be processed; its dead letter is not published
    "dead_letter.after_publish",  # its dead letter is published; the message is not acknowledged
    "notify.after_send",  # a channel took the notification; nobody wrote that down
    "action.after_claim",  # the action is ours; nothing else happened
    "action.before_committing",  # the form is filled; the ledger does not know yet that it will be sent
    "action.after_committing",  # the ledger knows; Submit is not pressed
    "action.after_commit",  # Submit is pressed; its answer is not read
    "action.before_settle",  # the portal's receipt is in hand; the ledger does not have it
]
CRASH_POINTS: Final[tuple[CrashPoint, ...]] = get_args(CrashPoint)


@dataclass(slots=True)
class Armed:
    """One point that kills. consumer: empty is any. nth: how many times it is still to be reached."""

    point: CrashPoint
    consumer: str
    nth: int
    marker: Path


def armed_by(environ: Mapping[str, str]) -> dict[str, Armed]:
    """Return the armed point by its name; none, unless both variables are set.

    Raises:
        ValueError: there is no such point. The process must not start, or a test would pass for nothing.
    """
    wanted, marker = environ.get("UPSTREAM_CRASH_AT", ""), environ.get("UPSTREAM_CRASH_MARKER", "")
    if not wanted or not marker:
        return {}
    name, *rest = wanted.split(":")
    nth = int(rest.pop()) if rest and rest[-1].isdigit() else 1
    consumer = rest[0] if rest else ""
    for point in CRASH_POINTS:
        if point == name:
            return {point: Armed(point, consumer, nth, Path(marker))}
    raise ValueError(f"UPSTREAM_CRASH_AT is {wanted!r}, and there is no such point")


_ARMED: Final = armed_by(os.environ)


def reach(point: CrashPoint, consumer: str = "") -> None:
    """Return, unless this point is armed: then the process is gone, without cleaning up."""
    armed = _ARMED.get(point)
    if armed is not None and armed.consumer in ("", consumer):
        _count_down(armed)


def _count_down(armed: Armed) -> None:
    armed.nth -= 1
    if armed.nth > 0:
        return
    try:
        os.close(os.open(armed.marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
