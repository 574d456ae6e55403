"""999: what was made of each set of ours, in every file we have."""

from datetime import date

import pytest

from shared.domain.claims import Acknowledgement
from tests.unit.formats.advices import FIXTURES, read_all, refused

SET = "ISA[1]/GS[1]/ST[1]"


def sample(name: str) -> list[Acknowledgement]:
    records = read_all((FIXTURES / "x12-999" / name).read_bytes())
    found = [record for record in records if isinstance(record, Acknowledgement)]
    assert len(found) == len(records)
    return found


def test_an_accepted_set() -> None:
    assert sample("Project-Herophilus-Assets__999-Sample-Accepted-.txt") == [
        Acknowledgement("837", "28", "0028", "accepted", stated_on=date(2011, 3, 11))
    ]


def test_a_rejected_set() -> None:
    assert sample("x12-parser__x12_999_rejected.txt") == [
        Acknowledgement("837", "28", "0028", "rejected", ("NM[17]: 1", "5"), stated_on=date(2011, 3, 11))
    ]


def test_each_set_has_its_own_errors_and_claims() -> None:
    on = date(2004, 11, 17)
    errors = ("CLM[22]: 8", "CLM[22]/2: 1", "5")
    assert sample("staedi__simple999.edi") == [
        Acknowledgement("837", "17456", "0001", "accepted", stated_on=on),
        Acknowledgement("837", "17456", "0002", "rejected", errors, ("123456789",), stated_on=on),
        Acknowledgement(
            "837", "17456", "0003", "rejected", ("REF[57]: 3", "5"), ("987654321",), stated_on=on
        ),
    ]


def test_what_is_wrong_in_an_invalid_one_is_a_finding_at_its_place() -> None:
    records = sample("staedi__invalid999.edi")
    assert [record.outcome for record in records] == ["rejected", "rejected", "rejected"]
    assert [(f.code, f.place) for record in records for f in record.findings] == [
        ("acknowledgement_misplaced", f"{SET}/IK5"),
        ("unknown_code", f"{SET}/AK2[1]/IK5"),
        ("acknowledgement_repeated", f"{SET}/AK2[1]/IK5"),
        ("set_count", f"{SET}/AK9"),
        ("segment_count", f"{SET}/SE"),
    ]


ISA = "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PRACTICE       *261101*1200*^*00501*000000001*0*P*:~"


@pytest.mark.parametrize(
    ("said", "outcome", "errors"),
    [
        ("A*000", "accepted", ()),
        ("E*003", "accepted_with_errors", ("003",)),
        ("R*024", "rejected", ("024",)),
        ("?", "rejected", ()),
    ],
)
def test_an_interchange_of_acknowledgements_of_interchanges(
    said: str, outcome: str, errors: tuple[str, ...]
) -> None:
    assert read_all(f"{ISA}TA1*000000042*261031*1200*{said}~IEA*0*000000001~".encode()) == [
        Acknowledgement("TA1", "PAYER/000000042", "", outcome, errors, stated_on=date(2026, 10, 31))
    ]


def test_an_interchange_is_acknowledged_beside_its_sets() -> None:
    body = altered("~GS*", "~TA1*000000042*261031*1200*R*024~GS*")
    assert [(said.kind, said.outcome) for said in read_all(body) if isinstance(said, Acknowledgement)] == [
        ("837", "accepted"),
        ("TA1", "rejected"),
    ]


def altered(old: str, new: str) -> bytes:
    name = "Project-Herophilus-Assets__999-Sample-Accepted-.txt"
    return (FIXTURES / "x12-999" / name).read_text(encoding="utf-8").replace(old, new).encode()


def test_a_group_that_is_refused_whole() -> None:
    (said,) = read_all(altered("AK2*837*0028~IK5*A~AK9*A*1*1*1~SE*6", "AK9*R*1*1*0~SE*4"))
    assert isinstance(said, Acknowledgement)
    assert (said.group_number, said.set_number, said.outcome, said.findings) == ("28", "", "rejected", ())


def test_a_set_without_a_verdict_counts_as_rejected() -> None:
    (said,) = read_all(altered("IK5*A~AK9*A*1*1*1~SE*6", "AK9*R*1*1*0~SE*5"))
    assert isinstance(said, Acknowledgement)
    assert (said.outcome, [f.code for f in said.findings]) == ("rejected", ["acknowledgement_missing"])


def test_accepted_with_errors_is_accepted() -> None:
    (said,) = read_all(altered("IK5*A~", "IK5*E~"))
    assert isinstance(said, Acknowledgement)
    assert said.outcome == "accepted_with_errors"


def test_one_that_acknowledges_nothing_is_refused() -> None:
    error = refused(altered("AK1*HC*28*005010X223A2~AK2*837*0028~IK5*A~AK9*A*1*1*1~SE*6", "SE*2"))
    assert error.place == SET
