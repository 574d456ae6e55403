"""What each segment of an 835 becomes, and what makes one unreadable."""

from datetime import date

import pytest

from shared.domain.claims import Adjustment, Finding, Party, Patient, PaymentStatus
from tests.unit.formats.advices import CLAIM, ST, make_835, read_835, refused


def test_a_claim_and_its_advice() -> None:
    [payment], summary = read_835(make_835())
    assert (payment.claim_number, payment.payer_claim_number, payment.status) == (
        "PCN-1",
        "ICN-1",
        PaymentStatus.PAID,
    )
    assert (payment.charge_cents, payment.paid_cents, payment.patient_cents) == (10_000, 8_000, 500)
    assert payment.adjustments == (Adjustment("CO", "45", 1_500), Adjustment("PR", "3", 500))
    assert payment.patient == Patient("JANE Q DOE", "W01")
    assert payment.service_on == date(2026, 1, 5)
    assert payment.remittance is summary.remittance
    assert summary.remittance.key == "835|CHECK-9|1512345678|20260218|8000|60054|PCN-1|10000|8000|ICN-1"
    assert summary.remittance.payer == Party("ACME HEALTH PLAN", "60054")
    assert (summary.findings, payment.findings) == ((), ())


def test_the_same_advice_in_another_interchange_has_the_same_key() -> None:
    [first], _ = read_835(make_835())
    forwarded = {
        "ISA": "ISA*00*          *00*          *ZZ*CLEARINGHOUSE  *ZZ*PRACTICE       *260218*0900*^*00501*7*0*P*:",
        "GS": "GS*HP*ACME*OTHER*20260301*0900*9*X*005010X221A1",
        "ST": "ST*835*9001",
        "SE": "SE*{count}*9001",
        "GE": "GE*1*9",
        "IEA": "IEA*1*7",
    }
    [second], _ = read_835(make_835(CLAIM[0].replace("*100*80*", "*100.00*80.0*"), *CLAIM[1:], **forwarded))
    assert first == second


@pytest.mark.parametrize("clp", ["CLP*PCN-2*1*100*80*5*12*ICN-1", "CLP*PCN-1*1*100*80*5*12*ICN-2"])
def test_advices_of_one_trace_number_are_told_apart_by_their_first_claim(clp: str) -> None:
    [first], _ = read_835(make_835())
    [second], _ = read_835(make_835(clp, *CLAIM[1:]))
    assert first.remittance.key != second.remittance.key


@pytest.mark.parametrize("zeros", ["0", "000"])
def test_claims_that_came_without_a_number_are_told_apart_by_the_payers(zeros: str) -> None:
    """X12 RFI 535: a payer writes 0 where the claim had none."""
    loops = [
        f"CLP*{zeros}*1*50*40**12*ICN-1",
        "CAS*CO*45*10",
        f"CLP*{zeros}*1*50*40**12*ICN-2",
        "CAS*CO*45*10",
    ]
    payments, _ = read_835(make_835(*loops))
    assert [payment.claim_number for payment in payments] == ["60054/ICN-1", "60054/ICN-2"]
    assert [payment.payer_claim_number for payment in payments] == ["ICN-1", "ICN-2"]


def test_claims_without_any_number_are_told_apart_by_their_place_in_the_advice() -> None:
    loops = ["CLP*0*1*50*40**12", "CAS*CO*45*10", "CLP*0*1*50*40**12", "CAS*CO*45*10"]
    first, _ = read_835(make_835(*loops))
    again, _ = read_835(make_835(*loops))
    other, _ = read_835(make_835(*loops, TRN="TRN*1*CHECK-10*1512345678"))
    assert first == again
    assert len({payment.claim_number for payment in first + other}) == 4


@pytest.mark.parametrize(
    ("instead", "expected"),
    [
        ({}, (date(2026, 2, 16), "DTM405")),
        ({"DTM": ""}, (date(2026, 2, 18), "BPR16")),
        ({"DTM": "", "BPR": "BPR*I*80*C*CHK"}, (date(2026, 2, 17), "GS04")),
        (
            {"DTM": "", "BPR": "BPR*I*80*C*CHK", "GS": "GS*HP*ACME*PRACTICE**1200*7*X*005010X221A1"},
            (None, ""),
        ),
    ],
)
def test_the_decision_is_dated_by_the_first_date_there_is(
    instead: dict[str, str], expected: tuple[date | None, str]
) -> None:
    [payment], summary = read_835(make_835(**instead))
    assert (summary.remittance.decided_on, summary.remittance.decided_source) == expected
    assert payment.decided_on == expected[0]


