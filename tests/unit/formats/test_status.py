"""277 and 277CA: every status of the good files, with what each says and where what is wrong stands."""

from datetime import date
from pathlib import Path

import pytest

from shared.domain.claims import ClaimStatus, LineStatus, Party, Patient, StatusCode
from shared.formats.standing import standing
from tests.unit.formats.advices import FIXTURES, read_all, refused

SET = "ISA[1]/GS[1]/ST[1]"
# Statuses (TRN loops with an STC) by level, and the sum of the claims' charges: counted in the files.
TOTALS = {
    "Project-Herophilus-Assets__277Sample-276Resp-ClaimInfo-.txt": ({"claim": 1}, 524_49),
    "x12-parser__x12_277CA_accepted.txt": ({"receiver": 1, "claim": 1}, 125_00),
    "x12-parser__x12_277_x212.txt": ({"claim": 8}, 2030_00),
    "x12-types__parse_277_01.edi": ({"receiver": 1, "claim": 5}, 365_50),
    "x12-types__parse_277_02.edi": ({"receiver": 1, "claim": 5}, 365_50),
    "x12__claim-level-status.277": ({"claim": 3}, 16262_88),
    "x12__information-receiver-level-status.277": ({"receiver": 1}, 0),
}
KNOWN_FAULTS = {
    "x12-types__parse_277_01.edi": {("invalid_date", f"{SET}/TRN[4]/DTP")},  # 29 February 2023
    "x12-parser__x12_277_x212.txt": {("control_number", "ISA[1]/IEA")},
}


def statuses(name: str) -> list[ClaimStatus]:
    records = read_all((FIXTURES / "x12-277" / name).read_bytes())
    found = [record for record in records if isinstance(record, ClaimStatus)]
    assert len(found) == len(records)
    return found


@pytest.mark.parametrize("name", [path.name for path in sorted((FIXTURES / "x12-277").iterdir())])
def test_every_status_and_every_dollar_is_there(name: str) -> None:
    found, (levels, charge_cents) = statuses(name), TOTALS[name]
    assert {level: sum(s.level == level for s in found) for level in levels} == levels
    assert len(found) == sum(levels.values())
    assert sum(s.charge_cents for s in found if s.level == "claim") == charge_cents
    assert {(f.code, f.place) for s in found for f in s.findings} == KNOWN_FAULTS.get(name, set())


def test_an_answer_about_a_claim_says_all_of_this() -> None:
    (status,) = statuses("Project-Herophilus-Assets__277Sample-276Resp-ClaimInfo-.txt")
    paid = StatusCode("F1", "3")
    assert status == ClaimStatus(
        kind="status",
        level="claim",
        standing="paid",
        codes=(paid,),
        payer=Party("NYSDOH", "141797357"),
        provider=Party("BUSY PROVIDER", "1234567891"),
        patient=Patient("Patient First Name Patient Last Name", "XX99999X"),
        trace_number="10060216012300233HSP1156IC002-",  # of the question
        claim_number="PT12345",  # REF*EJ: what we call the claim
        payer_claim_number="1026000000099999",
        clearinghouse_number="20041513010001",
        charge_cents=524_49,
        paid_cents=389_73,
        stated_on=date(2010, 12, 14),
        service_on=date(2010, 7, 29),
        lines=(LineStatus("10337080301", (paid,), 524_49, 389_73),),
    )


def test_an_acknowledgement_says_all_of_this() -> None:
    batch, accepted, unprocessable, invalid, *_ = statuses("x12-types__parse_277_01.edi")
    assert (batch.level, batch.trace_number, batch.standing, batch.claim_number) == (
        "receiver",
        "2002022045678",
        "received",
        "",
    )
    assert accepted == ClaimStatus(
        kind="acknowledgement",
        level="claim",
        standing="accepted",
        codes=(StatusCode("A2", "20"),),
        payer=Party("YOUR INSURANCE COMPANY", "YIC01"),
        provider=Party("HARRY B JONES", "234567894"),
        patient=Patient("FEMALE PATIENT", "2222222222"),
        trace_number="PATIENT22222",
        claim_number="PATIENT22222",
        payer_claim_number="220216359803X",
        action="WQ",
        charge_cents=100_00,
        stated_on=date(2023, 2, 21),
        service_on=date(2023, 2, 14),
    )
    assert (unprocessable.claim_number, unprocessable.standing, unprocessable.action) == (
        "PATIENT33333",
        "rejected",
        "U",
    )
    assert unprocessable.codes == (StatusCode("A3", "21"), StatusCode("A3", "187"))  # STC01 and STC10
    assert (invalid.claim_number, invalid.standing, invalid.codes) == (
        "JONES44444",
        "rejected",
        (StatusCode("A7", "21"), StatusCode("A7", "249")),
    )


