"""The portals that there are flows for, in a browser."""

from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from shared.portals.browser import LAUNCHED_WITHIN_S, BrowserHost
from shared.portals.gate import Gate
from shared.portals.hooks import OneTimeCodes
from shared.portals.language import FlowSpec
from shared.portals.loader import FLOWS, read_book
from shared.portals.performer import Performer
from shared.portals.recording import Recorder
from shared.portals.session import BrowserSession, Visit, described
from shared.portals.watch import Watch
from shared.ports.clock import Clock
from shared.ports.one_time_codes import CodeWindows
from shared.ports.portal import Credentials, Flow, FlowId, PortalAction
from shared.runtime.errors import PermanentError

OPENED_WITHIN_S: Final = 2 * LAUNCHED_WITHIN_S


@dataclass(frozen=True, slots=True)
class Lighter:
    """Chromium's headless shell, and the portals that it will do for."""

    host: BrowserHost
    portals: Container[str]


class BrowserPortals:
    """Every flow of a folder, done in Chromium or its headless shell."""

    def __init__(
        self,
        host: BrowserHost,
        *,
        clock: Clock,
        windows: CodeWindows,
        sites: str = "",
        flows: Path = FLOWS,
        patience: float = 1.0,
        recorder: Recorder | None = None,
        lighter: Lighter | None = None,
    ) -> None:
        """host: Chromium. lighter: what some portals are visited with instead, where there is one.

        sites: where to find the portals instead, such as `http://127.0.0.1:8090/{portal}`; empty is their own site.

        patience: scales the flows' own times; tests are less patient. recorder: keeps the pages that are seen.
        """
        self.host = host
        self._lighter = lighter
        self._clock, self._sites, self._folder = clock, sites, flows
        self._codes = OneTimeCodes(windows, clock)
        self._patience, self._recorder = patience, recorder

    def flow(self, payer_key: str, action: PortalAction) -> Flow:
        """Return the newest flow for a payer."""
        return described(
            _newest(
                (
                    spec
                    for spec in self._specs.values()
                    if spec.action == action and payer_key in spec.portal.payer_keys
                ),
                place=f"{payer_key}/{action}",
            )
        )

    def newest(self, portal: str, action: PortalAction) -> Flow:
        """Return the newest flow of a portal by its own name.

        Raises:
            PermanentError: `no_portal_flow`.
        """
        own = (s for s in self._specs.values() if (s.portal.portal, s.action) == (portal, action))
        return described(_newest(own, place=f"{portal}/{action}"))

    def pinned(self, flow: FlowId) -> Flow:
        """Return the flow of that very version."""
        return described(self.spec(flow))

    @contextmanager
    def session(self, flow: FlowId, *, credentials: Credentials) -> Iterator[BrowserSession]:
        """Open a visit, and end it with the block."""
        spec = self.spec(flow)
        stack = AsyncExitStack()
        host = self._browser_for(spec.portal.portal)
        visit = host.run(self._visit(host, stack, spec, credentials), timeout_s=OPENED_WITHIN_S)
        try:
            yield BrowserSession(host, visit, spec, described(spec), self._clock)
        finally:
            host.run(stack.aclose(), timeout_s=OPENED_WITHIN_S)

    def close(self) -> None:
        """End the browsers."""
        self.host.close()
        if self._lighter:
            self._lighter.host.close()

    def _browser_for(self, portal: str) -> BrowserHost:
        return self._lighter.host if self._lighter and portal in self._lighter.portals else self.host

    async def _visit(
        self, host: BrowserHost, stack: AsyncExitStack, spec: FlowSpec, credentials: Credentials
    ) -> Visit:
        gate = await stack.enter_async_context(Gate().listening())
        context = await stack.enter_async_context(host.context(proxy_port=gate.port))
        page = await context.new_page()
        site = self._sites.format(portal=spec.portal.portal) if self._sites else spec.portal.site
        performer = Performer(
            page,
            Watch(page, spec.portal, site=site, patience=self._patience),
            site=site,
            credentials=credentials,
            portal=spec.portal.portal,
            codes=self._codes,
            clock=self._clock,
            recorder=self._recorder,
        )
        return Visit(context, performer, gate)

    @cached_property
    def _specs(self) -> dict[FlowId, FlowSpec]:
        return {described(spec).id: spec for spec in read_book(self._folder).flows}

    def spec(self, flow: FlowId) -> FlowSpec:
        """Return a flow's own text, parsed.

        Raises:
            PermanentError: `no_portal_flow`.
        """
        found = self._specs.get(flow)
        if found is None:
            raise PermanentError("no_portal_flow", str(flow))
        return found


def _newest(specs: Iterable[FlowSpec], *, place: str) -> FlowSpec:
    version: Callable[[FlowSpec], int] = lambda spec: spec.version  # noqa: E731
    newest = max(specs, key=version, default=None)
    if newest is None:
        raise PermanentError("no_portal_flow", place)
    return newest
