"""What an adjudicated claim comes to: its lines, reasons and sums. Pure: no I/O.

Source: FHIR R4, ClaimResponse and ExplanationOfBenefit: `item`, `addItem`, `adjudication`, `total`, `payment`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from shared.domain.claims import Adjustment, ServiceLine
from shared.formats.fhir.adjudication import by_category, paid, patient_share, read_adjudication
from shared.formats.fhir.claim_parts import item_serviced_on, modifiers, procedure, units
from shared.formats.fhir.elements import money
from shared.formats.json_members import each, inside
from shared.formats.json_text import Json


@dataclass(frozen=True, slots=True)
class Item:
    """An adjudicated item, or one that the payer added. paid_cents: None where nothing says what was paid.

    odd_code: a reason of it has a code that cannot be one.
    """

    line: ServiceLine
    paid_cents: int | None
    patient_cents: int
    odd_code: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """An adjudication's sums and reasons. None: the resource does not say.

    paid_cents: for this claim. advice_cents: what the payment comes to, after `payment.adjustment`.
    benefit_cents: what `total` says was to be paid. adjustments, remarks: of the whole claim.
    odd_codes: where reasons have codes that cannot be any, as a path in the resource; no part of the decision.
    """

    lines: tuple[ServiceLine, ...]
    adjustments: tuple[Adjustment, ...]
    remarks: tuple[str, ...]
    charge_cents: int
    paid_cents: int | None
    benefit_cents: int | None
    advice_cents: int
    patient_cents: int
    allowed_cents: int | None
    odd_codes: tuple[str, ...] = field(default=(), repr=False)

    @property
    def reasons(self) -> tuple[Adjustment, ...]:
        """All reasons, the claim's and its lines'."""
        return self.adjustments + tuple(adjustment for line in self.lines for adjustment in line.adjustments)


def read_figures(resource: Json) -> Figures:
    """Return the sums: from `payment` and `total` where they are, else over the items.

    Raises:
        MemberError: an element is of the wrong kind.
    """
    own, added = each(resource, "item", _item), each(resource, "addItem", _item)
    items = own + added
    header = each(resource, "adjudication", read_adjudication)
    totals = by_category(each(resource, "total", read_adjudication))
    benefit = _first(paid(totals), money(resource, "totalBenefit"))  # STU3 had members for the two totals
    payment = inside(resource, "payment", lambda p: money(p, "amount"))
    adjustment = inside(resource, "payment", lambda p: money(p, "adjustment")) or 0
    stated = _first(benefit, _paid(items))
    paid_cents = stated if payment is None else _before(payment, adjustment, stated)
    return Figures(
        lines=tuple(_numbered(item.line, number) for number, item in enumerate(items, 1)),
        adjustments=tuple(adjustment for a in header for adjustment in a.adjustments),
        remarks=tuple(remark for a in header for remark in a.remarks),
        charge_cents=totals.get("submitted")
        or money(resource, "totalCost")
        or sum(item.line.charge_cents for item in items),
        paid_cents=paid_cents,
        benefit_cents=benefit,
        advice_cents=_first(payment, paid_cents) or 0,
        patient_cents=patient_share(totals) or sum(item.patient_cents for item in items),
        allowed_cents=totals.get("eligible"),
        odd_codes=(
            *(f"adjudication[{n}]" for n, a in enumerate(header) if a.odd_code),
            *(f"item[{n}].adjudication" for n, item in enumerate(own) if item.odd_code),
            *(f"addItem[{n}].adjudication" for n, item in enumerate(added) if item.odd_code),
        ),
    )


def taken_back(figures: Figures) -> Figures:
    """Return the same with every amount taken back, as an 835 writes a reversal."""
    return replace(
        figures,
        lines=tuple(_line_taken_back(line) for line in figures.lines),
        adjustments=_adjustments_taken_back(figures.adjustments),
        charge_cents=-figures.charge_cents,
        paid_cents=_negative(figures.paid_cents),
        benefit_cents=_negative(figures.benefit_cents),
        advice_cents=-figures.advice_cents,
        patient_cents=-figures.patient_cents,
        allowed_cents=_negative(figures.allowed_cents),
    )


def _item(item: Json) -> Item:
    adjudications = each(item, "adjudication", read_adjudication)
    amounts = by_category(adjudications)
    line = ServiceLine(
        procedure=procedure(item),
        charge_cents=money(item, "net") or amounts.get("submitted", 0),
        paid_cents=paid(amounts) or 0,
        allowed_cents=amounts.get("eligible"),
        modifiers=modifiers(item),
        units=units(item),
        service_on=item_serviced_on(item),
        adjustments=tuple(adjustment for a in adjudications for adjustment in a.adjustments),
        remarks=tuple(remark for a in adjudications for remark in a.remarks),
    )
    odd_code = any(a.odd_code for a in adjudications)
    return Item(line, paid(amounts), patient_share(amounts), odd_code)


def _numbered(line: ServiceLine, number: int) -> ServiceLine:
    if not line.adjustments:
        return line
    return replace(line, adjustments=tuple(a._replace(line=number) for a in line.adjustments))


def _paid(items: Iterable[Item]) -> int | None:
    known = [item.paid_cents for item in items if item.paid_cents is not None]
    return sum(known) if known else None


def _before(payment_cents: int, adjustment_cents: int, benefit_cents: int | None) -> int:
    """Return what was paid for the claim, before the payment was adjusted for other reasons.

    The payment is the benefit less the adjustment, by definition; payers who write the adjustment as a negative amount
    mean the same, and their benefit shows it.
    """
    taken_off, added = payment_cents + adjustment_cents, payment_cents - adjustment_cents
    return added if added == benefit_cents else taken_off


def _first(*amounts: int | None) -> int | None:
    return next((amount for amount in amounts if amount is not None), None)


def _line_taken_back(line: ServiceLine) -> ServiceLine:
    return replace(
        line,
        charge_cents=-line.charge_cents,
        paid_cents=-line.paid_cents,
        allowed_cents=_negative(line.allowed_cents),
        adjustments=_adjustments_taken_back(line.adjustments),
    )


def _adjustments_taken_back(adjustments: Iterable[Adjustment]) -> tuple[Adjustment, ...]:
    return tuple(a._replace(amount_cents=-a.amount_cents) for a in adjustments)


def _negative(amount: int | None) -> int | None:
    return None if amount is None else -amount
