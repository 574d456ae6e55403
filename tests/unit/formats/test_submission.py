"""837: every claim of the good files, with what each says; what is wrong in the bad ones, and where."""

from datetime import date
from pathlib import Path

import pytest

from shared.domain.claims import Party, Patient, ServiceLine, SubmittedClaim
from tests.unit.formats.advices import FIXTURES, read_all, refused

SET = "ISA[1]/GS[1]/ST[1]"
GOOD = sorted([*(FIXTURES / "x12-837p").iterdir(), *(FIXTURES / "x12-837i").iterdir()])
# Claims (CLM), lines (LX) and the sum of CLM02 in cents: counted in the files with grep, the sums by hand.
TOTALS = {
    "stupidedi__automobile-accident.edi": (1, 4, 545_00),
    "stupidedi__home-infusion-therapy-pharmacy--adjudicated-with-HCPCS-in-loop-2400-or-NDC-in-loop-2410-.edi": (
        1,
        6,
        2232_93,
    ),
    "stupidedi__medicare-secondary-payer-COB.edi": (1, 1, 120_00),
    "stupidedi__oxygen.edi": (1, 2, 520_24),
    "x12-parser__x12_many_claims.txt": (820, 820, 820 * 500_00),
    "x12-parser__x12_multiple_transactions.txt": (624, 624, 624 * 500_00),
    "x12__demo.ambulance.example5.837": (1, 4, 766_50),
    "x12__demo.autoaccident.837": (1, 2, 185_00),
    "x12__demo.cob.example4.837": (1, 1, 120_00),
    "x12__demo.drug.example10.1.837": (1, 2, 103_37),
    "x12__demo.example1.837": (1, 4, 100_00),
    "x12__demo.example11.837": (1, 2, 28_75),
    "x12__out-of-network-repriced-claim.837i": (1, 1, 14_84),
    "x12__two-claims-single-provider.837i": (2, 3, 139_95),
}
# Made by repeating a claim of 500.00 whose only line is 12.25, with diagnoses split at the wrong separator.
MADE_UP = {
    "claim_unbalanced",
    "diagnosis_unqualified",
    "hl_number",
    "hl_parent",
    "line_number",
    "segment_count",
}


def claims_of(path: Path) -> list[SubmittedClaim]:
    records = read_all(path.read_bytes())
    claims = [record for record in records if isinstance(record, SubmittedClaim)]
    assert len(claims) == len(records)
    return claims


def sample(kind: str, name: str) -> list[SubmittedClaim]:
    return claims_of(FIXTURES / kind / name)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_every_claim_and_every_dollar_is_there(path: Path) -> None:
    claims = claims_of(path)
    lines = sum(len(claim.lines) for claim in claims)
    assert (len(claims), lines, sum(claim.charge_cents for claim in claims)) == TOTALS[path.name]
    found = {finding.code for claim in claims for finding in claim.findings}
    assert found <= (MADE_UP if path.name.startswith("x12-parser__") else set())


def test_a_professional_claim_says_all_of_this() -> None:
    (claim,) = sample("x12-837p", "x12__demo.example1.837")
    assert claim == SubmittedClaim(
        claim_number="26463774",
        payer=Party("KEY INSURANCE COMPANY", "999996666"),
        provider=Party("BEN KILDARE SERVICE", "1912301953"),
        patient=Patient("TED SMITH", "JS00111223333", date(1973, 5, 1)),  # the child, by the mother's number
        charge_cents=100_00,
        frequency="1",
        clearinghouse_number="17312345600006351",
        batch_number="244579",
        set_number="1/0021",
        submitted_on=date(2006, 10, 15),
        service_on=date(2006, 10, 3),
        diagnoses=("0340", "V7389"),
        lines=(
            ServiceLine("99213", 40_00, units="1.00", service_on=date(2006, 10, 3)),
            ServiceLine("87070", 15_00, units="1.00", service_on=date(2006, 10, 3)),
            ServiceLine("99214", 35_00, units="1.00", service_on=date(2006, 10, 10)),
            ServiceLine("86663", 10_00, units="1.00", service_on=date(2006, 10, 10)),
        ),
    )


