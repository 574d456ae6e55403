"""One-time codes: RFC 6238's own, each given to one visit."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.memory_codes import InMemoryCodeWindows
from shared.portals.hooks import OneTimeCodes
from shared.ports.portal import Credentials, PortalStopError
from shared.runtime.errors import TransientError

# RFC 6238, appendix B: the secret "12345678901234567890" at 59 s and at 1111111109 s, the last six digits of each.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_CODES = [(59 - 20, "287082"), (1111111109 - 20, "081804")]


class Hands:
    """A clock that moves when somebody waits."""

    def __init__(self, seconds: float) -> None:
        self.now = datetime.fromtimestamp(seconds, UTC)

    def __call__(self) -> datetime:
        return self.now

    async def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def credentials(secret: str = RFC_SECRET, username: str = "clinic") -> Credentials:
    return Credentials(username, "x", secret)


@pytest.mark.parametrize(("seconds", "code"), RFC_CODES)
async def test_the_code_is_that_of_the_rfc(seconds: float, code: str) -> None:
    hands = Hands(seconds)
    codes = OneTimeCodes(InMemoryCodeWindows(), hands, hands.wait)
    assert await codes.code("uhc", credentials()) == code


async def test_a_second_visit_waits_for_the_next_window() -> None:
    hands = Hands(1_000_000_020)
    codes = OneTimeCodes(InMemoryCodeWindows(), hands, hands.wait)
    first = await codes.code("uhc", credentials())
    assert hands.now.timestamp() == 1_000_000_020
    assert await codes.code("uhc", credentials()) != first
    assert hands.now.timestamp() >= 1_000_000_020 // 30 * 30 + 30
    assert await codes.code("uhc", credentials(username="another")) is not None


async def test_a_code_that_is_about_to_end_is_not_begun() -> None:
    hands = Hands(1_000_000_019)  # one second before a window ends
    await OneTimeCodes(InMemoryCodeWindows(), hands, hands.wait).code("uhc", credentials())
    assert hands.now.timestamp() >= 1_000_000_020


async def test_where_others_take_every_window_the_visit_is_put_off() -> None:
    class Taken:
        def take(self, account: str, window: int) -> bool:
            assert "clinic" not in account
            return window < 0

    hands = Hands(1_000_000_020)
    with pytest.raises(TransientError):
        await OneTimeCodes(Taken(), hands, hands.wait).code("uhc", credentials())


@pytest.mark.parametrize("secret", ["", "not base 32!", "GEZDGNBV"])
async def test_without_a_usable_secret_no_code_is_tried(secret: str) -> None:
    hands = Hands(1_000_000_020)
    with pytest.raises(PortalStopError) as caught:
        await OneTimeCodes(InMemoryCodeWindows(), hands, hands.wait).code("uhc", credentials(secret))
    assert caught.value.code == "mfa_refused"


async def test_a_secret_of_eighty_bits_as_many_portals_give_is_taken() -> None:
    hands = Hands(1_000_000_020)
    codes = OneTimeCodes(InMemoryCodeWindows(), hands, hands.wait)
    assert len(await codes.code("uhc", credentials("JBSWY3DPEHPK3PXP"))) == 6
