"""What is said once is one event however often it is sent; what is said differently is another, on the same day too."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest

from shared.domain.claims import Authorization, Party, Patient, ServiceLine, SubmittedClaim
from shared.domain.events import Event
from shared.domain.narration import narrate

CUSTOMER = UUID(int=7)
CLAIM = SubmittedClaim(
    claim_number="C1",
    payer=Party(name="Oak Health", id="60054"),
    provider=Party(name="Practice", id="9999999995"),
    patient=Patient(name="Pat Sample", member_id="M1", born_on=None),
    charge_cents=12_000,
    use="claim",
    frequency="1",
    original_claim_number="",
    authorization_number="",
    submitted_on=date(2026, 11, 2),
    service_on=date(2026, 11, 1),
    diagnoses=("M5450",),
    lines=(ServiceLine(procedure="97110", charge_cents=12_000),),
)
AUTHORIZATION = Authorization(
    number="A1",
    payer=Party(name="Oak Health", id="60054"),
    patient=Patient(name="Pat Sample", member_id="M1", born_on=None),
    procedure="97110",
    status="active",
    effective_on=date(2026, 11, 1),
    expires_on=date(2027, 4, 30),
    units_authorized=12,
    units_used=3,
    stated_on=date(2026, 11, 2),
)


def told(record: SubmittedClaim | Authorization) -> UUID:
    cause = Event(
        id=uuid4(),
        type="webhook.received",
        source="/test",
        subject="",
        time=datetime.now(UTC),
        customer_id=CUSTOMER,
        data=b"",
    )
    event = narrate(record, cause=cause, now=datetime.now(UTC))
    assert event is not None
    return event.id


def test_the_same_statement_by_another_delivery_is_the_same_event() -> None:
    assert told(CLAIM) == told(replace(CLAIM))
    assert told(AUTHORIZATION) == told(replace(AUTHORIZATION))
    assert told(CLAIM) == told(
        replace(CLAIM, patient=replace(CLAIM.patient, name="Pat  Sample"))
    )  # no rule sees it


@pytest.mark.parametrize(
    "corrected",
    [
        replace(CLAIM, authorization_number="A1"),
        replace(CLAIM, diagnoses=("M5459",)),
        replace(CLAIM, lines=(replace(CLAIM.lines[0], modifiers=("GP",)),)),
        replace(CLAIM, provider=Party(name="Practice", id="9999999996")),
    ],
)
def test_a_claim_corrected_on_the_same_day_for_the_same_charge_is_put_before_the_rules_again(
    corrected: SubmittedClaim,
) -> None:
    assert told(corrected) != told(CLAIM)


def test_units_used_up_on_the_same_day_are_put_before_the_rules_again() -> None:
    assert told(replace(AUTHORIZATION, units_used=12)) != told(AUTHORIZATION)
