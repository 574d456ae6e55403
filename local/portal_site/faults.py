"""What can go wrong at a portal, by switch: each row of the outcome table (docs/portals.md) can be played."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Literal, get_args

Fault = Literal[
    "slow",  # the page answers long after anybody waits
    "server_error",  # 503
    "maintenance",  # a notice instead of the portal, under HTTP 200
    "session_expired",  # signed out in mid-form
    "captcha",
    "changed_dom",  # a release overnight: other labels, ids and test ids
    "interstitial",  # new terms of use to accept before anything else
    "wrong_password",
    "account_locked",
    "mfa_refused",  # the code is not taken; or one is asked for where none was before
    "payer_refused",  # the request was read, and the answer is no
    "frame_error",  # an error inside a frame, under HTTP 200
    "reply_lost",  # the submission is stored and the connection drops
    "slow_commit",  # the submission is stored and the answer comes after anybody waits
    "commit_error",  # 500 to the submission, and nothing is stored
]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
Stage = Literal["login", "password", "after_login", "form", "midform", "commit", "lookup"]

# Where a fault strikes if the switch does not say.
USUAL_STAGE: Final[Mapping[Fault, Stage]] = {
    "slow": "form",
    "server_error": "form",
    "maintenance": "login",
    "session_expired": "midform",
    "captcha": "login",
    "changed_dom": "form",
    "interstitial": "after_login",
    "wrong_password": "password",
    "account_locked": "password",
    "mfa_refused": "password",
    "payer_refused": "commit",
    "frame_error": "form",
    "reply_lost": "commit",
    "slow_commit": "commit",
    "commit_error": "commit",
}


@dataclass(slots=True)
class _Switch:
    """remaining: how many requests it still strikes; None is every one."""

    fault: Fault
    remaining: int | None


@dataclass(slots=True)
class Switchboard:
    """Which faults are on, by portal and stage. Safe under threads: tests switch, the server's loop strikes."""

    _switches: dict[tuple[str, Stage], list[_Switch]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def on(self, portal: str, fault: Fault, *, times: int | None = None, stage: Stage | None = None) -> None:
        """Let a fault strike the next requests of its stage."""
        with self._lock:
            at = (portal, stage or USUAL_STAGE[fault])
            self._switches.setdefault(at, []).append(_Switch(fault, times))

    def clear(self, portal: str = "") -> None:
        """Switch a portal's faults off, or all."""
        with self._lock:
            kept = {at: on for at, on in self._switches.items() if portal and at[0] != portal}
            self._switches = kept

    def strike(self, portal: str, stage: Stage) -> Fault | None:
        """Return the fault that this request meets, if any."""
        with self._lock:
            switches = self._switches.get((portal, stage), [])
            for switch in switches:
                if switch.remaining is None:
                    return switch.fault
                if switch.remaining > 0:
                    switch.remaining -= 1
                    return switch.fault
        return None
