"""Many actions at once, as a worker does them day after day: each filed once, and nothing grows.

UPSTREAM_MANY_ACTIONS says how many; every build does a few.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson
import psutil
import pytest

from local.portal_site.site import PortalSite
from local.portal_site.store import Account
from shared.adapters.memory import InMemorySecretStore
from shared.adapters.memory_codes import InMemoryCodeWindows
from shared.portals.browser import BrowserHost
from shared.portals.pdf import ChromiumPdfPrinter
from shared.portals.portals import BrowserPortals
from shared.ports.clock import system_clock
from tests.functional.action_desk import PASSWORD, Desk

if TYPE_CHECKING:
    from shared.domain.events import Received
    from tests.functional.conftest import Pipeline

MANY: Final = int(os.environ.get("UPSTREAM_MANY_ACTIONS", "8"))
AT_ONCE: Final = 4
PAYERS: Final = (("aetna", "aetna"), ("blue_cross", "blue-cross"))


@pytest.fixture
def own_host(chromium: str) -> Iterator[BrowserHost]:
    running = BrowserHost(chromium)
    yield running
    running.close()


def practices(pipeline: "Pipeline", folder: Path, site: PortalSite, host: BrowserHost) -> list[Desk]:
    """Return four customers, each with an account of its own: nobody waits for another's session."""
    portals = BrowserPortals(host, clock=system_clock, windows=InMemoryCodeWindows(), sites=site.template)
    desks = []
    for nth in range(AT_ONCE):
        portal, payer = PAYERS[nth % len(PAYERS)]
        desk = Desk(pipeline, folder, payer=payer, number=f"M{nth}-{time.monotonic_ns()}")
        username = f"many-{desk.number}"
        site.open_account(Account(portal, username, PASSWORD))
        held = orjson.dumps({"username": username, "password": PASSWORD}).decode()
        desk.worker = replace(
            desk.worker,
            portals=lambda: portals,
            printer=ChromiumPdfPrinter(host),
            secrets=InMemorySecretStore({f"{desk.customer}-{portal}-portal-credentials": (held,)}),
            clock=system_clock,
        )
        desks.append(desk)
    return desks


def children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def our_own(others: set[psutil.Process]) -> set[psutil.Process]:
    """Return the children without those of other tests, and without what those start: a browser does at any time."""
    own = set()
    for child in children() - others:
        with suppress(psutil.Error):  # it ended meanwhile
            if others.isdisjoint(child.parents()):
                own.add(child)
    return own


def resident_mb(others: set[psutil.Process]) -> float:
    """Return what this process and its browser hold, shared pages counted once, and not what other tests started."""
    held = 0
    for process in {psutil.Process()} | our_own(others):
        with suppress(psutil.Error):  # a renderer that ended meanwhile
            held += process.memory_full_info().pss
    return held / 1e6


@pytest.mark.timeout(3600)
def test_each_of_many_actions_is_filed_once_and_nothing_grows(
    pipeline: "Pipeline", tmp_path: Path, site: PortalSite, own_host: BrowserHost
) -> None:
    others = children()  # own_host has started none yet
    desks = practices(pipeline, tmp_path, site, own_host)
    work: list[list[Received]] = [
        [
            desk.request("submit_reauth_request"),
            *(
                desk.request(subject=f"claims/{desk.deny(f'{desk.number}-{n}')}")
                for n in range(1, MANY // AT_ONCE)
            ),
        ]
        for desk in desks
    ]
    memory: list[float] = []
    began = time.monotonic()

    def do_all(nth: int) -> None:
        for received in work[nth]:
            desks[nth].do(received)
            if nth == 0:
                memory.append(resident_mb(others))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(do_all, range(AT_ONCE)))
    seconds = time.monotonic() - began
    rows = [desk.row(received) for desk, mine in zip(desks, work, strict=True) for received in mine]
    assert {row["state"] for row in rows} == {"settled"}
    submitted = [row["reference"] for row in rows if row["type"].startswith("submit")]
    users = {f"many-{desk.number}" for desk in desks}
    filed = [one.reference for one in site.submissions() if one.username in users]
    assert sorted(submitted) == sorted(filed)
    assert len(set(filed)) == len(filed)
    told = f"{len(rows)} actions, {len(filed)} filed, {seconds:.0f} s; MB first {memory[0]:.0f}, last {memory[-1]:.0f}"
    print(told, f"peak {max(memory):.0f}")  # noqa: T201 - what the run is for
    steady = memory[len(memory) // 4 :]
    assert steady[-1] < steady[0] * 1.5
    own_host.close()
    # The last of its processes end just after their browser.
    _, left = psutil.wait_procs(our_own(others), timeout=10)
    assert not [child for child in left if "chrom" in child.name()]
