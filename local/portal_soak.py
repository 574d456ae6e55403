"""Many submissions in a row through one browser host: `python -m local.portal_soak -n 200 -c 4`.

Says whether each was filed once, what the process and its browser held at the start and at the end, and what was left.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Final

import psutil

from local.portal_site.site import portal_site
from local.portal_site.store import Account
from shared.adapters.memory_codes import InMemoryCodeWindows
from shared.portals.browser import BrowserHost
from shared.portals.portals import BrowserPortals
from shared.ports.clock import system_clock
from shared.ports.portal import Credentials, PortalFile

PORTALS: Final = {"aetna": "aetna", "blue_cross": "blue-cross"}
CREDENTIALS: Final = Credentials("clinic", "portal-demo")
WARM: Final = 10  # visits before memory is first read
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Soaked:
    """What a soak saw. Memory is the unique share (USS) of this process's tree, in MiB, at the same idle moments."""

    actions: int
    settled: int
    doubled: int
    browsers_started: int
    processes_left: int
    first_mib: int
    last_mib: int
    peak_mib: int
    seconds: float
    p50_s: float
    p95_s: float


def soak(count: int, concurrency: int) -> Soaked:
    """Submit `count` appeals, `concurrency` at a time, and look at what is left."""
    host = BrowserHost()
    with portal_site() as site:
        for portal in PORTALS:
            site.open_account(Account(portal, CREDENTIALS.username, CREDENTIALS.password))
        portals = BrowserPortals(host, clock=system_clock, windows=InMemoryCodeWindows(), sites=site.template)
        with ThreadPoolExecutor(concurrency) as pool:
            list(pool.map(lambda number: _appeal(portals, -number), range(1, WARM + 1)))
            before, memory = len(site.submissions()), [_memory_mib()]
            started, took = time.monotonic(), list[float]()
            for batch in _batches(count, max(concurrency, count // 20)):
                took += pool.map(lambda number: _appeal(portals, number), batch)
                memory.append(_memory_mib())
            seconds = time.monotonic() - started
        filed = [len(site.filed_about(_portal(n), "appeal", f"CLM-{n}")) for n in range(count)]
        assert sum(filed) == len(site.submissions()) - before  # noqa: S101 - a measurement that must add up
    host.close()
    took.sort()
    return Soaked(
        actions=count,
        settled=sum(number == 1 for number in filed),
        doubled=sum(number > 1 for number in filed),
        browsers_started=host.launches,
        processes_left=len(psutil.Process().children(recursive=True)),
        first_mib=memory[0],
        last_mib=memory[-1],
        peak_mib=max(memory),
        seconds=round(seconds, 1),
        p50_s=round(took[len(took) // 2], 2),
        p95_s=round(took[int(len(took) * 0.95)], 2),
    )


def _appeal(portals: BrowserPortals, number: int) -> float:
    """Submit one appeal; return how many seconds it took."""
    started, portal = time.monotonic(), _portal(number)
    fields = {
        "claim_number": f"CLM-{number}",
        "member_id": "W000111222",
        "client_reference": f"UP-{number}",
        "reason": "timely_filing",
    }
    with portals.session(portals.flow(PORTALS[portal], "submit_appeal").id, credentials=CREDENTIALS) as visit:
        visit.sign_in()
        visit.prepare(fields, [PortalFile("letter", "letter.pdf", b"%PDF-1.7\n" + b"x" * 20_000)])
        visit.commit()
        visit.confirm()
        visit.evidence()
    return time.monotonic() - started


def _portal(number: int) -> str:
    return list(PORTALS)[number % len(PORTALS)]


def _batches(count: int, size: int) -> Sequence[range]:
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def _memory_mib() -> int:
    """Return what this process and all below it hold for themselves alone."""
    total = 0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            total += process.memory_full_info().uss
        except psutil.Error:
            continue
    return total // MIB


def main() -> None:
    """Soak, print, and fail if anything was filed other than once or is left."""
    parser = argparse.ArgumentParser(description="Many submissions in a row, in one worker's browser.")
    parser.add_argument("-n", type=int, default=200, help="how many")
    parser.add_argument("-c", type=int, default=4, help="how many at a time")
    asked = parser.parse_args()
    done = soak(asked.n, asked.c)
    sys.stdout.write(json.dumps(asdict(done), indent=2) + "\n")
    if done.settled != done.actions or done.processes_left:
        sys.exit(1)


if __name__ == "__main__":
    main()
