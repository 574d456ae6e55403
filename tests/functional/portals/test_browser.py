"""The browser's own life: one at a time, replaced when it is old, started again when it died, and none left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from local.portal_site.site import PortalSite
from shared.adapters.memory_codes import InMemoryCodeWindows
from shared.portals.browser import BrowserHost
from shared.portals.chromium import find_chromium, find_headless_shell
from shared.portals.manners import read_manners, shell_will_do
from shared.portals.pdf import ChromiumPdfPrinter
from shared.portals.portals import BrowserPortals, Lighter
from shared.ports.clock import system_clock
from shared.ports.portal import Credentials
from shared.runtime.errors import TransientError

ENDED_WITHIN_S = 15.0
WORKER = """
import sys
from shared.portals.browser import BrowserHost
from shared.portals.pdf import ChromiumPdfPrinter
host = BrowserHost(sys.argv[1])
ChromiumPdfPrinter(host).print_pdf("<p>up</p>")
print("up", flush=True)
sys.stdin.read()
"""


def browsers(parent: psutil.Process) -> list[psutil.Process]:
    """Return the Chromium processes below another that still run."""
    found = []
    for child in parent.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "chrom" in child.name() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


def roots(before: set[int]) -> list[psutil.Process]:
    """Return the browsers' own processes that were not there before."""
    found = []
    for child in browsers(psutil.Process()):
        with contextlib.suppress(psutil.Error):
            if child.pid not in before and "--type=" not in " ".join(child.cmdline()):
                found.append(child)
    return found


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + ENDED_WITHIN_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_browser_is_replaced_after_so_many_contexts_and_none_is_left(chromium: str) -> None:
    before = {child.pid for child in browsers(psutil.Process())}
    host = BrowserHost(chromium, contexts_per_browser=2)
    printer = ChromiumPdfPrinter(host)
    for _ in range(5):
        assert printer.print_pdf("<p>x</p>").startswith(b"%PDF-")
    assert host.launches == 3
    assert eventually(lambda: len(roots(before)) == 1)
    host.close()
    assert eventually(lambda: {child.pid for child in browsers(psutil.Process())} <= before)


def test_a_browser_that_died_is_started_again(chromium: str) -> None:
    before = {child.pid for child in browsers(psutil.Process())}
    host = BrowserHost(chromium)
    printer = ChromiumPdfPrinter(host)
    printer.print_pdf("<p>x</p>")
    assert eventually(lambda: len(roots(before)) == 1)
    (browser,) = roots(before)
    browser.kill()
    assert eventually(lambda: roots(before) == [])

    def prints() -> bool:
        with contextlib.suppress(TransientError):  # until Playwright hears of it, a visit is put off
            return printer.print_pdf("<p>x</p>").startswith(b"%PDF-")
        return False

    assert eventually(prints)
    assert host.launches == 2
    host.close()


def test_a_worker_that_is_killed_leaves_no_browser(chromium: str) -> None:
    command = [sys.executable, "-c", WORKER, chromium]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"up\n"
        started = browsers(psutil.Process(worker.pid))
        assert started
        os.kill(worker.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(started, timeout=ENDED_WITHIN_S)
    assert alive == []


def test_without_chromium_a_visit_is_put_off(tmp_path: Path) -> None:
    host = BrowserHost(str(tmp_path / "nothing"))
    with pytest.raises(TransientError, match="Chromium did not start"):
        ChromiumPdfPrinter(host).print_pdf("<p>x</p>")
    host.close()


def test_a_pdf_is_tagged_has_text_and_counts_its_pages(host: BrowserHost) -> None:
    html = "<!doctype html><html lang=en><title>T</title><h1>Appeal</h1>" + "<p>Dear payer</p>" * 90
    pdf = ChromiumPdfPrinter(host).print_pdf(html, footer="Claim <C-1> & more")
    assert pdf.count(b"/Type /Page\n") >= 2
    assert b"/StructTreeRoot" in pdf
    assert b"/Outlines" in pdf
    assert b"/ToUnicode" in pdf


def test_the_named_chromium_comes_first_then_the_machines_then_playwrights(tmp_path: Path) -> None:
    kept = tmp_path / "browsers" / "chromium-1200" / "chrome-linux64" / "chrome"
    own, named = tmp_path / "bin" / "chromium", tmp_path / "named"
    for path in (kept, own, named):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    environ = {"PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "browsers"), "PATH": ""}
    assert find_chromium(environ) == str(kept)
    assert find_chromium(environ | {"PATH": str(own.parent)}) == str(own)
    assert find_chromium(environ | {"PATH": str(own.parent), "UPSTREAM_CHROMIUM": str(named)}) == str(named)
    assert find_chromium(environ | {"UPSTREAM_CHROMIUM": str(tmp_path / "gone")}) is None


@pytest.mark.parametrize(("portal", "lightly"), [("aetna", True), ("uhc", False)])
def test_a_portal_is_visited_with_the_browser_that_will_do(
    chromium: str, site: PortalSite, portal: str, *, lightly: bool
) -> None:
    host, shell = BrowserHost(chromium), BrowserHost(find_headless_shell() or chromium)
    lighter = Lighter(shell, shell_will_do(read_manners()))
    portals = BrowserPortals(
        host, clock=system_clock, windows=InMemoryCodeWindows(), sites=site.template, lighter=lighter
    )
    flow = portals.newest(portal, "check_claim_status")
    with portals.session(flow.id, credentials=Credentials("nobody", "nothing")):
        assert (shell.launches, host.launches) == ((1, 0) if lightly else (0, 1))
    portals.close()
