"""A search that does not answer what was asked says nothing about our submission; one that comes late is waited for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import pytest
from aiohttp import web

from shared.adapters.memory_codes import InMemoryCodeWindows
from shared.portals.browser import BrowserHost
from shared.portals.portals import BrowserPortals
from shared.ports.clock import system_clock
from shared.ports.portal import (
    Absent,
    Credentials,
    Evidence,
    Found,
    Lookup,
    PortalSession,
    Submission,
    Unclear,
)
from shared.runtime.errors import AmbiguousOutcomeError
from tests.functional.portals.test_secrecy import NOISE, difference

T = TypeVar("T")

LONG_AGO: Final = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS: Final = {"client_reference": "UP-1"}
PORTAL: Final = """
version: 1
payer_keys: [late]
site: https://late.invalid
sign_in:
  - goto: /
  - {fill: {label: User}, secret: username}
  - {fill: {label: Password}, secret: password}
  - expect: {role: heading, name: Late}
detect:
  - {see: {css: .down}, means: portal_unavailable}
"""
FLOW: Final = """
version: 1
portal: 1
echoes_reference: true
visible_after_s: 300
lookup:
  steps:
    - goto: /list
    - {expect: {css: table}, absent: {css: p.none}}
  rows: {css: tbody tr}
  reference: {css: .number}
  client_reference: {css: .ours}
steps:
  - goto: /
  - {fill: {label: Reference}, field: client_reference}
  - {click: {role: button, name: Submit}, commit: true}
  - {extract: {css: "#number"}, into: reference}
