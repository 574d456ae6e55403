"""FHIR `ClaimResponse` and `ExplanationOfBenefit` of a claim → its payment, and the advice of that one. Pure: no I/O.

Source: FHIR R4, ClaimResponse and ExplanationOfBenefit resources; CARIN Blue Button 2.1 profiles.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from shared.domain.claims import Adjustment, ClaimPayment, Finding, Party, Remittance, RemittanceSummary
from shared.domain.reasons import is_denial
from shared.formats.code_sets import is_code
from shared.formats.decision import Stated, decide
from shared.formats.fhir.claim_parts import (
    WITHDRAWN,
    diagnoses,
    own_number,
    patient,
    referred_number,
    serviced_on,
)
from shared.formats.fhir.elements import concept_code, concept_codes, day, party, reference_identifier
from shared.formats.fhir.figures import Figures, read_figures, taken_back
from shared.formats.fhir.local import Local
from shared.formats.fhir.version import version
from shared.formats.json_members import child, each, inside, text
from shared.formats.json_text import Json

_OUTCOMES: Final = {"queued": Stated.NOT_DECIDED, "error": Stated.DENIED}
_CURRENCY: Final = "USD"
_MAX_KEY: Final = 300


def read_payment(resource: Json, place: str) -> Iterator[ClaimPayment | RemittanceSummary]:
    """Yield the payment of one claim, then the advice of it, which holds no other.

    claim_number: the identifier or else the reference of the claim (`request`, `claim`), else the patient account
    number (CARIN `supportingInfo`), else the resource's own number, which is also `payer_claim_number`.
    paid: `payment.amount` and what `payment.adjustment` took off, else the benefit of `total`, else that of the items.
    A cancelled resource ("withdrawn, rescinded or reversed") is a reversal: it takes its amounts back.
    Raises:
        MemberError: an element we keep is of the wrong kind, or there is no number at all.
    """
    figures = read_figures(resource)
    if text(resource, "status") in WITHDRAWN:
        figures = taken_back(figures)
    remittance = _remittance(resource, figures)
    payment = _payment(resource, place, remittance, figures)
    yield payment
    yield RemittanceSummary(
        remittance=remittance,
        claim_count=1,
        claims_paid_cents=payment.paid_cents,
        adjustments=_advice_adjustments(resource, payment.paid_cents - remittance.paid_cents),
    )


def _payment(resource: Json, place: str, remittance: Remittance, figures: Figures) -> ClaimPayment:
    resource_key, resource_version = version(resource)
    claim_number = _claim_number(resource)
    stated, paid_cents = _stated(resource, figures), figures.paid_cents or 0
    return ClaimPayment(
        remittance=remittance,
        position=0,
        claim_number=claim_number,
        payer_claim_number=own_number(resource),
        status=decide(
            stated=stated,
            charge_cents=figures.charge_cents,
            paid_cents=0 if stated is Stated.NOT_DECIDED else paid_cents,  # a price, or what may yet be paid
            patient_cents=figures.patient_cents,
            # A reason often comes without an amount: it explains a payment of nothing, but makes no other partial.
            reasons=[r for r in figures.reasons if r.amount_cents > 0 or not (paid_cents or r.amount_cents)],
        ),
        status_code=text(resource, "outcome"),
        charge_cents=figures.charge_cents,
        paid_cents=paid_cents,
        patient_cents=figures.patient_cents,
        patient=patient(resource),
        provider=remittance.payee,
        allowed_cents=figures.allowed_cents,
        decided_on=remittance.decided_on,
        service_on=serviced_on(resource, figures.lines),
        diagnoses=diagnoses(resource),
        adjustments=figures.adjustments,
        lines=figures.lines,
        remarks=(*figures.remarks, *filter(is_code, _errors(resource))),
        resource_key=resource_key,
        resource_version=resource_version,
        claim_name=claim_number if isinstance(claim_number, Local) else "",
        findings=tuple(_findings(resource, place, stated, figures)),
    )


def _remittance(resource: Json, figures: Figures) -> Remittance:
    payer, trace_number = party(resource, "insurer"), reference_identifier(resource, "payment")
    created = day(resource, "created")
    paid_on = inside(resource, "payment", lambda payment: day(payment, "date"))
    return Remittance(
        key=_key(resource, payer, trace_number, figures),
        payer=payer,
        payee=_provider(resource),
        trace_number=trace_number,
        method=concept_code(child(resource, "payment"), "type"),
        paid_cents=figures.advice_cents,
        decided_on=created or paid_on,
        decided_source="created" if created else "payment.date" if paid_on else "",
    )


def _key(resource: Json, payer: Party, trace_number: str, figures: Figures) -> str:
    """Return what tells this decision from others: not its number alone, which test systems repeat.

    Of a resource that is updated in place, whatever it decides: a version that decides the same is the same decision.
    """
    resource_key, _ = version(resource)
    parts = (
        text(resource, "resourceType"),
        payer.id or payer.name,
        own_number(resource),
        *sorted(concept_codes(resource, "type")),
        text(resource, "created"),
        text(resource, "status"),
        text(resource, "outcome"),
        inside(resource, "billablePeriod", lambda period: text(period, "start") + "/" + text(period, "end")),
        trace_number,
        str(figures.charge_cents),
        str(figures.advice_cents),
        *((resource_key, sha256(repr(figures).encode()).hexdigest()) if resource_key else ()),
    )
    key = "|".join(parts)
    return key if len(key) <= _MAX_KEY else f"{parts[0]}|{sha256(key.encode()).hexdigest()}"


def _provider(resource: Json) -> Party:
    """Return the provider: EOB's member, ClaimResponse's, and ClaimResponse's of STU3."""
    name = next((name for name in ("provider", "requestor", "requestProvider") if resource.get(name)), None)
    return party(resource, name) if name else Party()


