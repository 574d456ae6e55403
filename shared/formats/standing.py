"""Where a claim stands, by the category of its status. Pure.

The words are ours; X12 publishes the codes, and its descriptions of them are not free to copy.
Source: X12 code list 507 (claim status category).
"""

from collections.abc import Iterable, Mapping
from typing import Final

from shared.domain.claims import StatusCode

UNKNOWN: Final = "unknown"

STANDINGS: Final[Mapping[str, str]] = {
    # acknowledgements (277CA)
    "A0": "forwarded",  # to another party; that one answers
    "A1": "received",
    "A2": "accepted",  # taken into adjudication
    "A3": "rejected",  # not taken: correct it and send it anew
    "A4": "not_found",
    "A5": "split",
    "A6": "rejected",  # something is missing
    "A7": "rejected",  # something is invalid
    "A8": "rejected",  # parts contradict each other
    # pending
    "P0": "pending",
    "P1": "pending",
    "P2": "pending",  # under review
    "P3": "information_requested",  # by the payer, of the provider
    "P4": "information_requested",  # of the patient
    "P5": "pending",  # at another party's
    # decided
    "F0": "decided",
    "F1": "paid",
    "F2": "denied",
    "F3": "revised",
    "F3F": "revised",
    "F3N": "decided",
    "F4": "decided",  # nothing is paid, and nothing else follows
    # asked for more
    **dict.fromkeys((f"R{number}" for number in range(18)), "information_requested"),
    # the question itself failed
    "E0": "error",
    "E1": "error",
    "E2": "error",
    "E3": "error",
    "E4": "error",
    "D0": "not_found",
    # data reporting acknowledgements (X364)
    "DR01": "received",
    "DR02": "accepted",
    "DR03": "rejected",
    "DR04": "rejected",
    "DR05": "rejected",
    "DR06": "rejected",
    "DR07": "rejected",
    "DR08": "accepted",  # with a warning
}

# Of several codes the one that asks most of the provider says where the claim stands.
_WEIGHT: Final = (
    "rejected",
    "error",
    "denied",
    "not_found",
    "information_requested",
    "revised",
    "paid",
    "decided",
    "pending",
    "split",
    "accepted",
    "received",
    "forwarded",
    UNKNOWN,
)


def standing(codes: Iterable[StatusCode]) -> str:
    """Return where a claim with these codes stands; unknown for none that is known."""
    known = {STANDINGS.get(code.category, UNKNOWN) for code in codes}
    return next((word for word in _WEIGHT if word in known), UNKNOWN)