def test_another_payers_loop_changes_nothing() -> None:
    (claim,) = sample("x12-837p", "stupidedi__medicare-secondary-payer-COB.edi")
    assert (claim.claim_number, claim.payer, claim.patient) == (
        "101KEN6055",
        Party("MEDICARE", "10234"),
        Patient("WAYNE M MEDYUM", "102200221B1", date(1956, 1, 10)),
    )
    assert claim.lines == (
        ServiceLine("99203", 120_00, modifiers=("25",), units="1", service_on=date(2005, 1, 19)),
    )
    assert claim.diagnoses == ("71516", "71906")


def test_institutional_claims_say_all_of_this() -> None:
    first, second = sample("x12-837i", "x12__two-claims-single-provider.837i")
    assert first == SubmittedClaim(
        claim_number="756048Q",
        payer=Party("TRICARE", "99999"),
        provider=Party("JONES HOSPITAL", "1234567890"),
        patient=Patient("JON T DOE", "030005074", date(1968, 11, 11)),
        charge_cents=89_95,
        frequency="1",
        batch_number="0123",
        set_number="1/987654",
        submitted_on=date(2005, 6, 30),
        service_on=date(2005, 3, 15),
        diagnoses=("3669", "4019", "79431"),
        lines=(
            ServiceLine("85025", 13_39, units="1.00", service_on=date(2005, 3, 15)),
            ServiceLine("93005", 76_56, units="3.00", service_on=date(2005, 3, 15)),
        ),
    )
    assert (second.claim_number, second.patient.name, second.patient.born_on, second.charge_cents) == (
        "756049Q",
        "JOE SMITH",
        date(1962, 12, 10),
        50_00,
    )
    assert (second.service_on, second.diagnoses) == (date(2005, 4, 1), ("30000",))


def test_an_institutional_claim_in_other_separators_says_all_of_this() -> None:
    (claim,) = sample("x12-837i", "x12__out-of-network-repriced-claim.837i")
    assert (claim.claim_number, claim.frequency, claim.clearinghouse_number) == (
        "W392-49141",
        "1",
        "32423466233",
    )
    assert (claim.payer, claim.service_on) == (Party("CONSERVATIVE INSURANCE", "0012"), date(2005, 6, 17))
    assert claim.lines == (ServiceLine("82270", 14_84, units="1.00", service_on=date(2005, 6, 17)),)


HEADER = (
    "ISA*00*          *00*          *ZZ*PRACTICE       *ZZ*PAYER          *261101*1200*^*00501*000000001*0*P*:~"
    "GS*HC*PRACTICE*PAYER*20261101*1200*17*X*005010X222A1~ST*837*0001*005010X222A1~BHT*0019*00*B1*20261101*1200*CH~"
    "HL*1**20*1~NM1*85*2*PRACTICE*****XX*1234567893~HL*2*1*22*0~SBR*P*18~NM1*IL*1*DOE*JANE****MI*M1~NM1*PR*2*ACME~"
)


def one_claim(*segments: str) -> SubmittedClaim:
    body = HEADER + "".join(f"{segment}~" for segment in segments)
    count = body.count("~") - 1
    (claim,) = read_all(f"{body}SE*{count}*0001~GE*1*17~IEA*1*000000001~".encode())
    assert isinstance(claim, SubmittedClaim)
    return claim


def test_a_replacement_names_what_it_replaces() -> None:
    claim = one_claim("CLM*A-2*90***11:B:7", "REF*F8*ICN-7", "REF*G1*AUTH-9", "LX*1", "SV1*HC:99213*90*UN*1")
    assert (claim.frequency, claim.original_claim_number, claim.authorization_number) == (
        "7",
        "ICN-7",
        "AUTH-9",
    )
    assert claim.findings == ()


