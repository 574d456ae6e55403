"""How a payer adjudicated a claim or an item: amounts by category, and the reasons. Pure: no I/O.

Source: FHIR R4, ClaimResponse.item.adjudication; CARIN Blue Button 2.1, value set C4BBAdjudication; X12 code lists 139
(CARC), 411 (RARC) and 1033 (groups) by their x12.org systems.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from shared.domain.claims import Adjustment
from shared.formats.code_sets import is_code
from shared.formats.fhir.elements import codings, concept_codes, money
from shared.formats.json_members import inside
from shared.formats.json_text import Json

_GROUPS: Final = frozenset({"CO", "PR", "OA", "PI", "CR"})
_CARC = re.compile(r"claim-adjustment-reason|\bcarc\b", re.IGNORECASE).search
_REMARK = re.compile(r"remark|\brarc\b|adjudication-reason|adjudication-error", re.IGNORECASE).search
# Their amounts are what was asked or paid. A reason beside one explains it, and is not the amount taken off.
_NOT_TAKEN_OFF: Final = frozenset(
    {"submitted", "eligible", "benefit", "paidtoprovider", "paidtopatient", "paidbypatient"}
)
_PATIENT_SHARE: Final = ("copay", "coinsurance", "deductible")

Amounts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Adjudication:
    """One adjudication or total: the codes of its category, its amount, and its reason if it has one.

    odd_code: its reason has a code that cannot be one, and that is not kept, since it may be a text about the patient.
    """

    categories: frozenset[str]
    amount_cents: int | None
    adjustments: tuple[Adjustment, ...] = ()
    remarks: tuple[str, ...] = ()
    odd_code: bool = False


def read_adjudication(adjudication: Json) -> Adjudication:
    """Return one adjudication. The first CARC and the first group of its reason count; payers repeat them as their own.

    Where what should be a CARC cannot be one, the amount is kept without a code.
    Raises:
        MemberError: an element is of the wrong kind.
    """
    categories = concept_codes(adjudication, "category")
    amount_cents = money(adjudication, "amount")
    if not adjudication.get("reason"):
        return Adjudication(categories, amount_cents)
    reasons = inside(adjudication, "reason", lambda concept: list(codings(concept)))
    carcs = [code for system, code in reasons if code and _CARC(system)]
    remarks = [code for system, code in reasons if code and _REMARK(system)]
    group = next((code for _, code in reasons if code in _GROUPS), "")
    taken_off = 0 if categories & _NOT_TAKEN_OFF else amount_cents or 0
    return Adjudication(
        categories,
        amount_cents,
        (Adjustment(group, next(filter(is_code, carcs), ""), taken_off),) if carcs else (),
        tuple(dict.fromkeys(filter(is_code, remarks))),
        not all(map(is_code, carcs + remarks)),
    )


def by_category(adjudications: Iterable[Adjudication]) -> Amounts:
    """Return the amount of each category; the largest where one repeats, as CMS repeats it with rates and parts."""
    amounts: dict[str, int] = {}
    for adjudication in adjudications:
        if adjudication.amount_cents is not None:
            for category in adjudication.categories:
                amounts[category] = max(
                    adjudication.amount_cents, amounts.get(category, adjudication.amount_cents)
                )
    return amounts


def paid(amounts: Amounts) -> int | None:
    """Return what the payer pays; None where nothing says so."""
    return amounts.get("benefit", amounts.get("paidtoprovider"))


def patient_share(amounts: Amounts) -> int:
    """Return what the patient owes: the payer's own sum of it, or its parts where they are more."""
    return max(amounts.get("memberliability", 0), sum(amounts.get(part, 0) for part in _PATIENT_SHARE))
