"""Our own documented JSON: `claim.submitted`, `claim.decided`, `authorization.stated`; one event or a list. Pure.

For senders without FHIR or X12. The schemas in `schemas/webhooks/` are the documentation, with examples, and decide
what is taken; they are read and compiled when the first event of a type comes.
"""

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Final

from shared.domain.claims import (
    Adjustment,
    Authorization,
    ClaimPayment,
    Finding,
    Party,
    Record,
    Remittance,
    RemittanceSummary,
    SubmittedClaim,
)
from shared.formats.canonical_parts import (
    adjustment,
    amount,
    amount_if_given,
    check_shape,
    day,
    line,
    numbered,
    party,
    patient,
    units,
)
from shared.formats.decision import Stated, decide
from shared.formats.json_members import MemberError, children, each, inside, text, texts
from shared.formats.json_text import Json, parse
from shared.formats.review import PREAUTHORIZATION, as_request
from shared.runtime.errors import UnreadableError

_ROOT: Final = "$"
_MAX_KEY: Final = 300
_DECISIONS: Final = {"paid": Stated.PROCESSED, "denied": Stated.DENIED, "reversed": Stated.REVERSED}


def read_canonical(body: bytes) -> Iterator[Record]:
    """Yield the records of a payload, as `read_canonical_value` does."""
    return read_canonical_value(parse(body), _ROOT)


def read_canonical_value(value: object, place: str) -> Iterator[Record]:
    """Yield the records of one event, or of each in `events`, in order. place: of the value, `$` for a payload.

    Raises:
        UnreadableError: no JSON that we take, not as its schema says, or (`unknown_format`) an unknown type. The place
            is a path such as `$.events[3].charge`.
    """
    if not isinstance(value, dict):
        raise UnreadableError("not an event", place=place, code="unknown_format")
    if "events" not in value:
        yield from _read_event(value, place)
        return
    try:
        events = children(value, "events")
    except MemberError as exc:
        raise UnreadableError(exc.detail, place=f"{place}.{exc.path}") from exc
    if not events or len(value) > 1:
        raise UnreadableError("`events` is empty, or not alone", place=f"{place}.events")
    for index, event in enumerate(events):
        yield from _read_event(event, f"{place}.events[{index}]")


def _read_event(event: Json, place: str) -> Iterator[Record]:
    kind = event.get("type")
    read = EVENTS.get(kind) if isinstance(kind, str) else None
    if read is None or not isinstance(kind, str):
        raise UnreadableError("an event that we do not read", place=f"{place}.type", code="unknown_format")
    try:
        check_shape(kind, event, place)
        yield from read(event, place)
    except MemberError as exc:
        raise UnreadableError(exc.detail, place=f"{place}.{exc.path}") from exc


def _claim_submitted(event: Json, _: str) -> Iterator[Record]:
    claim = SubmittedClaim(
        claim_number=text(event, "claim_number"),
        payer=party(event, "payer"),
        provider=party(event, "provider"),
        patient=inside(event, "patient", patient),
        charge_cents=amount(event, "charge"),
        use=text(event, "use") or "claim",
        frequency=text(event, "frequency") or "1",
        original_claim_number=text(event, "original_claim_number"),
        authorization_number=text(event, "authorization_number"),
        submitted_on=day(event, "submitted_on"),
        service_on=day(event, "service_on"),
        diagnoses=texts(event, "diagnoses"),
        lines=tuple(each(event, "lines", line)),
    )
    yield as_request(claim) if claim.use == PREAUTHORIZATION else claim


def _claim_decided(event: Json, place: str) -> Iterator[Record]:
    remittance = _remittance(event)
    lines = tuple(numbered(read, number) for number, read in enumerate(each(event, "lines", line), 1))
    adjustments = tuple(each(event, "adjustments", adjustment))
    reasons = [*adjustments, *(reason for line in lines for reason in line.adjustments)]
    charge_cents, stated = amount(event, "charge"), _DECISIONS[text(event, "decision")]
    if stated is Stated.REVERSED and remittance.paid_cents > 0:
        raise MemberError("paid", "positive, in a reversal")
    yield ClaimPayment(
        remittance=remittance,
        position=0,
        claim_number=text(event, "claim_number"),
        payer_claim_number=text(event, "payer_claim_number"),
        status=decide(
            stated=stated,
            charge_cents=charge_cents,
            paid_cents=remittance.paid_cents,
            patient_cents=amount(event, "patient_share"),
            reasons=[reason for reason in reasons if reason.amount_cents > 0],
        ),
        status_code=text(event, "decision"),
        charge_cents=charge_cents,
        paid_cents=remittance.paid_cents,
        patient_cents=amount(event, "patient_share"),
        patient=inside(event, "patient", patient),
        provider=remittance.payee,
        allowed_cents=amount_if_given(event, "allowed"),
        decided_on=remittance.decided_on,
        service_on=day(event, "service_on"),
        diagnoses=texts(event, "diagnoses"),
        adjustments=adjustments,
        lines=lines,
        remarks=texts(event, "remarks"),
        findings=tuple(_unbalanced(place, charge_cents, reasons, remittance.paid_cents)),
    )
    yield RemittanceSummary(remittance=remittance, claim_count=1, claims_paid_cents=remittance.paid_cents)


def _authorization_stated(event: Json, _: str) -> Iterator[Record]:
    yield Authorization(
        number=text(event, "number"),
        payer=party(event, "payer"),
        patient=inside(event, "patient", patient),
        procedure=text(event, "procedure"),
        status=text(event, "status"),
        effective_on=day(event, "effective_on"),
        expires_on=day(event, "expires_on"),
        units_authorized=units(event, "units_authorized"),
        units_used=units(event, "units_used"),
        stated_on=day(event, "stated_on"),
    )


# type → reader. A further event is one more line, and `schemas/webhooks/<type>.schema.json`.
EVENTS: Final[Mapping[str, Callable[[Json, str], Iterator[Record]]]] = {
    "claim.submitted": _claim_submitted,
    "claim.decided": _claim_decided,
    "authorization.stated": _authorization_stated,
}


def _remittance(event: Json) -> Remittance:
    payer, paid_cents = party(event, "payer"), amount(event, "paid")
    return Remittance(
        key=_key(event, payer),
        payer=payer,
        payee=party(event, "provider"),
        trace_number=text(event, "trace_number"),
        method=text(event, "method"),
        paid_cents=paid_cents,
        decided_on=day(event, "decided_on"),
        decided_source="decided_on",
    )


def _key(event: Json, payer: Party) -> str:
    if "id" in event:
        own = [text(event, "id")]
    else:
        own = [text(event, name) for name in ("claim_number", "decided_on", "decision", "trace_number")]
        own += [str(amount(event, "charge")), str(amount(event, "paid"))]
    key = "|".join(("claim.decided", payer.id or payer.name, *own))
    return key if len(key) <= _MAX_KEY else f"claim.decided|{sha256(key.encode()).hexdigest()}"


def _unbalanced(
    place: str, charge_cents: int, reasons: list[Adjustment], paid_cents: int
) -> Iterator[Finding]:
    if reasons and charge_cents - sum(reason.amount_cents for reason in reasons) != paid_cents:
        yield Finding("claim_unbalanced", place, "the charge less its adjustments is not what was paid")
