"""Whether a payer paid, denied or took back, from amounts and reasons. Pure.

CLP02 and FHIR's `outcome` say that a claim was processed, not that it was paid: most denials come as status 1 or 2,
nothing paid, and a reason. So a payment of nothing on a positive charge is a denial when a reason for it is one, as
`shared/domain/reasons.py` says.
Source: X12 code list 1029 (claim status).
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

from shared.domain.claims import Adjustment, PaymentStatus
from shared.domain.reasons import is_denial


class Stated(StrEnum):
    """What the payer itself calls its decision, where it does. The amounts may still say otherwise."""

    PROCESSED = "processed"
    DENIED = "denied"
    REVERSED = "reversed"
    NOT_DECIDED = "not_decided"  # another payer's turn, a price in advance, or still pending


CLAIM_STATUS: Final[Mapping[str, Stated]] = {
    # 1, 2, 3 (primary, secondary, tertiary) and 19, 20, 21 (the same, and forwarded too) are decisions: amounts rule.
    "4": Stated.DENIED,
    "22": Stated.REVERSED,
    "23": Stated.NOT_DECIDED,  # not our claim, forwarded to another payer
    "25": Stated.NOT_DECIDED,  # predetermination: a price, no payment
    # 004010 only
    "5": Stated.NOT_DECIDED,  # pended
    "10": Stated.NOT_DECIDED,  # received, not in process
    "13": Stated.NOT_DECIDED,  # suspended
    "15": Stated.NOT_DECIDED,  # suspended for investigation
    "16": Stated.NOT_DECIDED,  # suspended, material returned
    "17": Stated.NOT_DECIDED,  # suspended for review by another organisation
    "27": Stated.NOT_DECIDED,  # reviewed
}

PATIENT_OWES: Final = "PR"


def decide(
    *,
    stated: Stated,
    charge_cents: int,
    paid_cents: int,
    patient_cents: int,
    reasons: Collection[Adjustment],
) -> PaymentStatus:
    """Return what a claim payment says. reasons: the adjustments that bring the payment down.

    A payment is partial when some of the claim was denied; a price below the charge does not make it so. Nothing paid
    without any reason, the patient's share included, is a denial. Of a claim that is not decided the reader adds the
    finding `not_decided`; but money that was paid was paid, whatever it is called.
    """
    if stated is Stated.REVERSED or (paid_cents < 0 and charge_cents < 0):
        return PaymentStatus.REVERSED
    denied = any(is_denial(reason) for reason in reasons)
    if paid_cents:
        return PaymentStatus.PARTIALLY_PAID if denied or stated is Stated.DENIED else PaymentStatus.PAID
    if stated is Stated.DENIED:
        return PaymentStatus.DENIED
    if stated is Stated.NOT_DECIDED:
        return PaymentStatus.NOT_DECIDED
    if charge_cents <= 0:
        return PaymentStatus.PAID
    unexplained = not reasons and not patient_cents
    return PaymentStatus.DENIED if denied or unexplained else PaymentStatus.PAID
