"""What a status check learnt, as changes of the record and as facts for the next rule. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from shared.domain.cases import AuthorizationCase, Case, ClaimCase
from shared.domain.claims import Authorization, Party
from shared.ports.ledger import ActionClaim, AppealAnswer
from shared.ports.portal import AuthorizationReading, ClaimReading, Reading

STATUSES: Final[Mapping[str, str]] = {"approved": "active", "denied": "denied", "pended": "pended"}


@dataclass(frozen=True, slots=True)
class Answered:
    """What follows from a reading. facts: codes and dates, no patient data."""

    records: tuple[Authorization, ...] = ()
    answer: AppealAnswer | None = None
    facts: Mapping[str, object] | None = None


def answered(reading: Reading, case: Case, claim: ActionClaim, *, on: date) -> Answered:
    """Return what the payer's answer changes. claim: the action that asked. on: the day of the visit."""
    match reading, case:
        case AuthorizationReading(), AuthorizationCase():
            return Answered(_renewed(reading, case, on), facts={"portal_state": reading.state})
        case ClaimReading(), ClaimCase():
            return Answered(answer=_answer(reading, case, claim, on), facts={"portal_state": reading.state})
        case _:
            return Answered(facts={"portal_state": reading.state})


def _renewed(reading: AuthorizationReading, case: AuthorizationCase, on: date) -> tuple[Authorization, ...]:
    """Return the authorization that an approval makes: a new number is a new one, with dates and units of its own."""
    if reading.state != "approved":
        return ()
    return (
        Authorization(
            number=reading.number or case.number,
            payer=Party(case.payer_name or case.payer_key),
            patient=case.patient,
            procedure=case.procedure,
            status=STATUSES[reading.state],
            effective_on=reading.effective_on or case.effective_on,
            expires_on=reading.expires_on or case.expires_on,
            units_authorized=case.units_authorized if reading.units is None else reading.units,
            units_used=0 if reading.number and reading.number != case.number else case.units_used,
            stated_on=on,
        ),
    )


def _answer(reading: ClaimReading, case: ClaimCase, claim: ActionClaim, on: date) -> AppealAnswer | None:
    """Return what the claim's state says of its appeal: paid since, or denied since it was filed."""
    if reading.state not in ("paid", "denied"):
        return None
    if reading.state == "denied" and (reading.decided_on is None or reading.decided_on == case.decided_on):
        return None  # the denial that was appealed, still standing while the appeal is looked at
    return AppealAnswer(
        claim_id=case.id,
        upheld=reading.state == "denied",
        paid_cents=reading.paid_cents,
        decided_on=reading.decided_on or on,
        source=f"portal:{claim.action_id}",
    )
