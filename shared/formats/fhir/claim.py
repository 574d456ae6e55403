"""FHIR `Claim` → the claim as the provider sent it. Pure: no I/O.

Source: FHIR R4, Claim resource; Da Vinci PAS 2.0, Claim profile (`use=preauthorization`).
"""

from decimal import Decimal
from typing import Final

from shared.domain.claims import Finding, ServiceLine, SubmittedClaim
from shared.domain.money import cents
from shared.formats.fhir.claim_parts import (
    WITHDRAWN,
    diagnoses,
    item_serviced_on,
    modifiers,
    own_number,
    patient,
    procedure,
    referred_number,
    serviced_on,
    units,
)
from shared.formats.fhir.elements import concept_codes, day, money, party
from shared.formats.fhir.local import local_name
from shared.formats.json_members import MemberError, children, each, inside, text, texts
from shared.formats.json_text import Json

_ORIGINAL: Final = "1"  # claim frequency codes, as in CLM05-3
_REPLACEMENT: Final = "7"
_VOID: Final = "8"
_LAST_RANK: Final = 11  # as many as an 837 can tell apart
_REPLACES: Final = frozenset({"prior", "replaces", "replacement"})


def read_claim(resource: Json, place: str) -> SubmittedClaim:
    """Return a submitted claim.

    claim_number: the first identifier, else the resource's id. charge: `total`, else the sum of the items. frequency: 8
    of a claim that was withdrawn, 7 where `related` says that an earlier one is replaced, else 1. payer_rank: the place
    of the focal coverage.
    Raises:
        MemberError: an element we keep is of the wrong kind, or the claim has neither identifier nor id.
    """
    lines = each(resource, "item", _line)
    total = money(resource, "total")
    original = next(filter(None, each(resource, "related", _replaced)), "")
    findings = (
        [] if lines or total is not None else [Finding("charge_missing", f"{place}.total", "and no item")]
    )
    return SubmittedClaim(
        claim_number=own_number(resource),
        payer=party(resource, "insurer"),
        provider=party(resource, "provider"),
        patient=patient(resource),
        charge_cents=total if total is not None else sum(line.charge_cents for line in lines),
        use=text(resource, "use") or "claim",
        payer_rank=_payer_rank(resource),
        frequency=_frequency(resource, original),
        original_claim_number=original,
        authorization_number=_authorization_number(resource),
        claim_name=local_name(resource),
        submitted_on=day(resource, "created"),
        service_on=serviced_on(resource, lines),
        diagnoses=diagnoses(resource),
        lines=tuple(lines),
        findings=tuple(findings),
    )


def _frequency(resource: Json, original: str) -> str:
    if text(resource, "status") in WITHDRAWN:
        return _VOID
    return _REPLACEMENT if original else _ORIGINAL


def _line(item: Json) -> ServiceLine:
    net = money(item, "net")
    return ServiceLine(
        procedure=procedure(item),
        charge_cents=_priced(item) if net is None else net,
        modifiers=modifiers(item),
        units=units(item),
        service_on=item_serviced_on(item),
    )


def _priced(item: Json) -> int:
    """Return what an item without `net` costs: unit price by quantity by factor, each 1 where it was left out."""
    price = money(item, "unitPrice") or 0
    quantity = inside(item, "quantity", lambda q: _number(q, "value"))
    try:
        return cents(Decimal(price) * quantity * _number(item, "factor") / 100)
    except (ValueError, ArithmeticError) as exc:
        raise MemberError("unitPrice", "not an amount of money once multiplied") from exc


def _number(parent: Json, name: str) -> Decimal:
    value = parent.get(name, 1)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise MemberError(name, "not a number")
    return Decimal(value)


def _replaced(related: Json) -> str:
    """Return the number of the claim that this one replaces, or empty if it is related in another way."""
    if not concept_codes(related, "relationship") & _REPLACES:
        return ""
    return referred_number(related, "claim") or inside(related, "reference", lambda r: text(r, "value"))


def _payer_rank(resource: Json) -> int:
    """Return the place of the focal coverage in the order in which coverages are asked; 1 where none has any."""
    for insurance in children(resource, "insurance"):
        rank = insurance.get("sequence")
        if insurance.get("focal") is True and isinstance(rank, int) and not isinstance(rank, bool):
            return min(max(rank, 1), _LAST_RANK)
    return 1


def _authorization_number(resource: Json) -> str:
    """Return the authorization that the focal coverage names, else the first that any does."""
    insurances = sorted(
        children(resource, "insurance"), key=lambda insurance: insurance.get("focal") is not True
    )
    return next((number for insurance in insurances for number in texts(insurance, "preAuthRef")), "")
