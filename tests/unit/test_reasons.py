"""Which reasons refuse a service: the same for the status, the facts of an event, and the letter of an appeal."""

import json
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.domain.cases import ClaimCase
from shared.domain.claims import Adjustment, ClaimPayment, Patient
from shared.domain.events import Event
from shared.domain.narration import narrate
from shared.domain.reasons import NOT_A_DENIAL, is_denial, is_priced
from tests.unit.formats.advices import make_835, read_835

CAUSE = Event(
    id=uuid4(),
    type="webhook.received",
    source="/test",
    subject="",
    time=datetime.now(UTC),
    customer_id=UUID(int=7),
    data=b"",
)


def read(clp: str, *reasons: str) -> ClaimPayment:
    [payment], _ = read_835(make_835(clp, *reasons))
    assert isinstance(payment, ClaimPayment)
    return payment


def told(payment: ClaimPayment) -> tuple[str, dict[str, Any]]:
    event = narrate(payment, cause=CAUSE, now=datetime.now(UTC))
    assert event is not None
    return event.type, json.loads(event.data)


def case_of(payment: ClaimPayment) -> ClaimCase:
    return ClaimCase(
        id=UUID(int=1),
        practice="Oak Clinic",
        number=payment.claim_number,
        payer_key="oak-health",
        payer_name="Oak Health",
        payer_claim_number="P1",
        provider_id="",
        patient=Patient(),
        status=payment.status,
        charge_cents=payment.charge_cents,
        paid_cents=payment.paid_cents,
        patient_cents=payment.patient_cents,
        authorization_number="",
        diagnoses=(),
        submitted_on=None,
        service_on=date(2026, 1, 5),
        decided_on=payment.decided_on,
        services=(),
        adjustments=payment.reasons,
    )


def test_every_group_can_deny_and_a_patients_share_does_not() -> None:
    assert all(is_denial(Adjustment(group, "96", 100)) for group in ("CO", "OA", "PI", "CR", "PR", ""))
    assert not any(is_denial(Adjustment("PR", carc, 100)) for carc in ("1", "2", "3", "187", "201"))


@pytest.mark.parametrize(
    "carc",
    ["16", "18", "22", "26", "27", "29", "31", "50", "96", "97", "109", "197", "204", "252", "B7", "A1"],
)
def test_the_common_denials_are_not_excused(carc: str) -> None:
    assert carc not in NOT_A_DENIAL


def test_every_excuse_says_why() -> None:
    assert all(NOT_A_DENIAL.values())


def test_what_another_payer_paid_is_no_part_of_a_denial_nor_its_reason() -> None:
    payment = read("CLP*A1*2*1000*0", "CAS*OA*23*900", "CAS*CO*29*100")
    kind, data = told(payment)
    assert kind == "claim.denied"
    assert (data["denial"]["carc"], data["denial"]["carcs"], data["denial"]["amount_cents"]) == (
        "29",
        ["29"],
        10_000,
    )
    case = case_of(payment)
    assert (case.carc, case.reason, case.disputed_cents) == ("29", "timely_filing", 10_000)


def test_a_denial_that_leaves_all_to_the_patient_is_told_with_its_reason() -> None:
    payment = read("CLP*A1*1*1000*0*1000", "CAS*PR*27*1000")
    kind, data = told(payment)
    assert kind == "claim.denied"
    assert (data["denial"]["carc"], data["denial"]["group"], data["denial"]["amount_cents"]) == (
        "27",
        "PR",
        100_000,
    )
    assert (case_of(payment).carc, case_of(payment).disputed_cents) == ("27", 100_000)


def test_a_denial_without_a_reason_for_it_is_of_the_whole_charge() -> None:
    _, data = told(read("CLP*A1*4*1000*0", "CAS*CO*45*1000"))
    assert (data["denial"]["carc"], data["denial"]["amount_cents"]) == (None, 100_000)


@pytest.mark.parametrize(
    ("clp", "reasons"),
    [
        ("CLP*A1*25*100*0", ["CAS*PI*101*100"]),
        ("CLP*A1*23*100*0", ["CAS*OA*B11*100"]),
        ("CLP*A1*13*100*0", []),
    ],
)
def test_what_decides_nothing_is_told_as_where_the_claim_stands(clp: str, reasons: list[str]) -> None:
    payment = read(clp, *reasons)
    kind, data = told(payment)
    assert (kind, data["status"]["outcome"], data["claim"]["number"]) == (
        "claim.status_changed",
        "not_decided",
        "A1",
    )
    assert not is_priced(payment)


@pytest.mark.parametrize(
    ("clp", "reason"),
    [
        ("CLP*A1*1*100*60", "CAS*CO*45*40"),
        ("CLP*A1*1*100*0*100", "CAS*PR*1*100"),
        ("CLP*A1*1*100*60", "CAS*CO*97*40"),
    ],
)
def test_a_price_is_held_against_the_contract(clp: str, reason: str) -> None:
    payment = read(clp, reason)
    assert is_priced(payment)
    assert told(payment)[1]["claim"]["priced"] is True


@pytest.mark.parametrize(
    ("clp", "reason"),
    [
        # another payer's part
        ("CLP*A1*2*100*20", "CAS*OA*23*80"),
        ("CLP*A1*2*100*20", "CAS*CO*45*80"),
        ("CLP*A1*21*100*20", "CAS*CO*45*80"),
        ("CLP*A1*1*100*20", "CAS*OA*23*80"),
        # paid by other means, or not yet
        ("CLP*A1*1*100*0", "CAS*CO*24*100"),
        ("CLP*A1*1*100*0", "CAS*OA*257*100"),
    ],
)
def test_what_is_no_price_is_held_against_nothing(clp: str, reason: str) -> None:
    payment = read(clp, reason)
    assert not is_priced(payment)
    assert told(payment)[1]["claim"]["priced"] is False