def test_a_date_that_is_none_is_found_and_passed_over() -> None:
    [payment], summary = read_835(make_835(*CLAIM[:-1], "DTM*232*20260231", DTM="DTM*405*20261301"))
    assert (summary.remittance.decided_on, summary.remittance.decided_source) == (date(2026, 2, 18), "BPR16")
    assert summary.findings == (Finding("invalid_date", f"{ST}/DTM", "DTM*405 is not a date"),)
    assert payment.service_on is None
    assert payment.findings == (Finding("invalid_date", f"{ST}/CLP[1]/DTM", "not a date"),)


def test_a_reason_segment_holds_six_triplets_and_some_are_left_out() -> None:
    [payment], _ = read_835(
        make_835("CLP*PCN-1*2*100*80", "CAS*CO*45*1**97*2*3**** 253*4.5**16*5**18*6**29*1.5", "CAS*PR*1*0")
    )
    assert [(a.carc, a.amount_cents, a.quantity) for a in payment.adjustments] == [
        ("45", 100, ""),
        ("97", 200, "3"),
        ("253", 450, ""),
        ("16", 500, ""),
        ("18", 600, ""),
        ("29", 150, ""),
        ("1", 0, ""),
    ]
    assert payment.findings == ()


def test_reasons_before_the_first_line_are_the_claims_and_after_it_the_lines() -> None:
    [payment], _ = read_835(
        make_835(
            "CLP*PCN-1*1*100*80",
            "CAS*CO*45*10",
            "SVC*HC:99213:25:GP*60*55**1",
            "DTM*472*20260106",
            "CAS*PR*2*5",
            "AMT*B6*58",
            "LQ*HE*N130",
            "SVC*NU:0250*40*35*0250",
            "CAS*CO*97*5",
        )
    )
    first, second = payment.lines
    assert payment.adjustments == (Adjustment("CO", "45", 1_000),)
    assert (first.procedure, first.modifiers, first.units) == ("99213", ("25", "GP"), "1")
    assert (first.adjustments, first.remarks) == ((Adjustment("PR", "2", 500, line=1),), ("N130",))
    assert (first.allowed_cents, first.service_on) == (5_800, date(2026, 1, 6))
    assert (second.procedure, second.adjustments) == ("0250", (Adjustment("CO", "97", 500, line=2),))
    assert payment.status is PaymentStatus.PARTIALLY_PAID
    assert payment.service_on == date(2026, 1, 6)
    assert payment.allowed_cents is None
    # Both line reasons belong, so the claim's own 10 is one too many for the claim, and for no line.
    assert [finding.code for finding in payment.findings] == []


def test_names_say_who_was_treated_and_by_whom() -> None:
    [payment], _ = read_835(
        make_835(
            *CLAIM[:3],
            "NM1*IL*1*DOE*JOHN****MI*W00",
            "NM1*QC*1*DOE*JANE****34*123456789",
            "NM1*74*1*DOE*JANET****C*W02",
            "NM1*82*1*GOOD*ROBERT****XX*1999999984",
        )
    )
    assert payment.patient == Patient("JANE DOE", "W02")
    assert payment.provider == Party("ROBERT GOOD", "1999999984")


def test_a_social_security_number_is_no_member_id() -> None:
    [payment], _ = read_835(
        make_835(*CLAIM[:3], "NM1*QC*1*DOE*JANE****34*123456789", "NM1*IL*1*DOE*JOHN****MI*W00")
    )
    assert payment.patient == Patient("JANE DOE", "W00")
    assert payment.provider == Party("EXAMPLE PRACTICE", "1234567893")