@pytest.mark.parametrize(("code", "rank"), [("P", 1), ("S", 2), ("T", 3), ("A", 4), ("U", 1), ("", 1)])
def test_whose_turn_it_is_says_the_subscribers_level(code: str, rank: int) -> None:
    segments = (
        f"HL*1**20*1~NM1*85*2*P*****XX*1234567893~HL*2*1*22*1~SBR*{code}*18~NM1*IL*1*DOE*JANE****MI*M1~"
    )
    body = (
        HEADER.partition("HL*1")[0] + segments + "NM1*PR*2*ACME~HL*3*2*23*0~PAT*19~NM1*QC*1*DOE*JIM~"
        "CLM*A-2*90***11:B:1~SBR*T*18~LX*1~SV1*HC:99213*90*UN*1~"
        "HL*4*1*22*0~NM1*IL*1*ROE*ANN****MI*M2~NM1*PR*2*ACME~CLM*A-3*90***11:B:1~LX*1~SV1*HC:99213*90*UN*1~"
    )
    claims = read_all(f"{body}SE*{body.count('~') - 1}*0001~GE*1*17~IEA*1*000000001~".encode())
    assert [claim.payer_rank for claim in claims if isinstance(claim, SubmittedClaim)] == [rank, 1]


def test_a_dental_line_is_a_line() -> None:
    claim = one_claim("CLM*D-1*80***11:B:1", "LX*1", "SV3*AD:D0120*80****2")
    assert claim.lines == (ServiceLine("D0120", 80_00, units="2"),)


@pytest.mark.parametrize(("reason", "use"), [("PB", "predetermination"), ("", "claim")])
def test_a_price_asked_in_advance_is_no_claim(reason: str, use: str) -> None:
    claim = one_claim(f"CLM*D-1*80***11:B:1**************{reason}", "LX*1", "SV3*AD:D0120*80****2")
    assert claim.use == use


def test_a_line_without_a_procedure_is_its_revenue_code() -> None:
    claim = one_claim("CLM*R-1*80***11:B:1", "LX*1", "SV2*0450**80*UN*1")
    assert claim.lines[0].procedure == "0450"


@pytest.mark.parametrize(
    ("segments", "code", "place"),
    [
        (["CLM*A*90***11:B:1", "LX*1", "SV1*HC:99213*80*UN*1"], "claim_unbalanced", "CLM[1]"),
        (["CLM*A*90***11:B:1"], "line_missing", "CLM[1]"),
        (["CLM*A*90", "LX*1", "SV1*HC:99213*90*UN*1"], "frequency_missing", "CLM[1]"),
        (["CLM*A*90***11:B:1", "LX*1", "LX*2", "SV1*HC:99213*90*UN*1"], "line_empty", "CLM[1]/LX[1]"),
        (["CLM*A*90***11:B:1", "SV1*HC:99213*90*UN*1"], "line_without_lx", "CLM[1]/SV1"),
        (
            ["CLM*A*90***11:B:1", "LX*1", "SV1*HC:99213*90*UN*1", "DTP*472*D8*20260230"],
            "invalid_date",
            "CLM[1]/LX[1]/DTP",
        ),
    ],
)
def test_what_is_wrong_is_a_finding_at_its_place(segments: list[str], code: str, place: str) -> None:
    assert (code, f"{SET}/{place}") in [(f.code, f.place) for f in one_claim(*segments).findings]


@pytest.mark.parametrize(
    ("segments", "place"),
    [
        ("CLM**90~", "CLM[1]"),
        ("CLM*A*ninety~", "CLM[1]"),
        ("CLM*A*90***11:B:1~LX*1~SV1*HC:99213*x*UN*1~", "CLM[1]/LX[1]/SV1"),
        ("CLM*A*90~IEA*1*1~", ""),
        ("", ""),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_place(segments: str, place: str) -> None:
    error = refused(f"{HEADER}{segments}SE*9*0001~GE*1*17~IEA*1*000000001~".encode())
    assert error.place == f"{SET}/{place}".rstrip("/")
