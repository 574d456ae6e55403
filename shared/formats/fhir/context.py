"""What a Bundle's claims refer to: patients, payers, providers, coverages, in the same Bundle. Pure: no I/O.

A referred resource is put into the claim as if the claim contained it, so that every reader finds it in one place.
Source: FHIR R4, "Resolving references in Bundles"; Da Vinci PAS 2.0, PAS Request and Response Bundle profiles.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from shared.domain.claims import Finding
from shared.formats.fhir.local import LOCAL_NAME, local_name
from shared.formats.json_members import child, children, text
from shared.formats.json_text import Json

# What stands beside claims and says nothing of its own that we keep.
CONTEXT: Final = frozenset(
    {
        *(
            "Patient",
            "Organization",
            "Practitioner",
            "PractitionerRole",
            "RelatedPerson",
            "Coverage",
            "Location",
        ),
        *("ServiceRequest", "DeviceRequest", "MedicationRequest", "NutritionOrder", "Encounter", "Condition"),
        *(
            "Observation",
            "Procedure",
            "Device",
            "QuestionnaireResponse",
            "CommunicationRequest",
            "OperationOutcome",
        ),
        *(
            "DocumentReference",
            "Task",
            "Binary",
            "Composition",
            "Communication",
            "MessageHeader",
            "Questionnaire",
        ),
        *(
            "DiagnosticReport",
            "Specimen",
            "Medication",
            "AllergyIntolerance",
            "Immunization",
            "Endpoint",
            "Group",
        ),
        *(
            "CarePlan",
            "CareTeam",
            "EpisodeOfCare",
            "HealthcareService",
            "List",
            "Media",
            "VisionPrescription",
        ),
        *("Parameters", "SubscriptionStatus", "Provenance"),
    }
)
_PRIMARY: Final = frozenset({"Claim", "ClaimResponse"})
_REFERRING: Final = ("patient", "insurer", "provider", "requestor", "request", "claim")
_MOST_FINDINGS: Final = 20


@dataclass(frozen=True, slots=True)
class Context:
    """A Bundle's resources by every name that a reference may call them. first: what the first entry is, and where."""

    resources: Mapping[str, Json]
    first: tuple[str, str]

    @classmethod
    def of(cls, entries: list[Json], place: str) -> "Context":
        """Return the context that a Bundle's entries make."""
        found: dict[str, Json] = {}
        for entry in entries:
            resource, url = entry.get("resource"), entry.get("fullUrl")
            if isinstance(resource, dict):
                if isinstance(url, str):
                    found.setdefault(url, resource)
                kind, number = resource.get("resourceType"), resource.get("id")
                if isinstance(kind, str) and isinstance(number, str):
                    found.setdefault(f"{kind}/{number}", resource)
        head = entries[0].get("resource") if entries else None
        kind = head.get("resourceType") if isinstance(head, dict) else ""
        return cls(found, (kind if isinstance(kind, str) else "", f"{place}[0].resource.resourceType"))

    def complete(self, resource: Json) -> Json:
        """Return a claim or answer with what it refers to contained in it.

        A coverage says the member's number and the payer better than the patient's record does.
        """
        whole = dict(resource)
        contained = list(children(resource, "contained"))
        for name in _REFERRING:
            whole[name] = self._pointed(child(resource, name), contained) if name in resource else None
        coverage = self._coverage(resource)
        subscriber = text(coverage, "subscriberId")
        if subscriber and isinstance(whole["patient"], dict):
            whole["patient"] = {**whole["patient"], "identifier": {"value": subscriber}}
        if not whole["insurer"] and (payors := children(coverage, "payor")):
            whole["insurer"] = self._pointed(payors[0], contained)
        whole["contained"] = contained
        return {name: value for name, value in whole.items() if value is not None}

    def findings(self, resource: Json, place: str) -> tuple[Finding, ...]:
        """Return what a collection should hold of a claim and does not."""
        found = []
        kind, where = self.first
        if kind not in _PRIMARY:
            found.append(Finding("first_entry", where, "the first entry is no claim and no answer to one"))
        missing = (
            path
            for path, target in _references(resource, place)
            if _is_relative(target) and target not in self.resources
        )
        found += [Finding("reference_missing", path, "not in the Bundle") for path in missing]
        return tuple(found[:_MOST_FINDINGS])

    def _pointed(self, reference: Json, contained: list[Json]) -> Json:
        """Return a reference that points to the resource among `contained`, where the Bundle has it."""
        target = text(reference, "reference")
        referred = self.resources.get(target)
        if referred is None:
            return reference
        contained.append({**referred, "id": target, LOCAL_NAME: local_name(referred)})
        return {**reference, "reference": f"#{target}"}

    def _coverage(self, resource: Json) -> Json:
        """Return the focal coverage, or else the first, where the Bundle has it."""
        insurances = sorted(
            children(resource, "insurance"), key=lambda insurance: insurance.get("focal") is not True
        )
        targets = (text(child(insurance, "coverage"), "reference") for insurance in insurances)
        return next((self.resources[target] for target in targets if target in self.resources), {})


def _references(value: object, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case {"reference": str(target)}:
            yield path, target
        case dict():
            for name, inner in value.items():
                yield from _references(inner, f"{path}.{name}" if name.isidentifier() else path)
        case list():
            for index, inner in enumerate(value):
                yield from _references(inner, f"{path}[{index}]")
        case _:
            return


def _is_relative(target: str) -> bool:
    kind, slash, number = target.partition("/")
    return bool(slash) and kind.isalpha() and kind[:1].isupper() and "/" not in number