def test_a_reversal_takes_back_the_patients_share_which_it_names_as_a_reason_only() -> None:
    payments, summary = read_835(
        make_835(
            "CLP*PCN-1*22*-100*-80**12*ICN-1",
            "CAS*CO*45*-15",
            "CAS*PR*3*-5",
            "CLP*PCN-1*1*100*85*0*12*ICN-2",
            "CAS*CO*45*15",
            BPR="BPR*I*5*C*CHK************20260218",
        )
    )
    assert [(p.position, p.status, p.paid_cents, p.patient_cents) for p in payments] == [
        (0, PaymentStatus.REVERSED, -8_000, -500),
        (1, PaymentStatus.PAID, 8_500, 0),
    ]
    assert (summary.findings, payments[0].findings) == ((), ())


def test_remark_codes_come_from_inpatient_and_outpatient_segments() -> None:
    [payment], _ = read_835(make_835(*CLAIM, "MOA***MA01**MA18", "MIA*0****N1" + "*" * 15 + "N2"))
    assert payment.remarks == ("MA01", "MA18", "N1", "N2")


def test_provider_level_pairs_lower_the_payment() -> None:
    _, summary = read_835(
        make_835(
            *CLAIM,
            "PLB*1234567893*20261231*WO:REF-1*12.50*72*-2",
            "PLB*1234567893*20261231*L6*-.5",
            BPR="BPR*I*70*C*CHK************20260218",
        )
    )
    assert summary.adjustments == (
        Adjustment("", "WO", 1_250),
        Adjustment("", "72", -200),
        Adjustment("", "L6", -50),
    )
    assert (summary.claims_paid_cents, summary.remittance.paid_cents, summary.findings) == (8_000, 7_000, ())


def test_an_advice_of_provider_level_adjustments_alone_has_no_claims() -> None:
    payments, summary = read_835(make_835("PLB*1234567893*20261231*CS:1*100", BPR="BPR*I*-100*D*NON"))
    assert (payments, summary.claim_count, summary.remittance.paid_cents) == ([], 0, -10_000)
    assert summary.findings == ()


def test_sums_that_do_not_hold_are_found_and_the_claim_is_kept() -> None:
    [payment], summary = read_835(make_835("CLP*PCN-1*1*100*80", "SVC*HC:99213*100*70", "CAS*CO*45*20"))
    assert [(f.code, f.place) for f in payment.findings] == [("line_unbalanced", f"{ST}/CLP[1]/SVC[1]")]
    [payment], summary = read_835(make_835("CLP*PCN-1*4*100*90", "CAS*CO*45*20"))
    assert [(f.code, f.place) for f in payment.findings] == [
        ("claim_unbalanced", f"{ST}/CLP[1]"),
        ("denied_but_paid", f"{ST}/CLP[1]"),
    ]
    assert [(f.code, f.place) for f in summary.findings] == [("remittance_unbalanced", f"{ST}/BPR")]


def test_a_claim_that_is_not_decided_says_so() -> None:
    [payment], _ = read_835(make_835("CLP*PCN-1*23*100*0", "CAS*OA*109*100", BPR="BPR*I*0*C*NON"))
    assert payment.status is PaymentStatus.NOT_DECIDED
    assert [finding.code for finding in payment.findings] == ["not_decided"]


def test_what_an_advice_should_have_is_found_missing() -> None:
    _, summary = read_835(make_835(TRN="", N1=""))
    assert [finding.code for finding in summary.findings] == ["trace_missing", "payer_missing"]


@pytest.mark.parametrize("amount", ["80", "80.0", "80.00", "+80", "8E1", " 80 ", "080", "80.", "80.004"])
def test_amounts_are_written_in_many_ways(amount: str) -> None:
    [payment], _ = read_835(make_835(f"CLP*PCN-1*1*100*{amount}*5", *CLAIM[1:]))
    assert payment.paid_cents == 8_000


@pytest.mark.parametrize(
    "amount", ["", "x", "-", ".", "+", "1e", "NaN", "Infinity", "1_0", "1,000", "1E99", "9" * 16]
)
def test_what_is_no_amount_is_refused(amount: str) -> None:
    error = refused(make_835(f"CLP*PCN-1*1*100*{amount}*5", *CLAIM[1:]))
    assert (error.place, error.code) == (f"{ST}/CLP[1]", "unreadable_payload")
    assert "CLP04" in error.detail