"""
HOME: Final = """<!doctype html><h1>Late</h1><label>User <input></label><label>Password <input></label>
<label>Reference <input></label><button onclick="fetch('/pressed', {method: 'POST'})">Submit</button>"""
NONE: Final = '<p class="none">Nothing was found.</p>'
TABLE: Final = "<table><tbody>{rows}</tbody></table>"
# The page shows something at once, and the rest once the server has answered.
LATE: Final = """<script>fetch('/rows').then((answer) => answer.text()).then((rows) => {
document.querySelector('#list').innerHTML = rows; });</script>"""


def row(number: str, ours: str) -> str:
    return f'<tr><td class="number">{number}</td><td class="ours">{ours}</td></tr>'


class Site:
    """A portal with one page to submit and one to search. early, late: what its list shows at once, and then."""

    def __init__(self) -> None:
        self.early = self.late = ""
        self.pressed = 0

    async def home(self, _: web.Request) -> web.Response:
        return web.Response(text=HOME, content_type="text/html")

    async def list(self, _: web.Request) -> web.Response:
        page = f'<!doctype html><div id="list">{self.early}</div>{LATE if self.late else ""}'
        return web.Response(text=page, content_type="text/html")

    async def rows(self, _: web.Request) -> web.Response:
        await asyncio.sleep(0.8)
        return web.Response(text=self.late, content_type="text/html")

    async def press(self, _: web.Request) -> web.Response:
        self.pressed += 1
        return web.Response()


@pytest.fixture
async def late_site() -> AsyncIterator[tuple[Site, str]]:
    site, app = Site(), web.Application()
    app.router.add_get("/", site.home)
    app.router.add_get("/list", site.list)
    app.router.add_get("/rows", site.rows)
    app.router.add_post("/pressed", site.press)
    runner = web.AppRunner(app)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    port = runner.addresses[0][1]
    yield site, f"http://127.0.0.1:{port}"
    await runner.cleanup()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    portal = tmp_path / "flows" / "late"
    portal.mkdir(parents=True)
    (portal / "portal.yaml").write_text(PORTAL)
    (portal / "submit_appeal.yaml").write_text(FLOW)
    return portal.parent


async def visited(folder: Path, host: BrowserHost, sites: str, do: Callable[[PortalSession], T]) -> T:
    """Sign in and do something, on a thread of its own as a subscriber does."""
    portals = BrowserPortals(
        host, clock=system_clock, windows=InMemoryCodeWindows(), sites=sites, flows=folder, patience=0.2
    )

    def visit() -> T:
        flow = portals.flow("late", "submit_appeal")
        with portals.session(flow.id, credentials=Credentials("u", "p")) as session:
            session.sign_in()
            return do(session)

    return await asyncio.to_thread(visit)


OURS, FOREIGN = row("N-1", "UP-1"), row("N-2", "UP-12")
LISTED: Final = Found((Submission("N-1", "UP-1"),))


@pytest.mark.parametrize(
    ("early", "late", "found"),
    [
        pytest.param(NONE, "", Absent(), id="nothing"),
        pytest.param(TABLE.format(rows=OURS + FOREIGN), "", LISTED, id="ours among others"),
        pytest.param(TABLE.format(rows=FOREIGN), "", Unclear("others"), id="one that is nearly ours"),
        pytest.param(TABLE.format(rows=FOREIGN * 25), "", Unclear("others"), id="a page of others"),
        pytest.param(TABLE.format(rows=OURS * 2), "", Unclear("several"), id="ours twice"),
        pytest.param(
            TABLE.format(rows=FOREIGN), TABLE.format(rows=FOREIGN + OURS), LISTED, id="ours comes late"
        ),
        pytest.param(NONE, TABLE.format(rows=OURS), LISTED, id="nothing is said too early"),
    ],
)
async def test_only_a_search_that_found_nothing_says_that_there_is_nothing(
    folder: Path, host: BrowserHost, late_site: tuple[Site, str], early: str, late: str, found: Lookup
) -> None:
    site, address = late_site
    site.early, site.late = early, late
    assert found == await visited(
        folder, host, address, lambda session: session.lookup(FIELDS, committed_at=LONG_AGO)
    )


async def test_among_others_ours_may_still_appear_while_the_portal_is_indexing(
    folder: Path, host: BrowserHost, late_site: tuple[Site, str]
) -> None:
    site, address = late_site
    site.early = TABLE.format(rows=FOREIGN)
    found = await visited(
        folder, host, address, lambda session: session.lookup(FIELDS, committed_at=system_clock())
    )
    assert isinstance(found, Unclear)
    assert found.reason == "not_indexed"


async def test_nobody_presses_submit_once_its_leave_is_over(
    folder: Path, host: BrowserHost, late_site: tuple[Site, str]
) -> None:
    site, address = late_site

    def press(session: PortalSession) -> None:
        session.prepare(FIELDS)
        with pytest.raises(AmbiguousOutcomeError, match="the lease ended"):
            session.commit(before=system_clock())

    await visited(folder, host, address, press)
    assert site.pressed == 0


@pytest.mark.parametrize("form", ["{:%Y-%m-%d}", "{:%m/%d/%Y}", "{0.month}/{0.day}/{0.year}"])
async def test_a_patient_whom_a_page_shows_and_nobody_typed_is_not_in_its_picture(
    folder: Path, host: BrowserHost, late_site: tuple[Site, str], form: str
) -> None:
    site, address = late_site

    def pictured(session: PortalSession, fields: Mapping[str, str]) -> Evidence:
        session.lookup(fields)
        return session.evidence()

    pictures = []
    for name, member, born_on in (
        ("Wilhelmina Testcase", "W998877665", date(1961, 7, 4)),
        ("Theodoreth Examples", "X112233445", date(1954, 2, 3)),
    ):
        first, last = name.split()
        site.early = f"<p>{last}, {first} ({member}), born {form.format(born_on)}</p>" + NONE
        fields = FIELDS | {"patient_name": name, "member_id": member, "born_on": born_on.isoformat()}
        pictures.append(await visited(folder, host, address, partial(pictured, fields=fields)))
    assert await asyncio.to_thread(difference, host, *pictures) <= NOISE
