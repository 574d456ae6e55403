"""What an action at a portal costs, against a Selenium script with a browser for each: `python -m benchmarks.portal`.

Rounds of one and of the other take turns, so that a busy machine hurts both. Processor time and memory are those of
every process below the round's own, read many times a second; the simulator's do not count. Ours is measured with
Chromium's headless shell where that is installed, and then with Chromium itself as well.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Final

import psutil

from benchmarks.report import Figure, arguments, median, quantile, report
from local.portal_site.site import portal_site
from local.portal_site.store import Account
from shared.portals.chromium import find_headless_shell

ROUNDS: Final = 5
ACTIONS: Final = 10
SAMPLE_EVERY_S: Final = 0.05
MEMORY_EVERY: Final = 10  # samples; reading it walks a process's pages
MIB: Final = 1024 * 1024
NO_SHELL: Final = {"UPSTREAM_HEADLESS_SHELL": "/nonexistent"}


@dataclass(slots=True)
class Watched:
    """One round. cpu_s: by process, as last seen. peak_mib: the most that all of them held for themselves alone."""

    cpu_s: dict[tuple[int, float], float] = field(default_factory=dict)
    peak_mib: float = 0.0
    took_s: list[float] = field(default_factory=list)

    @property
    def cpu_per_action_s(self) -> float:
        """Return the processor seconds an action, starting and ending the browser included."""
        return sum(self.cpu_s.values()) / len(self.took_s)


def main() -> None:
    """Measure and report."""
    asked = arguments("portal", "What an action at a portal costs.")
    rounds, actions = (1, 3) if asked.quick else (ROUNDS, ACTIONS)
    seen: dict[str, list[Watched]] = {"ours": [], "selenium": []}
    if find_headless_shell():
        seen["ours_chromium"] = []
    with portal_site() as site:
        site.open_account(Account("aetna", "clinic", "portal-demo"))
        first = 0
        for _ in range(rounds):
            for who, watched in seen.items():
                watched.append(_round(who, f"http://127.0.0.1:{site.port}", first, actions))
                first += actions
        filed = [one.client_reference for one in site.submissions()]
    if len(filed) != first or len(set(filed)) != first:
        sys.exit(f"{first} appeals were made, and {len(filed)} filed")
    figures = [figure for who, watched in seen.items() for figure in _figures(who, watched)]
    cost = {who: median([one.cpu_per_action_s for one in watched]) for who, watched in seen.items()}
    figures += [
        Figure(f"selenium_cpu_over_{who}", cost["selenium"] / cost[who], "x")
        for who in cost
        if who != "selenium"
    ]
    report(
        "portal", figures, asked.json, title=f"An appeal at a portal: medians of {rounds} rounds of {actions}"
    )


def _round(who: str, site: str, first: int, actions: int) -> Watched:
    watched, done = Watched(), threading.Event()
    whose = who.removesuffix("_chromium")
    command = [sys.executable, "-m", "benchmarks.portal_visits", whose, site, str(first), str(actions)]
    environment = os.environ | (NO_SHELL if who != whose else {})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:  # noqa: S603 - ours
        watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), watched, done))
        watcher.start()
        try:
            output, _ = process.communicate()
        finally:
            done.set()
            watcher.join()
    if process.returncode:
        sys.exit(f"{who} failed")
    watched.took_s = json.loads(output)
    return watched


def _watch(root: psutil.Process, watched: Watched, done: threading.Event) -> None:
    known: dict[int, psutil.Process] = {}
    samples = 0
    while not done.wait(SAMPLE_EVERY_S):
        with contextlib.suppress(psutil.Error):
            known |= {child.pid: child for child in (root, *root.children(recursive=True))}
        for process in list(known.values()):
            try:
                times = process.cpu_times()
                watched.cpu_s[process.pid, process.create_time()] = times.user + times.system
            except psutil.Error:
                del known[process.pid]
        samples += 1
        if samples % MEMORY_EVERY == 0:
            watched.peak_mib = max(watched.peak_mib, _memory_mib(known))


def _memory_mib(known: dict[int, psutil.Process]) -> float:
    total = 0
    for process in known.values():
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().uss
    return total / MIB


def _figures(who: str, watched: list[Watched]) -> list[Figure]:
    took = [seconds for one in watched for seconds in one.took_s]
    return [
        Figure(f"{who}.cpu_per_action", median([one.cpu_per_action_s for one in watched]), "s"),
        Figure(f"{who}.actions_per_min", 60 * len(took) / sum(took), "1/min"),
        Figure(f"{who}.p50", quantile(took, 0.5), "s"),
        Figure(f"{who}.p95", quantile(took, 0.95), "s"),
        Figure(f"{who}.peak_memory", median([one.peak_mib for one in watched]), "MiB"),
    ]


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"{time.monotonic() - started:.0f} s")
