"""278: requests and answers of the good files, and what overrides what."""

from datetime import date

import pytest

from shared.domain.claims import Authorization, AuthorizationRequest, Party, Patient, Record, ServiceLine
from tests.unit.formats.advices import FIXTURES, read_all, refused

SET = "ISA[1]/GS[1]/ST[1]"
JOE = Patient("JOE SMITH", "12345678901")


def sample(name: str) -> list[Record]:
    return read_all((FIXTURES / "x12-278" / name).read_bytes())


def test_a_request_for_an_admission_says_all_of_this() -> None:
    (request,) = sample("stupidedi__admission-request-for-review.edi")
    assert isinstance(request, AuthorizationRequest)
    assert [(f.code, f.place) for f in request.findings] == [
        ("segment_count", f"{SET}/SE")
    ]  # 25 stated, 26 there
    assert request == AuthorizationRequest(
        trace_number="97021001",
        payer=Party("MARYLAND CAPITAL INSURANCE COMPANY", "789312"),
        provider=Party("SUSAN WATSON"),  # her number is a social security number, which is not kept
        patient=JOE,
        kind="AR",
        requested_on=date(2005, 5, 2),
        service_on=date(2005, 5, 16),
        diagnoses=("41090",),
        lines=(ServiceLine("33510", 0, service_on=date(2005, 5, 16)),),
        findings=request.findings,
    )


def test_a_request_without_a_trace_goes_by_its_own_number() -> None:
    (request,) = sample("stupidedi__request-for-medical-services-reservation.edi")
    assert isinstance(request, AuthorizationRequest)
    assert (request.trace_number, request.kind, request.patient.born_on) == (
        "5269367",
        "IN",
        date(1958, 3, 22),
    )
    assert request.lines == (ServiceLine("99212", 0, units="1", service_on=date(2005, 5, 10)),)


def test_every_service_of_a_request_is_a_line() -> None:
    (request,) = sample("stupidedi__request-for-non-emergency-transportation.edi")
    assert isinstance(request, AuthorizationRequest)
    assert [(line.procedure, line.modifiers, line.units) for line in request.lines] == [
        ("A0428", ("RX",), "5"),
        ("A0428", ("PD",), "8"),
        ("A0428", ("DR",), "14"),
    ]
    # HL06 and HL07 name services as their parents.
    assert [(f.code, f.place) for f in request.findings] == [
        ("hl_parent", f"{SET}/HL[6]"),
        ("hl_parent", f"{SET}/HL[7]"),
    ]


def test_an_answer_to_a_referral_says_all_of_this() -> None:
    (request,) = sample("stupidedi__referral-request-for-review.edi")
    answer = sample("stupidedi__referral-response-to-request-for-review.edi")
    assert answer == [
        Authorization(
            number="AUTH0001",
            payer=Party("MARYLAND CAPITAL INSURANCE COMPANY", "789312"),
            patient=JOE,
            procedure="",
            status="active",
            effective_on=date(2005, 5, 2),
            expires_on=date(2005, 6, 2),
            units_authorized=1,
            stated_on=date(2005, 5, 2),
            trace_number="111099",
        )
    ]
    assert isinstance(request, AuthorizationRequest)
    assert request.trace_number == "111099"


def test_the_lines_of_one_procedure_in_an_answer_add_up() -> None:
    (answer,) = sample("stupidedi__response-to-non-emergency-transportation.edi")
    assert isinstance(answer, Authorization)
    assert (answer.number, answer.procedure, answer.units_authorized) == (
        "2005010796321",
        "A0428",
        5 + 8 + 14,
    )
    assert (answer.effective_on, answer.expires_on) == (date(2005, 5, 10), date(2005, 5, 10))


def test_an_answer_about_a_journey_says_all_of_this() -> None:
    """Read from the file by hand: HCR*A1 with its number, DTP*AAH of one day, and three services of one procedure."""
    assert sample("stupidedi__response-to-non-emergency-transportation.edi") == [
        Authorization(
            number="2005010796321",
            payer=Party("ABC PAYER", "1234560010"),
            patient=Patient("JOE SMITH", "12345689001", date(1958, 3, 22)),
            procedure="A0428",
            status="active",
            effective_on=date(2005, 5, 10),
            expires_on=date(2005, 5, 10),
            units_authorized=27,
            stated_on=date(2005, 5, 2),
            trace_number="165932",  # BHT03: no TRN
        )
    ]


def test_an_answer_about_a_visit_says_all_of_this() -> None:
    """The line's own day (DTP*472) and unit (SV104) count; its HSD states a pattern and no number of visits."""
    assert sample("stupidedi__response-to-medical-services-reservation.edi") == [
        Authorization(
            number="6735172961",
            payer=Party("ABC PAYER", "1234560010"),
            patient=Patient("JOE SMITH", "12345689001", date(1958, 3, 22)),
            procedure="99212",
            status="active",
            effective_on=date(2005, 1, 10),
            expires_on=date(2005, 1, 10),
            units_authorized=1,
            stated_on=date(2005, 5, 2),
            trace_number="5269367",
        )
    ]


def test_a_request_for_a_referral_says_all_of_this() -> None:
    assert sample("stupidedi__referral-request-for-review.edi") == [
        AuthorizationRequest(
            trace_number="111099",
            payer=Party("MARYLAND CAPITAL INSURANCE COMPANY", "789312"),
            provider=Party("JAMES GARDENER", "8189991234"),
            patient=JOE,
            kind="SC",
            requested_on=date(2005, 5, 2),
            diagnoses=("41090",),
        )
    ]