@pytest.mark.parametrize(
    ("claim", "place", "element"),
    [
        (["CLP**1*100*80"], "CLP[1]", "CLP01"),
        (["CLP*PCN-1**100*80"], "CLP[1]", "CLP02"),
        (["CLP*PCN-1*1*100"], "CLP[1]", "CLP04"),
        (["CLP*PCN-1*1**80"], "CLP[1]", "CLP03"),
        ([f"CLP*{'9' * 501}*1*100*80"], "CLP[1]", "CLP01"),
        (["CLP*PCN-1*1*100*80*?"], "CLP[1]", "CLP05"),
        (["CLP*PCN-1*1*100*80", "CAS*CO*45"], "CLP[1]/CAS", "CAS03"),
        (["CLP*PCN-1*1*100*80", "CAS*CO**20"], "CLP[1]/CAS", "CAS02"),
        (["CLP*PCN-1*1*100*80", "CAS**45*20"], "CLP[1]/CAS", "CAS01"),
        (["CLP*PCN-1*1*100*80", "CAS*CO*TOO LONG*20"], "CLP[1]/CAS", "CAS02"),
        ([*CLAIM, "SVC*HC:99213*100"], "CLP[1]/SVC[1]", "SVC03"),
        ([*CLAIM, "SVC*HC:99213*1*1", "SVC*HC:99214**1", "LX*2"], "CLP[1]/SVC[2]", "SVC02"),
        ([*CLAIM, "SVC*HC:99213*1*1", "CAS*CO*45*x"], "CLP[1]/SVC[1]/CAS", "CAS03"),
        ([*CLAIM, "SVC*HC:99213*1*1", "AMT*B6*x"], "CLP[1]/SVC[1]/AMT", "AMT02"),
        ([*CLAIM, *CLAIM[:1], "CAS*CO*45*x"], "CLP[2]/CAS", "CAS03"),
        ([*CLAIM, "PLB*1*20261231*WO:1*x"], "PLB", "PLB04"),
        ([*CLAIM, "PLB*1*20261231**5"], "PLB", "PLB03"),
    ],
)
def test_an_element_that_cannot_mean_what_it_should_names_its_segment(
    claim: list[str], place: str, element: str
) -> None:
    error = refused(make_835(*claim))
    assert error.place == f"{ST}/{place}"
    assert element in error.detail


@pytest.mark.parametrize(
    ("claim", "segment"),
    [
        (["CAS*CO*45*15", *CLAIM], "CAS"),
        (["SVC*HC:99213*1*1"], "SVC"),
        (["NM1*QC*1*DOE*JANE", *CLAIM], "NM1"),
        ([*CLAIM, "LX*2", "CAS*CO*45*15"], "CAS"),
        ([*CLAIM, "PLB*1*20261231*WO:1*1", "NM1*QC*1*DOE*JANE"], "NM1"),
        ([*CLAIM, "BPR*I*80*C*CHK"], "BPR"),
        ([*CLAIM, "N1*PR*OTHER PAYER"], "N1"),
        ([*CLAIM, "CLX*PCN-2*1*1*1"], "?"),
        ([*CLAIM, "DOE*JANE"], "?"),
    ],
)
def test_a_segment_where_its_meaning_is_lost_is_refused(claim: list[str], segment: str) -> None:
    assert refused(make_835(*claim)).place == f"{ST}/{segment}"


@pytest.mark.parametrize(
    ("instead", "place"),
    [
        ({"BPR": ""}, f"{ST}/BPR"),
        ({"BPR": "BPR*I"}, f"{ST}/BPR"),
        ({"BPR": "BPR*I*80~BPR*I*80"}, f"{ST}/BPR"),
        ({"SE": ""}, ST),
        ({"SE": "", "GE": "", "IEA": ""}, ST),
        ({"IEA": ""}, "ISA[1]/IEA"),
    ],
)
def test_an_advice_without_its_bones_is_refused(instead: dict[str, str], place: str) -> None:
    assert refused(make_835(**instead)).place == place


def test_more_money_than_there_is_is_refused() -> None:
    claims = ["CLP*PCN-1*1*9999999999999*9999999999999"] * 2
    assert refused(make_835(*claims)).place == f"{ST}/BPR"