def _stated(resource: Json, figures: Figures) -> Stated:
    if text(resource, "status") in WITHDRAWN:
        return Stated.REVERSED
    if text(resource, "status") == "draft" or text(resource, "use") == "predetermination":
        return Stated.NOT_DECIDED
    outcome = text(resource, "outcome")
    stated = _OUTCOMES.get(outcome, Stated.PROCESSED)
    if stated is not Stated.PROCESSED or figures.paid_cents is not None:
        return stated
    # Nothing is said of a payment: a decision only if a reason to refuse is.
    refused = outcome != "partial" and any(is_denial(reason) for reason in figures.reasons)
    return Stated.DENIED if refused else Stated.NOT_DECIDED


def _claim_number(resource: Json) -> str:
    referred = referred_number(resource, "request") or referred_number(resource, "claim")
    return (
        referred
        or next(filter(None, each(resource, "supportingInfo", _account_number)), "")
        or own_number(resource)
    )


def _account_number(info: Json) -> str:
    """Return the provider's account number for the patient's stay: what an 837 sends as the claim number."""
    return text(info, "valueString") if "patientaccountnumber" in concept_codes(info, "category") else ""


def _errors(resource: Json) -> Iterator[str]:
    """Yield the codes of errors for which the claim was not processed."""
    yield from filter(None, each(resource, "error", lambda error: concept_code(error, "code")))


def _advice_adjustments(resource: Json, taken_off_cents: int) -> tuple[Adjustment, ...]:
    """Return what the payment holds back for reasons that are not this claim's."""
    if not taken_off_cents:
        return ()
    reason = _advice_reason(resource)
    return (Adjustment("", reason if is_code(reason) else "", taken_off_cents),)


def _advice_reason(resource: Json) -> str:
    return inside(resource, "payment", lambda payment: concept_code(payment, "adjustmentReason"))


def _findings(resource: Json, place: str, stated: Stated, figures: Figures) -> Iterator[Finding]:
    if stated is Stated.NOT_DECIDED:
        yield Finding("not_decided", f"{place}.outcome", "says nothing of a payment, or not the last word")
    if not figures.charge_cents:
        yield Finding("charge_missing", f"{place}.total", "neither a submitted total nor an item's")
    if not resource.get("insurer"):
        yield Finding("payer_missing", f"{place}.insurer", "no payer named")
    if figures.benefit_cents is not None and figures.benefit_cents != figures.paid_cents:
        yield Finding(
            "payment_unbalanced", f"{place}.payment", "the payment is not the benefit in the totals"
        )
    for where in (*figures.odd_codes, *_odd_codes(resource)):
        yield Finding(
            "invalid_code", f"{place}.{where}", "a reason's code is not one to five letters and digits"
        )
    currency = inside(
        resource, "payment", lambda p: inside(p, "amount", lambda amount: text(amount, "currency"))
    )
    if currency not in {"", _CURRENCY}:
        yield Finding("foreign_currency", f"{place}.payment.amount.currency", "taken as dollars")


def _odd_codes(resource: Json) -> Iterator[str]:
    if not all(map(is_code, _errors(resource))):
        yield "error"
    reason = _advice_reason(resource)
    if reason and not is_code(reason):
        yield "payment.adjustmentReason"
