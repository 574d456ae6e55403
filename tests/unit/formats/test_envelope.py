"""Whatever delimiters, line ends and wrapping an 835 comes in, and whatever its envelope gets wrong."""

import pytest

from shared.domain.claims import ClaimPayment
from tests.unit.formats.advices import CLAIM, HEADER, ST, make_835, read_835, read_all, refused

PLAIN = make_835(*CLAIM, "SVC*HC:99213:25*100*80", "CAS*CO*45*20", CLP="")
SHORT_ISA = "ISA*00* *00* *ZZ*ACMEHEALTH*ZZ*PRACTICE*260217*1200*^*00501*000000042*0*P*:"
LONG_ISA = HEADER[0].replace("ACMEHEALTH     ", "ACME HEALTH PLAN OF THE STATE  ")


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + PLAIN,
        b"\r\n \t" + PLAIN,
        PLAIN.replace(b"~", b"~\n"),
        PLAIN.replace(b"~", b"~\r\n"),
        PLAIN.replace(b"~", b"~\n    "),
        PLAIN.replace(b"~", b"\n"),
        PLAIN.replace(b"~", b"\r\n"),
        PLAIN.replace(b"~", b"\r"),
        PLAIN.replace(b"~", b"\x1c"),
        PLAIN.replace(b"~", b"'"),
        PLAIN.replace(b"*", b"|"),
        PLAIN.replace(b"*", b"+"),
        PLAIN.replace(b"*", b"\x1d"),
        PLAIN.replace(b"*", b"\t"),
        PLAIN.replace(b":", b">"),
        PLAIN.replace(b":", b"|"),
        PLAIN.replace(b"^", b"U").replace(b":", b"^"),
        PLAIN.removesuffix(b"~"),
        PLAIN + b"\n\n\n",
        b"\n".join(PLAIN[at : at + 80] for at in range(0, len(PLAIN), 80)),
        b"\r\n".join(PLAIN[at : at + 80] for at in range(0, len(PLAIN), 80)),
    ],
)
def test_dressing_changes_nothing(body: bytes) -> None:
    assert read_all(body) == read_all(PLAIN)


def test_text_is_utf_8_or_else_latin_1() -> None:
    body = make_835(*CLAIM[:3], "NM1*QC*1*GARCÍA*JOSÉ****MI*W01").decode()
    for encoding in ("utf-8", "latin-1"):
        [payment], _ = read_835(body.encode(encoding))
        assert payment.patient.name == "JOSÉ GARCÍA"


def test_a_composite_separated_by_another_than_the_header_announces_is_still_read() -> None:
    [payment], _ = read_835(make_835(*CLAIM, "SVC*HC>99213>25*0*0"))
    assert (payment.lines[0].procedure, payment.lines[0].modifiers) == ("99213", ("25",))


@pytest.mark.parametrize(
    ("instead", "finding"),
    [
        ({"SE": "SE*99*0001"}, ("segment_count", f"{ST}/SE")),
        ({"SE": "SE*{count}*0009"}, ("control_number", f"{ST}/SE")),
        ({"SE": "SE"}, ("segment_count", f"{ST}/SE")),
        ({"GE": "GE*9*7"}, ("set_count", "ISA[1]/GS[1]/GE")),
        ({"GE": "GE*1*8"}, ("control_number", "ISA[1]/GS[1]/GE")),
        ({"GE": ""}, ("group_open", "ISA[1]/IEA")),
        ({"IEA": "IEA*2*000000042"}, ("group_count", "ISA[1]/IEA")),
        ({"IEA": "IEA*1*000000043"}, ("control_number", "ISA[1]/IEA")),
        ({"ISA": LONG_ISA}, ("isa_width", "ISA[1]")),
        ({"ISA": SHORT_ISA}, ("isa_width", "ISA[1]")),
        ({"ISA": "Your remittance:\n" + HEADER[0]}, ("text_before_interchange", "ISA[1]")),
    ],
)
def test_what_an_envelope_gets_wrong_is_found_and_the_claims_are_kept(
    instead: dict[str, str], finding: tuple[str, str]
) -> None:
    payments, summary = read_835(make_835(**instead))
    assert len(payments) == 1
    assert (summary.findings[0].code, summary.findings[0].place) == finding


def test_leading_zeros_of_a_control_number_do_not_matter() -> None:
    assert read_835(make_835(SE="SE*{count}*1", IEA="IEA*1*42"))[1].findings == ()


