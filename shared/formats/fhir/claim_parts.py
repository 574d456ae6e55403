"""What `Claim`, `ClaimResponse` and `ExplanationOfBenefit` have in common: numbers, patient, services. Pure: no I/O.

Source: FHIR R4, Claim, ClaimResponse and ExplanationOfBenefit resources.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

from shared.domain.claims import Patient, ServiceLine
from shared.formats.fhir.elements import (
    concept_code,
    contained,
    day,
    identifier,
    reference,
    reference_identifier,
)
from shared.formats.fhir.local import LOCAL_NAME, local, local_name
from shared.formats.json_members import MemberError, children, each, inside, text, texts
from shared.formats.json_text import Json

WITHDRAWN: Final = frozenset({"cancelled", "entered-in-error"})  # `status`


def own_number(resource: Json) -> str:
    """Return the resource's first identifier, else its id as a local name (`Claim/1`).

    Raises:
        MemberError: it has neither.
    """
    number = identifier(resource) or local_name(resource)
    if not number:
        raise MemberError("identifier", "missing, and there is no id")
    return number


def referred_number(resource: Json, name: str) -> str:
    """Return the number of a claim that is referred to: an identifier, else its local name (`Claim/1`); or empty.

    A contained resource's id means nothing outside, so only its identifier counts.
    """
    target = reference(resource, name)
    referred = contained(resource, target)
    number = reference_identifier(resource, name) or identifier(referred)
    return number or local(text(referred, LOCAL_NAME)) or local(target)


def patient(resource: Json) -> Patient:
    """Return the patient: the contained resource, else what the reference says. A bare reference is no member id."""
    referred = contained(resource, reference(resource, "patient"))
    names = children(referred, "name")
    return Patient(
        name=_human_name(names[0]) if names else inside(resource, "patient", lambda r: text(r, "display")),
        member_id=reference_identifier(resource, "patient") or identifier(referred),
        born_on=day(referred, "birthDate"),
    )


def diagnoses(resource: Json) -> tuple[str, ...]:
    """Return diagnosis codes in order, each once."""
    codes = each(resource, "diagnosis", lambda d: concept_code(d, "diagnosisCodeableConcept"))
    return tuple(dict.fromkeys(filter(None, codes)))


def procedure(item: Json) -> str:
    """Return an item's procedure code; STU3 called the member `service`. The revenue code stands in for none."""
    return (
        concept_code(item, "productOrService")
        or concept_code(item, "service")
        or concept_code(item, "revenue")
    )


def modifiers(item: Json) -> tuple[str, ...]:
    """Return an item's modifier codes."""
    codes = each(
        item, "modifier", lambda concept: next((text(c, "code") for c in children(concept, "coding")), "")
    )
    return tuple(filter(None, codes))


def units(item: Json) -> str:
    """Return an item's quantity as written."""
    return inside(item, "quantity", lambda quantity: text(quantity, "value"))


def item_serviced_on(item: Json) -> date | None:
    """Return when an item's service began."""
    return day(item, "servicedDate") or inside(item, "servicedPeriod", lambda period: day(period, "start"))


def serviced_on(resource: Json, lines: Sequence[ServiceLine]) -> date | None:
    """Return when service began: the billable period's start, else the first line's."""
    start = inside(resource, "billablePeriod", lambda period: day(period, "start"))
    return start or next((line.service_on for line in lines if line.service_on), None)


def _human_name(name: Json) -> str:
    return text(name, "text") or " ".join(filter(None, (*texts(name, "given"), text(name, "family"))))
