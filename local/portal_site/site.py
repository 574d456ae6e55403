"""The simulated payers' portals on one port, and the switches behind them.

with portal_site() as site:
    site.open_account(Account("aetna", "clinic", "secret"))
    site.faults.on("aetna", "captcha")
    ... site.url("aetna") ...
    assert len(site.submissions()) == 1
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Final

from aiohttp import web

from local.portal_site import aetna, blue_cross, control, uhc
from local.portal_site.desk import Desk
from local.portal_site.faults import Switchboard
from local.portal_site.store import Account, AuthorizationFile, ClaimFile, Filed, Kind, Store
from shared.ports.clock import system_clock

SKINS: Final[dict[str, ModuleType]] = {"aetna": aetna, "uhc": uhc, "blue_cross": blue_cross}
STARTED_WITHIN_S: Final = 10.0


@dataclass(slots=True)
class PortalSite:
    """The running portals. What it holds may be read and changed from any thread."""

    store: Store
    faults: Switchboard
    desks: dict[str, Desk]
    port: int = 0

    @property
    def template(self) -> str:
        """Where each portal is, as `UPSTREAM_PORTAL_SITES` wants it."""
        return f"http://127.0.0.1:{self.port}/{{portal}}"

    def url(self, portal: str) -> str:
        """Return where one portal is."""
        return self.template.format(portal=portal)

    def open_account(self, account: Account) -> None:
        """Let somebody sign in."""
        self.store.put_account(account)

    def submissions(self, portal: str = "", *, client_reference: str = "") -> list[Filed]:
        """Return what was filed, oldest first."""
        return self.store.submissions(portal, client_reference=client_reference)

    def filed_about(self, portal: str, kind: Kind, subject: str) -> list[Filed]:
        """Return what was filed about one claim or authorization."""
        return [one for one in self.store.submissions(portal) if (one.kind, one.subject) == (kind, subject)]

    def decide_authorization(self, portal: str, number: str, decided: AuthorizationFile) -> None:
        """Have a payer decide an authorization."""
        self.store.decide_authorization(portal, number, decided)

    def decide_claim(self, portal: str, number: str, decided: ClaimFile) -> None:
        """Have a payer decide a claim."""
        self.store.decide_claim(portal, number, decided)

    def forget_sessions(self) -> None:
        """Sign everybody out."""
        for desk in self.desks.values():
            desk.sessions.clear()


def build_site(
    *,
    database: Path | None = None,
    clock: Callable[[], datetime] = system_clock,
    indexing_s: float = 0.0,
    slow_s: float = 30.0,
) -> PortalSite:
    """Return the portals, not yet served."""
    store, faults = Store(database, clock=clock), Switchboard()
    desks = {name: Desk(name, store, faults, indexing_s=indexing_s, slow_s=slow_s) for name in SKINS}
    return PortalSite(store, faults, desks)


def build_app(site: PortalSite) -> web.Application:
    """Return the application that serves them, and their switches under `/control`."""
    app = web.Application()
    for name, skin in SKINS.items():
        app.add_subapp(f"/{name}", skin.build(site.desks[name]))
    app.add_subapp("/control", control.build(site.store, site.faults))
    return app


async def serve(site: PortalSite, *, port: int = 0) -> web.AppRunner:
    """Serve on the loopback interface until the runner is cleaned up. port: 0 takes a free one."""
    runner = web.AppRunner(build_app(site), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", port)
    await listener.start()
    site.port = int(runner.addresses[0][1])
    return runner


@contextmanager
def portal_site(
    *,
    database: Path | None = None,
    clock: Callable[[], datetime] = system_clock,
    indexing_s: float = 0.0,
    slow_s: float = 30.0,
    port: int = 0,
) -> Iterator[PortalSite]:
    """Serve the portals from a thread of this process until the block ends."""
    site = build_site(database=database, clock=clock, indexing_s=indexing_s, slow_s=slow_s)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="portal-site", daemon=True)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(serve(site, port=port), loop).result(STARTED_WITHIN_S)
    try:
        yield site
    finally:
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(STARTED_WITHIN_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        site.store.close()