def test_a_missing_group_is_found() -> None:
    payments, summary = read_835(make_835(GS="", GE="", IEA="IEA*0*42"))
    assert len(payments) == 1
    assert [(f.code, f.place) for f in summary.findings] == [("group_missing", "ISA[1]/ST[1]")]


@pytest.mark.parametrize("damage", [SHORT_ISA, "Fwd: remittance\n" + HEADER[0]])
@pytest.mark.parametrize(
    ("instead", "place"),
    [
        ({"IEA": "IEA*1*000000043"}, "ISA[1]/IEA"),
        ({"GE": "GE*9*7"}, "ISA[1]/GS[1]/GE"),
        ({"SE": "SE*99*0001"}, f"{ST}/SE"),
        ({"BPR": "BPR*I*81*C*CHK"}, f"{ST}/BPR"),
    ],
)
def test_after_a_damaged_header_everything_else_has_to_hold(
    damage: str, instead: dict[str, str], place: str
) -> None:
    assert refused(make_835(ISA=damage, **instead)).place == place


def test_many_interchanges_groups_and_sets_each_with_their_own_delimiters() -> None:
    second = make_835(TRN="TRN*1*CHECK-10").replace(b"*", b"|").replace(b"~", b"\n")
    two_sets = make_835(SE="SE*{count}*0001~ST*835*0002~BPR*I*0*C*NON~N1*PR*ACME~SE*4*0002", GE="GE*2*7")
    two_groups = make_835(
        GE="GE*1*7~GS*HP*A*B*20260101*1*8~ST*835*0001~BPR*I*0*C*NON~N1*PR*A~SE*4*0001~GE*1*8", IEA="IEA*2*42"
    )
    records = read_all(make_835() + b"\r\n" + second + two_sets + two_groups)
    payments = [record for record in records if isinstance(record, ClaimPayment)]
    assert [payment.remittance.trace_number for payment in payments] == [
        "CHECK-9",
        "CHECK-10",
        "CHECK-9",
        "CHECK-9",
    ]
    assert len(records) - len(payments) == 6
    assert {finding.code for record in records for finding in record.findings} == {
        "trace_missing",
        "repeated_advice",
    }


def test_places_count_within_what_holds_them() -> None:
    bad = make_835(*CLAIM, "CLP*PCN-2*1*x*0")
    first = make_835(SE="SE*{count}*0001~ST*835*0002~BPR*I*0*C*NON~CLP*X*1*0*y", GE="", IEA="", IEA_="")
    assert refused(make_835() + bad).place == "ISA[2]/GS[1]/ST[1]/CLP[2]"
    assert refused(first + make_835()).place == "ISA[1]/GS[1]/ST[2]/CLP[1]"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (make_835(ISA=""), "GS[1]"),
        (make_835(ISA="", GS=""), "ST[1]"),
        (make_835() + make_835(ISA=""), "GS[1]"),
        (make_835(ISA="") + make_835(), "GS[1]"),
        (make_835(ISA=HEADER[0].replace("*0*P*", "*0*P")), "ISA[1]"),
        (make_835(ISA=HEADER[0].replace("*P*:", "*P**")), "ISA[1]"),
        (make_835() + make_835(IEA=""), "ISA[2]/IEA"),
        (make_835(IEA="") + make_835(), "ISA[1]/ISA"),
        (make_835(GE="GE*1*7~CLP*PCN-2*1*1*1"), "ISA[1]/CLP"),
        (HEADER[0].encode() + b"~IEA*0*42~", "ISA[1]"),
        (HEADER[0].encode() + b"~TA1*1*260101*1200**000~IEA*0*42~", "ISA[1]/TA1[1]"),
        (make_835(*CLAIM[:3], "NM1*QC*1*D\0E"), "character 384"),
    ],
)
def test_what_no_envelope_holds_together_is_refused(body: bytes, place: str) -> None:
    assert refused(body).place == place


def test_cut_off_anywhere_before_its_last_segment_it_is_refused() -> None:
    for length in range(PLAIN.index(b"IEA*1*")):
        assert refused(PLAIN[:length], format="x12").place


def test_a_large_interchange_is_split_a_block_at_a_time() -> None:
    claims = [*CLAIM] * 4_000
    payments, summary = read_835(make_835(*claims, BPR="BPR*I*320000*C*CHK"))
    assert (len(payments), summary.claim_count, summary.findings) == (4_000, 4_000, ())
    assert {payment.claim_number for payment in payments} == {"PCN-1"}
    assert [payment.position for payment in payments] == list(range(4_000))