def test_a_rejection_without_any_claim_is_a_status() -> None:
    (status,) = statuses("x12__information-receiver-level-status.277")
    assert (status.level, status.standing, status.trace_number, status.claim_number) == (
        "receiver",
        "error",
        "ABC276XXX",
        "",
    )


def test_the_patient_is_the_dependent_with_the_subscribers_number() -> None:
    *_, denied = statuses("x12__claim-level-status.277")
    assert (denied.patient, denied.provider.id) == (Patient("JOSEPH MANN", "345678901"), "166666666")
    assert (denied.standing, denied.paid_cents, denied.charge_cents) == ("denied", 0, 150_00)
    assert denied.codes == (StatusCode("F2", "88", "QC"),)


def acknowledged(**instead: str) -> bytes:
    body = (FIXTURES / "x12-277" / "x12-types__parse_277_01.edi").read_text(encoding="utf-8")
    for old, new in (pair.split(">") for pair in instead.values()):
        body = body.replace(old, new)
    return body.encode()


def test_totals_that_are_not_those_of_the_claims_are_a_finding() -> None:
    records = read_all(acknowledged(total="AMT*YU*200.5~>AMT*YU*300.5~"))
    assert ("totals_unbalanced", f"{SET}/AMT") in [(f.code, f.place) for r in records for f in r.findings]


def answered(guide: str, *numbers: str) -> ClaimStatus:
    """Read a 277 of one claim, with these segments after its STC."""
    segments = ["HL*1**20*1", "NM1*PR*2*ACME*****PI*60054", "HL*2*1*21*1", "NM1*41*2*PRACTICE", "HL*3*2*19*1"]
    segments += [
        "NM1*1P*2*PRACTICE",
        "HL*4*3*PT",
        "NM1*QC*1*DOE*JANE",
        "TRN*2*T-1",
        "STC*R4:294*20261101",
        *numbers,
    ]
    head = "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PRACTICE       *261101*1200*^*00501*000000001*0*P*:~"
    body = "".join(
        f"{segment}~" for segment in (f"ST*277*0001*{guide}", "BHT*0085*48*B1*20261101*1200", *segments)
    )
    body += f"SE*{len(segments) + 3}*0001~GE*1*1~IEA*1*000000001~"
    (status,) = read_all(f"{head}GS*HN*PAYER*PRACTICE*20261101*1200*1*X*{guide}~{body}".encode())
    assert isinstance(status, ClaimStatus)
    return status


def test_a_request_for_information_is_about_our_claim() -> None:
    """X213: TRN02 is the payer's number of the claim, and REF*EJ ours."""
    status = answered("005010X213", "REF*EJ*PCN-1")
    assert (status.kind, status.claim_number, status.payer_claim_number) == ("status", "PCN-1", "T-1")
    assert status.standing == "information_requested"


@pytest.mark.parametrize(
    ("guide", "numbers", "expected"),
    [
        ("005010X212", ("REF*EJ*PCN-1", "REF*1K*ICN-1"), "PCN-1"),
        ("005010X212", ("REF*1K*ICN-1",), "60054/ICN-1"),
        ("005010X212", ("REF*EJ*0", "REF*1K*ICN-1"), "60054/ICN-1"),
        ("005010X212", (), "60054/T-1"),
        ("005010X213", (), "60054/T-1"),
        ("005010X214", ("REF*1K*ICN-1",), "T-1"),
    ],
)
def test_a_status_without_our_number_goes_by_the_payers(
    guide: str, numbers: tuple[str, ...], expected: str
) -> None:
    assert answered(guide, *numbers).claim_number == expected


def test_a_trace_without_a_number_is_refused() -> None:
    assert refused(acknowledged(trace="TRN*2*MILLS66666~>TRN*2~")).place == f"{SET}/TRN[7]"


def test_no_status_at_all_is_refused() -> None:
    body = (FIXTURES / "x12-277" / "x12__information-receiver-level-status.277").read_bytes()
    error = refused(body.replace(b"STC*E0:0*20050916~", b""))
    assert (error.place, error.code) == (SET, "unreadable_payload")


@pytest.mark.parametrize(
    ("categories", "expected"),
    [
        ("A2", "accepted"),
        ("A1 A3", "rejected"),
        ("A2 A8", "rejected"),
        ("P1", "pending"),
        ("P3", "information_requested"),
        ("R4", "information_requested"),
        ("F1", "paid"),
        ("F2", "denied"),
        ("F1 F2", "denied"),
        ("D0", "not_found"),
        ("Z9", "unknown"),
        ("Z9 A2", "accepted"),
        ("", "unknown"),
    ],
)
def test_where_a_claim_stands_follows_from_its_codes(categories: str, expected: str) -> None:
    assert standing(StatusCode(category) for category in categories.split()) == expected


def test_every_fixture_is_counted() -> None:
    assert {Path(name).name for name in TOTALS} == {path.name for path in (FIXTURES / "x12-277").iterdir()}
