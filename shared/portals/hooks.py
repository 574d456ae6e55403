"""What a flow cannot say in its seven steps: one-time codes and odd widgets. A flow names a hook; here they all are."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.ports.clock import Clock
from shared.ports.one_time_codes import CodeWindows
from shared.ports.portal import Credentials, PortalStopError
from shared.runtime.errors import TransientError

if TYPE_CHECKING:
    from playwright.async_api import FilePayload, FrameLocator, Locator, Page

CODE_LASTS_S: Final = 30
TYPED_WITHIN_S: Final = 3.0  # a code that ends sooner would be late when it arrives
WINDOWS_TRIED: Final = 4


@dataclass(frozen=True, slots=True)
class OneTimeCodes:
    """RFC 6238 codes, each typed once. wait: sleeps for so many seconds."""

    windows: CodeWindows
    clock: Clock
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def code(self, portal: str, credentials: Credentials) -> str:
        """Return a code that nobody has typed, waiting for the next window where this one's is used.

        Raises:
            PortalStopError: `mfa_refused`; there is no secret to make one from, or it is not Base32.
            TransientError: `timeout`; others of this account were quicker, window after window.
        """
        account = hashlib.sha256(f"{portal}\x1f{credentials.username}".encode()).hexdigest()
        make = _codes_of(credentials.totp_secret)
        for _ in range(WINDOWS_TRIED):
            now_s = self.clock().timestamp()
            window, left_s = int(now_s // CODE_LASTS_S), CODE_LASTS_S - now_s % CODE_LASTS_S
            if left_s >= TYPED_WITHIN_S and await asyncio.to_thread(self.windows.take, account, window):
                return make(window)
            await self.wait(left_s + 0.1)
        raise TransientError("timeout", "no free one-time code")


def _codes_of(secret: str) -> Callable[[int], str]:
    import pyotp

    class Codes(pyotp.TOTP):
        min_secret_length_bits = 80  # the portal chose the secret, and many give no more than this

    if not secret:
        raise PortalStopError("mfa_refused", "the portal asks for a code, and no secret is stored")
    try:
        return Codes(secret).generate_otp
    except ValueError as exc:
        raise PortalStopError("mfa_refused", "the stored secret is not Base32, or too short") from exc


async def choose_in_listbox(
    scope: "Page | FrameLocator", at: "Locator", option: str, *, timeout_ms: float
) -> None:
    """Pick from a list that is drawn rather than a `<select>`: open it, and press the option of that very name."""
    await at.click(timeout=timeout_ms)
    await scope.get_by_role("option", name=option, exact=True).click(timeout=timeout_ms)


async def upload_by_chooser(
    page: "Page", at: "Locator", files: Sequence["FilePayload"], *, timeout_ms: float
) -> None:
    """Hand files over where the input is in no document: press the button, and answer the chooser that it opens."""
    async with page.expect_file_chooser(timeout=timeout_ms) as chooser:
        await at.click(timeout=timeout_ms)
    await (await chooser.value).set_files(list(files), timeout=timeout_ms)
