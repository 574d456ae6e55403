"""Whether a payer paid, denied or took back, from amounts and reasons. Pure.

CLP02 and FHIR's `outcome` say that a claim was processed, not that it was paid: most denials come as status 1 or 2,
nothing paid, and a reason. So a payment of nothing on a positive charge is a denial when a reason for it is one. A
reason is a denial unless its group says that the patient owes the amount (PR) or its code is listed below.
Source: X12 code lists 1029 (claim status), 1033 (adjustment groups), 139 (claim adjustment reasons).
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

from shared.domain.claims import Adjustment, PaymentStatus


class Stated(StrEnum):
    """What the payer itself calls its decision, where it does. The amounts may still say otherwise."""

    PROCESSED = "processed"
    DENIED = "denied"
    REVERSED = "reversed"
    NOT_DECIDED = (
        "not_decided"  # another payer's turn, a price in advance, or still pending: nothing to appeal yet
    )


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

# Reasons that bring a payment down, to nothing if they cover the whole charge, without refusing the service.
# A code that is not here counts as a denial: a write-off shown to a person costs less than a denial nobody sees.
NOT_A_DENIAL: Final[Mapping[str, str]] = {
    # the patient's share, whatever group it comes in
    "1": "deductible",
    "2": "coinsurance",
    "3": "copayment",
    "66": "blood deductible",
    "142": "what Medicaid has the patient pay monthly",
    "178": "spend-down not yet met",
    "187": "paid from the patient's spending account",
    "241": "copayment of the low income subsidy",
    "247": "deductible of a professional service on an institutional claim",
    "248": "coinsurance of a professional service on an institutional claim",
    # the price agreed or set
    "42": "above the fee schedule (code before 45)",
    "45": "above the fee schedule or contract",
    "59": "reduced beside other procedures of the day",
    "A2": "contractual adjustment (code before 45)",
    "131": "discount negotiated for the claim",
    "217": "above the reasonable and customary price",
    "P5": "above the reasonable and customary price (property and casualty)",
    "P12": "workers' compensation fee schedule",
    "P24": "price of a preferred provider organisation",
    "W1": "workers' compensation fee schedule (code before P12)",
    "24": "paid for by capitation",
    "132": "demonstration project",
    "139": "contracted funding: the provider employs the subscriber",
    "209": "an agreement forbids to bill it to the patient",
    # a discount, withholding, penalty or tax on what is paid
    "44": "prompt-pay discount",
    "90": "ingredient cost",
    "91": "dispensing fee",
    "94": "more was paid than charged",
    "104": "managed care withholding",
    "B4": "late filing penalty",
    "105": "tax withholding",
    "137": "surcharge, assessment or tax",
    "144": "incentive",
    "161": "performance bonus",
    "225": "interest or penalty paid by the payer",
    "235": "sales tax",
    "237": "regulatory penalty on the provider's rates",
    "245": "performance programme withholding",
    "253": "sequestration",
    # somebody else paid, or pays
    "23": "what earlier payers paid and adjusted",
    "100": "paid to the patient or insured",
    "B11": "transferred to the payer that is responsible",
    # no money was asked for, or the last word is not said
    "101": "predetermination: payment expected when services are rendered",
    "133": "line pending further review",
    "143": "part of the payment deferred",
    "246": "reporting code that is never paid",
    "257": "undetermined in the premium grace period",
    "277": "undetermined in the premium grace period (small business exchange)",
}


def is_denial(adjustment: Adjustment) -> bool:
    """Whether a reason refuses a service, rather than pricing it or leaving it to the patient or another payer."""
    return adjustment.group != PATIENT_OWES and adjustment.carc not in NOT_A_DENIAL


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
    without any reason, the patient's share included, is a denial. A claim that is not decided counts as paid, with
    nothing, and its reader adds the finding `not_decided`: it is neither to be appealed nor in a denial rate.
    """
    if stated is Stated.REVERSED or (paid_cents < 0 and charge_cents < 0):
        return PaymentStatus.REVERSED
    denied = any(is_denial(reason) for reason in reasons)
    if paid_cents:
        return PaymentStatus.PARTIALLY_PAID if denied or stated is Stated.DENIED else PaymentStatus.PAID
    if stated is Stated.DENIED:
        return PaymentStatus.DENIED
    if stated is Stated.NOT_DECIDED or charge_cents <= 0:
        return PaymentStatus.PAID
    unexplained = not reasons and not patient_cents
    return PaymentStatus.DENIED if denied or unexplained else PaymentStatus.PAID
