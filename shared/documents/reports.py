"""Utilization reports: what was done under an authorization, and what is asked for next. Pure."""

from collections.abc import Mapping
from datetime import date

from shared.documents.payers import house_of
from shared.documents.rendering import render
from shared.domain.cases import AuthorizationCase


def utilization_report(
    case: AuthorizationCase, *, fields: Mapping[str, str], on: date, reference: str
) -> str:
    """Return the report as HTML. fields: what the form asks for: `service_from`, `service_to`, `units`."""
    billed = sum(treatment.units for treatment in case.treatments)
    return render(
        "utilization",
        {
            "case": case,
            "house": house_of(case.payer_key),
            "on": on,
            "reference": reference,
            "billed_units": billed,
            "wanted_units": fields.get("units", ""),
            "wanted_from": _date(fields.get("service_from", "")),
            "wanted_until": _date(fields.get("service_to", "")),
        },
    )


def _date(text: str) -> date | None:
    return date.fromisoformat(text) if text else None
