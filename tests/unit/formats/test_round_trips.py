"""What was written is what is read: random claims as 837, 835 and 277, in any separators; and no damage hangs it."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.claims import ClaimPayment, ClaimStatus, Record, StatusCode, SubmittedClaim
from shared.domain.money import dollars
from tests.unit.formats.advices import FIXTURES, read_all
from tests.unit.formats.test_any_payload import finish

NUMBER = st.text(st.sampled_from("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789-"), min_size=1, max_size=20).filter(
    lambda number: bool(number.strip("0"))  # zeros say that there is none
)
CODE = st.text(st.sampled_from("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"), min_size=5, max_size=5)
CENTS = st.integers(0, 10**9)
DAYS = st.dates(date(2001, 1, 1), date(2040, 12, 31))


@dataclass(frozen=True)
class Separators:
    element: str
    component: str
    terminator: str


SEPARATORS: Final = st.sampled_from(
    [
        Separators("*", ":", "~"),
        Separators("|", ">", "~\n"),
        Separators("*", ">", "\n"),
        Separators("^", ":", "'\r\n"),
    ]
)


@dataclass(frozen=True)
class Line:
    procedure: str
    charge_cents: int
    denied_cents: int


@dataclass(frozen=True)
class Claim:
    number: str
    payer_number: str
    on: date
    lines: tuple[Line, ...]

    @property
    def charge_cents(self) -> int:
        return sum(line.charge_cents for line in self.lines)

    @property
    def paid_cents(self) -> int:
        return self.charge_cents - sum(line.denied_cents for line in self.lines)


LINES = st.tuples(CODE, CENTS, st.floats(0, 1)).map(lambda t: Line(t[0], t[1], int(t[1] * t[2])))
CLAIMS = st.builds(Claim, NUMBER, NUMBER, DAYS, st.lists(LINES, min_size=1, max_size=4).map(tuple))


def money(cents: int) -> str:
    return dollars(cents).replace("$", "").replace(",", "")


def write(kind: str, guide: str, segments: list[str], separators: Separators) -> bytes:
    """Write segments, in which `*` and `:` stand for whatever separates, as one interchange."""
    isa = "ISA*00*          *00*          *ZZ*A              *ZZ*B              *261101*1200*U*00501*000000001*0*P*:"
    whole = [isa, f"GS*HX*A*B*20261101*1200*1*X*{guide}", f"ST*{kind}*0001", *segments]
    whole += [f"SE*{len(segments) + 2}*0001", "GE*1*1", "IEA*1*000000001"]
    table = str.maketrans({"*": separators.element, ":": separators.component})
    return "".join(segment.translate(table) + separators.terminator for segment in whole).encode()


def as_837(claims: list[Claim], separators: Separators) -> bytes:
    segments = ["BHT*0019*00*B1*20261101*1200*CH", "HL*1**20*1", "NM1*85*2*PRACTICE*****XX*1234567893"]
    segments += ["HL*2*1*22*0", "SBR*P*18", "NM1*IL*1*DOE*JANE****MI*M1", "NM1*PR*2*ACME"]
    for claim in claims:
        segments += [f"CLM*{claim.number}*{money(claim.charge_cents)}***11:B:1"]
        for nth, line in enumerate(claim.lines, 1):
            segments += [f"LX*{nth}", f"SV1*HC:{line.procedure}*{money(line.charge_cents)}*UN*1"]
            segments += [f"DTP*472*D8*{claim.on:%Y%m%d}"]
    return write("837", "005010X222A1", segments, separators)


def as_835(claims: list[Claim], separators: Separators) -> bytes:
    segments = [
        f"BPR*I*{money(sum(c.paid_cents for c in claims))}*C*CHK",
        "TRN*1*T1*1",
        "N1*PR*ACME",
        "N1*PE*PRACTICE",
        "LX*1",
    ]
    for claim in claims:
        segments += [
            f"CLP*{claim.number}*1*{money(claim.charge_cents)}*{money(claim.paid_cents)}**12*{claim.payer_number}"
        ]
        for line in claim.lines:
            paid = line.charge_cents - line.denied_cents
            segments += [
                f"SVC*HC:{line.procedure}*{money(line.charge_cents)}*{money(paid)}",
                f"DTM*472*{claim.on:%Y%m%d}",
            ]
            segments += [f"CAS*CO*97*{money(line.denied_cents)}"]
    return write("835", "005010X221A1", segments, separators)


def as_277(claims: list[Claim], separators: Separators) -> bytes:
    segments = ["BHT*0085*08*1*20261101*1200*TH", "HL*1**20*1", "NM1*PR*2*ACME", "HL*2*1*21*1", "HL*3*2*19*1"]
    for nth, claim in enumerate(claims, 4):
        segments += [f"HL*{nth}*3*PT", "NM1*QC*1*DOE*JANE****MI*M1", f"TRN*2*{claim.number}"]
        segments += [
            f"STC*A2:20*{claim.on:%Y%m%d}*WQ*{money(claim.charge_cents)}",
            f"REF*1K*{claim.payer_number}",
        ]
    return write("277", "005010X214", segments, separators)


def no_findings(records: list[Record]) -> None:
    assert [finding for record in records for finding in record.findings] == []


@given(st.lists(CLAIMS, min_size=1, max_size=4), SEPARATORS)
def test_claims_written_as_837_are_read_back(claims: list[Claim], separators: Separators) -> None:
    records = read_all(as_837(claims, separators))
    no_findings(records)
    read = [r for r in records if isinstance(r, SubmittedClaim)]
    assert [(r.claim_number, r.charge_cents, r.service_on) for r in read] == [
        (c.number, c.charge_cents, c.on) for c in claims
    ]
    for claim, found in zip(claims, read, strict=True):
        assert [(x.procedure, x.charge_cents) for x in found.lines] == [
            (x.procedure, x.charge_cents) for x in claim.lines
        ]


@given(st.lists(CLAIMS, min_size=1, max_size=4), SEPARATORS)
def test_claims_written_as_835_are_read_back(claims: list[Claim], separators: Separators) -> None:
    records = read_all(as_835(claims, separators))
    no_findings(records)
    read = [r for r in records if isinstance(r, ClaimPayment)]
    assert [
        (r.claim_number, r.payer_claim_number, r.charge_cents, r.paid_cents, r.service_on) for r in read
    ] == [(c.number, c.payer_number, c.charge_cents, c.paid_cents, c.on) for c in claims]
    for claim, found in zip(claims, read, strict=True):
        denied = [reason.amount_cents for line in found.lines for reason in line.adjustments]
        assert denied == [line.denied_cents for line in claim.lines]


@given(st.lists(CLAIMS, min_size=1, max_size=4), SEPARATORS)
def test_claims_written_as_277_are_read_back(claims: list[Claim], separators: Separators) -> None:
    records = read_all(as_277(claims, separators))
    no_findings(records)
    read = [r for r in records if isinstance(r, ClaimStatus)]
    assert [(r.claim_number, r.payer_claim_number, r.charge_cents, r.stated_on, r.codes) for r in read] == [
        (c.number, c.payer_number, c.charge_cents, c.on, (StatusCode("A2", "20"),)) for c in claims
    ]


GOOD = [
    path.read_bytes()
    for kind in (
        "x12-837p",
        "x12-837i",
        "x12-277",
        "x12-278",
        "x12-999",
        "fhir-pas-bundle",
        "fhir-notification",
        "webhook-stedi",
    )
    for path in sorted((FIXTURES / kind).iterdir())
    if path.stat().st_size < 20_000
]


@settings(max_examples=300)
@given(st.sampled_from(GOOD), st.data())
def test_damage_ends_in_records_or_in_our_own_error(good: bytes, data: st.DataObject) -> None:
    """`finish` lets nothing through but UnreadableError."""
    body = bytearray(good)
    match data.draw(st.sampled_from(["cut", "flip", "swap"])):
        case "cut":
            del body[data.draw(st.integers(0, len(body))) :]
        case "flip":
            for _ in range(data.draw(st.integers(1, 8))):
                body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        case _:
            one, other = data.draw(st.permutations(b'*:~>|^"{}[],'))[:2]
            body = bytearray(bytes(body).translate(bytes.maketrans(bytes([one, other]), bytes([other, one]))))
    finish(bytes(body), data.draw(st.sampled_from(["auto", "x12", "fhir", "stedi", "cloudevents"])))


@pytest.mark.parametrize("kind", ["x12-837p", "x12-278"])
def test_every_truncation_of_a_file_ends(kind: str) -> None:
    body = min((path.read_bytes() for path in (FIXTURES / kind).iterdir()), key=len)
    for length in range(0, len(body), 7):
        finish(body[:length])
