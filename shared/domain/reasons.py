"""Why a payer paid less than was charged, and which of these reasons refuse the service. Pure.

A code alone decides, whatever its group: the group says who bears an amount, and a payer that does not know the patient
(PR-31), or whose cover had ended (PR-27), leaves it to the patient and denies the claim all the same.
Source: X12 code lists 139 (claim adjustment reasons) and 1033 (adjustment groups).
"""

from collections.abc import Iterable, Mapping
from typing import Final

from shared.domain.claims import Adjustment, ClaimPayment, PaymentStatus

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
    "85": "interest on what the patient owes",
    "122": "psychiatric reduction",
    "126": "deductible of a major medical plan (code before 1)",
    "127": "coinsurance of a major medical plan (code before 2)",
    "201": "owed by an arrangement of the patient's own",
    "275": "what an earlier payer left to the patient",
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

EARLIER_PAYER: Final = "23"
# CLP02: as whose turn it was, and forwarded to the next
RANKS: Final[Mapping[str, int]] = {"1": 1, "19": 1, "2": 2, "20": 2, "3": 3, "21": 3}
# Where one of these is among the reasons, payer and patient pay no price that a fee schedule could be held against.
NO_PRICE: Final[Mapping[str, str]] = {
    "23": "an earlier payer paid a part",
    "100": "the patient was paid",
    "B11": "another payer pays",
    "24": "capitation pays",
    "139": "funded otherwise",
    "209": "may not be collected",
    "101": "not paid yet",
    "133": "not paid yet",
    "143": "not all paid yet",
    "257": "not paid yet",
    "277": "not paid yet",
}


def is_denial(adjustment: Adjustment) -> bool:
    """Whether a reason refuses a service, rather than pricing it or leaving it to the patient or another payer."""
    return adjustment.carc not in NOT_A_DENIAL


def denials(adjustments: Iterable[Adjustment]) -> tuple[Adjustment, ...]:
    """Return the reasons that refuse a service, the largest amount first."""
    return tuple(
        sorted(filter(is_denial, adjustments), key=lambda reason: (-abs(reason.amount_cents), reason.carc))
    )


def is_priced(payment: ClaimPayment) -> bool:
    """Whether what payer and patient pay is the price of the services, to be held against the fee schedule."""
    return (
        payment.status is not PaymentStatus.NOT_DECIDED
        and payer_rank(payment) in {None, 1}
        and not any(reason.carc in NO_PRICE for reason in payment.reasons)
    )


def payer_rank(payment: ClaimPayment) -> int | None:
    """Return whose turn a payment was: 1 for the payer that is asked first, 2 for the next; None where it does not say.

    A denial by name and a reversal (CLP02 4 and 22) say so only where they show what an earlier payer did.
    """
    ranked = RANKS.get(payment.status_code)
    if ranked is None and any(reason.carc == EARLIER_PAYER for reason in payment.reasons):
        return 2
    return ranked
