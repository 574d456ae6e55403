"""Paid, denied or taken back: the table, and the traps in it."""

import pytest

from shared.domain.claims import Adjustment, PaymentStatus
from shared.formats.decision import CLAIM_STATUS, Stated, decide

PAID, PARTLY, DENIED, REVERSED, UNDECIDED = PaymentStatus


def reason(text: str) -> Adjustment:
    """`CO-45 20` is 20 cents off by the contract."""
    code, _, amount = text.partition(" ")
    group, _, carc = code.partition("-")
    return Adjustment(group, carc, int(amount or 100))


def decided(
    clp02: str = "1", charge: int = 100, paid: int = 0, patient: int = 0, reasons: str = ""
) -> PaymentStatus:
    return decide(
        stated=CLAIM_STATUS.get(clp02, Stated.PROCESSED),
        charge_cents=charge,
        paid_cents=paid,
        patient_cents=patient,
        reasons=[reason(text) for text in reasons.split(", ") if text],
    )


@pytest.mark.parametrize(
    ("clp02", "paid", "reasons", "expected"),
    [
        # Processed, and nothing paid: the reason decides.
        ("1", 0, "CO-29", DENIED),
        ("2", 0, "CO-197", DENIED),
        ("3", 0, "OA-109", DENIED),
        ("1", 0, "PI-50", DENIED),
        ("1", 0, "CR-18", DENIED),
        ("1", 0, "CO-45 60, CO-97 40", DENIED),
        ("1", 0, "CO-22", DENIED),
        ("1", 0, "CO-999", DENIED),
        # Refused, and so left to the patient: unknown, no longer covered, or the service is not.
        ("1", 0, "PR-31", DENIED),
        ("1", 0, "PR-27", DENIED),
        ("1", 0, "PR-204", DENIED),
        ("1", 0, "CO-45 60, PR-96 40", DENIED),
        ("1", 60, "PR-204 40", PARTLY),
        # The patient owes it, the contract takes it off, or somebody else paid.
        ("1", 0, "PR-1", PAID),
        ("1", 0, "PR-2 20, PR-3 80", PAID),
        ("1", 0, "PR-45", PAID),
        ("1", 0, "PR-201", PAID),
        ("1", 0, "CO-45", PAID),
        ("1", 0, "CO-45 60, PR-1 40", PAID),
        ("2", 0, "OA-23", PAID),
        ("2", 0, "PI-23", PAID),
        ("2", 0, "OA-23 500, OA-94 -100", PAID),
        ("1", 0, "CO-24", PAID),
        ("1", 0, "CO-253 2, CO-45 98", PAID),
        ("1", 0, "OA-66", PAID),
        ("1", 0, "CO-A2", PAID),
        ("1", 0, "OA-100", PAID),
        # Something was paid.
        ("1", 100, "", PAID),
        ("1", 80, "CO-45 20", PAID),
        ("1", 80, "PR-1 20", PAID),
        ("1", 80, "CO-97 20", PARTLY),
        ("1", 60, "CO-45 20, CO-16 20", PARTLY),
        # Denied by name, whatever the reason; but money that was paid was paid.
        ("4", 0, "", DENIED),
        ("4", 0, "PR-27", DENIED),
        ("4", 0, "CO-45", DENIED),
        ("4", 50, "CO-45 50", PARTLY),
        # 19, 20 and 21 were processed here and forwarded as well.
        ("19", 0, "CO-45", PAID),
        ("19", 0, "CO-29", DENIED),
        ("20", 80, "CO-45 20", PAID),
        ("21", 0, "OA-23", PAID),
        # Not this payer's claim, a price in advance, still pending: nothing to appeal, and no denial to count.
        ("23", 0, "OA-109", UNDECIDED),
        ("25", 0, "PI-104", UNDECIDED),
        ("13", 0, "CO-16", UNDECIDED),
        ("13", 80, "CO-45 20", PAID),
    ],
)
def test_what_a_payment_says(clp02: str, paid: int, reasons: str, expected: PaymentStatus) -> None:
    assert decided(clp02, paid=paid, reasons=reasons) is expected


@pytest.mark.parametrize(
    ("clp02", "charge", "paid", "expected"),
    [
        ("22", -100, -80, REVERSED),
        ("22", -100, 0, REVERSED),
        ("22", 0, 0, REVERSED),
        ("1", -100, -80, REVERSED),  # a payer that takes back without saying so
        ("21", 100, 80, PAID),  # 21 is the tertiary payer's, 22 the reversal
        ("1", 100, -20, PAID),  # an inpatient deductible above the DRG payment lowers it below nothing
    ],
)
def test_what_is_taken_back(clp02: str, charge: int, paid: int, expected: PaymentStatus) -> None:
    assert decided(clp02, charge=charge, paid=paid) is expected


def test_nothing_paid_on_nothing_charged_is_no_denial() -> None:
    assert decided(charge=0, reasons="CO-16") is PAID


def test_nothing_paid_without_any_reason_is_a_denial() -> None:
    assert decided() is DENIED
    assert decided(patient=100) is PAID