HEADER = (
    "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PRACTICE       *261101*1200*^*00501*000000001*0*P*:~"
    "GS*HI*PAYER*PRACTICE*20261101*1200*1*X*005010X217~ST*278*0001*005010X217~BHT*0007*11*B1*20261101*1200~"
)
LEVELS = "HL*1**20*1~NM1*X3*2*ACME*****PI*60054~HL*2*1*21*1~NM1*1P*2*PRACTICE~HL*3*2*22*1~NM1*IL*1*DOE*JANE****MI*M1~"


def answers(event: str, *, levels: str = LEVELS) -> list[Authorization]:
    body = HEADER + levels + event
    count = body.count("~") - 1
    records = read_all(f"{body}SE*{count}*0001~GE*1*1~IEA*1*000000001~".encode())
    assert all(isinstance(record, Authorization) for record in records)
    return [record for record in records if isinstance(record, Authorization)]


EVENT = "HL*4*3*EV*1~TRN*2*T-1*9~UM*HS*I~"


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("A1", "active"), ("A2", "active"), ("A6", "active"), ("NA", "active"), ("A3", "denied"), ("C", "denied"),
        ("A4", "pended"), ("CT", "pended"),
    ],
)  # fmt: skip
def test_the_action_decides(action: str, status: str) -> None:
    (answer,) = answers(f"{EVENT}HCR*{action}*N-1*04~")
    assert (answer.status, answer.number, answer.reason, answer.findings) == (status, "N-1", "04", ())


RENEWAL = f"{EVENT}REF*BB*N-0~DTP*AAH*RD8*20261201-20270131~"


@pytest.mark.parametrize(
    "said", ["HCR*A3**0V~", "HCR*A4~", "HCR*CT~", "HCR*NA~", "HCR*A3*N-0*0V~", "AAA*N**33*C~"]
)
def test_a_renewal_that_is_not_certified_leaves_the_authorization_as_it_was(said: str) -> None:
    (answer,) = answers(f"{RENEWAL}{said}")
    assert (answer.number, answer.trace_number) == ("", "T-1")


@pytest.mark.parametrize("action", ["A1", "A2", "A6", "C"])
def test_an_authorization_that_is_prolonged_or_cancelled_keeps_its_number(action: str) -> None:
    (answer,) = answers(f"{RENEWAL}HCR*{action}~")
    assert (answer.number, answer.expires_on) == ("N-0", date(2027, 1, 31))


def test_a_renewal_under_a_number_of_its_own_has_that_one() -> None:
    assert [
        answer.number for action in ("A1", "A3") for answer in answers(f"{RENEWAL}HCR*{action}*N-1~")
    ] == ["N-1"] * 2


def test_an_unknown_action_certifies_nothing() -> None:
    (answer,) = answers(f"{EVENT}HCR*ZZ*N-1~")
    assert answer.status == "pended"
    assert [(f.code, f.place) for f in answer.findings] == [("unknown_code", f"{SET}/HL[4]/HCR")]


def test_a_service_overrides_its_event() -> None:
    granted, refused_ = answers(
        f"{EVENT}HCR*A6*N-1~DTP*AAH*RD8*20261101-20261130~HSD*VS*9~"
        "HL*5*4*SS*0~SV1*HC:97110*0*UN*3~HCR*A1*N-2~DTP*007*RD8*20261105-20261120~HSD*VS*4~"
        "HL*6*4*SS*0~SV1*HC:97140*0*UN*2~HCR*A3**0V~"
    )
    assert (granted.number, granted.procedure, granted.status, granted.units_authorized) == (
        "N-2",
        "97110",
        "active",
        4,
    )
    assert (granted.effective_on, granted.expires_on) == (date(2026, 11, 5), date(2026, 11, 20))
    assert (refused_.number, refused_.procedure, refused_.status, refused_.reason) == (
        "N-1",
        "97140",
        "denied",
        "0V",
    )
    assert (refused_.effective_on, refused_.expires_on) == (date(2026, 11, 1), date(2026, 11, 30))


def test_a_service_that_says_nothing_has_its_events_word() -> None:
    (answer,) = answers(f"{EVENT}HCR*A1*N-1~HL*5*4*SS*0~SV1*HC:97110*0*UN*3~")
    assert (answer.status, answer.number, answer.procedure, answer.units_authorized) == (
        "active",
        "N-1",
        "97110",
        3,
    )


def test_effective_and_expiry_may_come_apart() -> None:
    (answer,) = answers(f"{EVENT}HCR*A1*N-1~DTP*007*D8*20261101~DTP*036*D8*20270131~DTP*102*D8*20261030~")
    assert (answer.effective_on, answer.expires_on) == (date(2026, 11, 1), date(2027, 1, 31))
    assert answer.stated_on == date(2026, 10, 30)


def test_not_considered_is_no_denial() -> None:
    (answer,) = answers(f"{EVENT}AAA*N**33*C~")
    assert (answer.status, answer.reason, answer.trace_number) == ("not_considered", "33", "T-1")


def test_a_request_refused_above_its_event_is_answered_all_the_same() -> None:
    (answer,) = answers("", levels=LEVELS.replace("NM1*1P*2*PRACTICE~", "NM1*1P*2*PRACTICE~AAA*N**41*C~"))
    assert (answer.status, answer.reason, answer.trace_number) == ("not_considered", "41", "B1")


def test_an_answer_about_nothing_is_refused() -> None:
    error = refused(f"{HEADER}{LEVELS}SE*9*0001~GE*1*1~IEA*1*000000001~".encode())
    assert error.place == SET
