"""FHIR answers to a request for authorization → one authorization per service. Pure: no I/O.

`outcome=complete` covers denials, and denied answers still carry a number: only the review action decides.
Source: FHIR R4, ClaimResponse and ExplanationOfBenefit with `use=preauthorization`; Da Vinci PAS 2.0, extensions
reviewAction, itemPreAuthIssueDate, itemPreAuthPeriod, itemAuthorizedDetail; X12 code list 306 (action codes).
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

from shared.domain.claims import Authorization, Party, Patient
from shared.formats.fhir.claim_parts import own_number, patient, procedure, referred_number
from shared.formats.fhir.elements import concept_code, day, extension, identifier, party
from shared.formats.json_members import each, inside, text, texts
from shared.formats.json_text import Json
from shared.formats.review import PENDED, status_of

Dates = tuple[date | None, date | None]

_MAX_UNITS: Final = 1_000_000


def read_authorization(resource: Json) -> Iterator[Authorization]:
    """Yield one authorization per `item` and `addItem`; one without a service where there is neither.

    number: the service's, else the whole answer's, else the answer's own identifier. status: by the service's review
    action, and pended without one. stated_on: when it was issued, else when the answer was created.
    Raises:
        MemberError: an element we keep is of the wrong kind, or there is no number at all.
    """
    stated = _answer(resource)
    services = each(resource, "item", _service) + each(resource, "addItem", _service)
    for service in services or [stated]:
        yield replace(
            service,
            number=service.number or stated.number,
            payer=stated.payer,
            patient=stated.patient,
            effective_on=service.effective_on or stated.effective_on,
            expires_on=service.expires_on or stated.expires_on,
            stated_on=service.stated_on or stated.stated_on,
            trace_number=stated.trace_number,
        )


def _answer(resource: Json) -> Authorization:
    """Return what the whole answer says; its services say the rest."""
    effective_on, expires_on = _period(resource, "preAuthPeriod")  # ClaimResponse
    periods = each(resource, "preAuthRefPeriod", lambda period: _period({"period": period}, "period"))  # EOB
    return Authorization(
        number=_reference_number(resource) or own_number(resource),
        payer=party(resource, "insurer"),
        patient=patient(resource),
        procedure="",
        status=PENDED,
        effective_on=effective_on or next((start for start, _ in periods), None),
        expires_on=expires_on or next((end for _, end in periods), None),
        stated_on=day(resource, "created"),
        trace_number=identifier(resource) or referred_number(resource, "request"),
    )


def _service(item: Json) -> Authorization:
    actions = [action for action in each(item, "adjudication", _review_action) if action]
    number, status = actions[0] if actions else ("", PENDED)
    detail = extension(item, "itemAuthorizedDetail")
    period = _first_period(item, "itemPreAuthPeriod", "itemAuthorizedDate")
    return Authorization(
        number=number,
        payer=Party(),
        patient=Patient(),
        procedure=concept_code(extension(detail, "productOrServiceCode"), "valueCodeableConcept")
        or procedure(item),
        status=status,
        effective_on=period[0],
        expires_on=period[1],
        units_authorized=inside(extension(detail, "quantity"), "valueQuantity", _whole_units),
        stated_on=day(extension(item, "itemPreAuthIssueDate"), "valueDate"),
    )


def _review_action(adjudication: Json) -> tuple[str, str] | None:
    """Return an adjudication's number and status, or None if it is about something else."""
    action = extension(adjudication, "reviewAction")
    if not action:
        return None
    code = concept_code(extension(action, "reviewActionCode"), "valueCodeableConcept")
    return text(extension(action, "number"), "valueString"), status_of(code)


def _reference_number(resource: Json) -> str:
    """Return `preAuthRef`: a string in ClaimResponse, a list of them in ExplanationOfBenefit."""
    if isinstance(resource.get("preAuthRef"), list):
        return next(iter(texts(resource, "preAuthRef")), "")
    return text(resource, "preAuthRef")


def _first_period(item: Json, *names: str) -> Dates:
    periods = (_period(extension(item, name), "valuePeriod") for name in names)
    return next((period for period in periods if any(period)), (None, None))


def _period(parent: Json, name: str) -> Dates:
    return inside(parent, name, lambda period: (day(period, "start"), day(period, "end")))


def _whole_units(quantity: Json) -> int | None:
    """Return a whole number of units; None where it is a fraction, or none that a payer authorizes."""
    value = quantity.get("value")
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value <= _MAX_UNITS:
        return None
    return int(value) if value == int(value) else None
