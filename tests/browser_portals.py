"""One Chromium and one simulator for the suite; each test switches its own faults and leaves none."""

import os
from collections.abc import Iterator

import pytest

from local.portal_site.site import PortalSite, portal_site
from shared.adapters.memory_codes import InMemoryCodeWindows
from shared.portals.browser import BrowserHost
from shared.portals.chromium import find_chromium, find_headless_shell
from shared.portals.portals import BrowserPortals, Lighter
from shared.ports.clock import system_clock
from tests.functional.portals.visits import PATIENCE, SLOW_S


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is. CI may not do without it."""
    found = find_chromium()
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs Chromium: apt-get install chromium")
        pytest.skip("no Chromium on this machine")
    return found


@pytest.fixture(scope="session")
def host(chromium: str) -> Iterator[BrowserHost]:
    running = BrowserHost(chromium)
    yield running
    running.close()


@pytest.fixture(scope="session")
def shell(host: BrowserHost) -> Iterator[BrowserHost]:
    """The lighter browser; Chromium itself where there is none."""
    found = find_headless_shell()
    running = BrowserHost(found) if found else host
    yield running
    running.close()


@pytest.fixture(scope="session")
def shared_site() -> Iterator[PortalSite]:
    with portal_site(slow_s=SLOW_S) as site:
        yield site


@pytest.fixture
def site(shared_site: PortalSite) -> Iterator[PortalSite]:
    yield shared_site
    shared_site.faults.clear()


@pytest.fixture
def portals(host: BrowserHost, shell: BrowserHost, site: PortalSite) -> BrowserPortals:
    return BrowserPortals(
        host,
        clock=system_clock,
        windows=InMemoryCodeWindows(),
        sites=site.template,
        patience=PATIENCE,
        lighter=Lighter(shell, ["aetna", "blue_cross"]),
    )
