"""The risk score of a submitted claim, from its codes and from what its payer did before."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from shared.domain.claims import ServiceLine
from shared.domain.risk import RiskInputs, RiskScore, risk_score
from shared.ports.record import EventTransaction
from shared.rules.coding import authorization_missing, diagnosis_mismatch, missing_required_modifier

BASELINE_DAYS: Final = 180

Json = Mapping[str, Any]


def score_claim(claim: Json, transaction: EventTransaction, *, on: date) -> RiskScore:
    """Return the score. claim: the `claim` object of a `claim.submitted` event, which we wrote.

    Raises:
        TransientError: the database is away or busy.
    """
    lines = [_line(line) for line in claim.get("lines", ())]
    payer = claim["payer_id"]
    rate = transaction.denial_rate(
        payer_key=payer,
        procedure=lines[0].procedure if lines else "",
        since=on - timedelta(days=BASELINE_DAYS),
    )
    return risk_score(
        RiskInputs(
            denial_rate=rate,
            modifier_missing=missing_required_modifier(lines),
            denials_in_a_row=transaction.open_denial_streak(payer_key=payer),
            diagnosis_mismatch=diagnosis_mismatch(lines, _texts(claim.get("diagnoses"))),
            authorization_missing=authorization_missing(
                payer, lines, claim.get("authorization_number") or ""
            ),
        )
    )


def _line(line: Json) -> ServiceLine:
    service_on = line.get("service_on")
    return ServiceLine(
        procedure=line["procedure"],
        charge_cents=line["charge_cents"],
        modifiers=tuple(line["modifiers"]),
        service_on=date.fromisoformat(service_on) if service_on else None,
    )


def _texts(value: Sequence[str] | None) -> Sequence[str]:
    return value or ()
