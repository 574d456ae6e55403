"""Watches a page: waits for what a step needs, and says what went wrong where it does not come.

While it waits it looks, again and again, whether the page as it is now is one of the portal's failure pages. A look
never waits itself: one that did would see the next page.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from shared.portals.language import Detector, Meaning, PortalSpec
from shared.portals.locate import within
from shared.ports.portal import BREAKER_CODES, PortalStopError
from shared.runtime.errors import AmbiguousOutcomeError, TransientError, UpstreamError

if TYPE_CHECKING:
    from playwright.async_api import Frame, Locator, Page, Request, Response

FIRST_LOOK_S: Final = 0.15  # most elements are there by then, and a look costs a round trip a detector
LOOK_EVERY_S: Final = 0.25
POLL_S: Final = 0.03
SETTLED_S: Final = 0.5  # a list that has not changed for so long, with nothing under way, is all there is
SERVER_ERROR: Final = 500
TOO_MANY: Final = 429
GIVEN_UP: Final = ("net::ERR_ABORTED", None)
AWAITED: Final = frozenset({"document", "xhr", "fetch"})

Phase = Literal["signing_in", "signed_in", "committed"]


class Watch:
    """One page. phase: what its failures would mean. place: the step it is at, for the texts of errors."""

    def __init__(self, page: "Page", spec: PortalSpec, *, site: str, patience: float = 1.0) -> None:
        """site: where the portal is. patience: scales the portal's own times; tests are less patient."""
        self._page, self._spec, self._site = page, spec, site
        self.step_s, self.commit_s = spec.step_s * patience, spec.commit_s * patience
        self.phase: Phase = "signing_in"
        self.place = ""
        self._server_error = ""
        self._in_flight: set[Request] = set()
        page.on("request", self._begun)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    @property
    def timeout_ms(self) -> float:
        """How long Playwright's own acts may take now."""
        return (self.commit_s if self.phase == "committed" else self.step_s) * 1000

    def begin(self, place: str, *, acts: bool) -> None:
        """A step begins. acts: it may send requests; what was sent before is no longer what anybody waits for."""
        self.place = place
        if acts:
            self._in_flight.clear()

    async def arrive(self, wanted: "Sequence[Locator]", *, attached: bool = False) -> int:
        """Return which of the locators shows, once one does. attached: being in the document is enough.

        Raises:
            TransientError, PortalStopError: what the page shows instead, or that it is late.
            AmbiguousOutcomeError: the same, after the commit.
        """
        started = time.monotonic()
        deadline, next_look = started + self.timeout_ms / 1000, started + FIRST_LOOK_S
        while True:
            for at, locator in enumerate(wanted):
                if await _shows(locator, attached=attached):
                    return at
            now = time.monotonic()
            if now >= next_look or now >= deadline:
                await self.look()
                next_look = time.monotonic() + LOOK_EVERY_S
            if now >= deadline:
                raise self.gave_up()
            await asyncio.sleep(POLL_S)

    async def settle(self, rows: "Locator") -> None:
        """Return once the page waits for no answer and the rows have been the same for a while: a list may come late.

        Raises:
            TransientError: they still change, or an answer is still out, when the step's time is over (`timeout`).
        """
        from playwright.async_api import Error

        deadline = time.monotonic() + self.timeout_ms / 1000
        before, since = None, time.monotonic()
        while True:
            try:
                now = None if self._in_flight else await rows.all_text_contents()
            except Error:  # the page is just being replaced
                now = None
            if now is None or now != before:
                before, since = now, time.monotonic()
            elif time.monotonic() - since >= SETTLED_S:
                return
            if time.monotonic() >= deadline:
                raise TransientError("timeout", f"{self.place}: the list did not come to rest")
            await asyncio.sleep(POLL_S)

    async def look(self) -> None:
        """Return if the page is none of the portal's failure pages.

        Raises:
            TransientError, PortalStopError, AmbiguousOutcomeError: it is one.
        """
        if self._server_error:
            raise self._error("portal_unavailable", self._server_error)
        meanings = [detector for detector in self._spec.detect if self._counts(detector.means)]
        frames = self._page.frames
        seen = await asyncio.gather(*(_sees(frame, one) for one in meanings for frame in frames))
        found = next((meaning for meaning in seen if meaning), None)
        if found is not None:
            raise self._error(found, "")

    def gave_up(self) -> UpstreamError:
        """Return what it means that a step's element never came."""
        if self.phase == "committed":
            return AmbiguousOutcomeError("commit_unclear", f"{self.place}: no reference")
        if self._in_flight:
            return TransientError("timeout", f"{self.place}: the portal did not answer in time")
        return PortalStopError("unknown_page", f"{self.place}: not on the page")

    def _error(self, meaning: Meaning, detail: str) -> UpstreamError:
        text = f"{self.place}: {detail or meaning}"
        if self.phase == "committed" and meaning != "payer_refused":
            return AmbiguousOutcomeError("commit_unclear", text)
        if meaning == "portal_unavailable" or meaning == "session_lost":  # noqa: PLR1714 - mypy narrows by this form
            return TransientError(meaning, text)
        return PortalStopError(meaning, text)

    def _counts(self, meaning: Meaning) -> bool:
        """Whether a page can mean this now: nobody loses a session while signing in, or types a password afterwards."""
        return meaning not in ({"session_lost"} if self.phase == "signing_in" else BREAKER_CODES)

    def _begun(self, request: "Request") -> None:
        if request.resource_type in AWAITED and request.url.startswith(self._site):
            self._in_flight.add(request)

    def _ended(self, request: "Request") -> None:
        self._in_flight.discard(request)

    def _failed(self, request: "Request") -> None:
        """Note a page that never came. What the browser itself gave up, for another page, has no answer to miss."""
        self._ended(request)
        ours = request.is_navigation_request() and request.url.startswith(self._site)
        if ours and request.failure not in GIVEN_UP:
            self._server_error = "the connection was lost"

    def _answered(self, response: "Response") -> None:
        if response.request.is_navigation_request() and response.url.startswith(self._site):
            status = response.status
            self._server_error = f"HTTP {status}" if status >= SERVER_ERROR or status == TOO_MANY else ""


async def _shows(locator: "Locator", *, attached: bool) -> bool:
    """Whether exactly one element fits, and can be seen. A page that is just being replaced shows nothing."""
    from playwright.async_api import Error

    try:
        return await locator.count() == 1 if attached else await locator.is_visible()
    except Error:
        return False


async def _sees(frame: "Frame", detector: Detector) -> Meaning | None:
    from playwright.async_api import Error

    try:
        count = await within(frame, detector.see).filter(visible=True).count()
    except Error:  # the frame is just being replaced: the next look sees what comes
        return None
    return detector.means if count else None
