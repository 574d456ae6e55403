"""How each payer calls an appeal of a claim, and whom the letter addresses. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class House:
    """One payer's words. first, later: what it calls an appeal at its first and at later levels."""

    department: str
    first: str
    later: str
    source: str = ""


HOUSES: Final[Mapping[str, House]] = {
    "aetna": House(
        department="Provider Resolution Team",
        first="reconsideration",
        later="appeal",
        source="https://www.aetna.com/health-care-professionals/disputes-appeals.html",
    ),
    "unitedhealthcare": House(
        department="Claim Reconsideration and Appeals",
        first="claim reconsideration",
        later="formal appeal",
        source="https://www.uhcprovider.com/en/admin-guides.html, Claim reconsideration and appeals process",
    ),
    "blue-cross": House(
        department="Provider Appeals", first="provider appeal", later="second-level provider appeal"
    ),
}
ANY_HOUSE: Final = House(department="Provider Appeals", first="appeal", later="second-level appeal")


def house_of(payer_key: str) -> House:
    """Return a payer's words, or those that any payer understands."""
    return HOUSES.get(payer_key, ANY_HOUSE)
