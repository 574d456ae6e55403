"""A practice's table: whole or not at all, with every problem by row and column."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.authorizations_csv import read_authorizations

ON = date(2026, 11, 27)
HEADER = "payer,number,procedure,expires_on,member_id,patient_name,units_authorized,units_used,effective_on,status\n"


def problems(text: str) -> list[tuple[int, str, str]]:
    table = read_authorizations(text.encode(), on=ON)
    assert not table.records
    return [(p.row, p.column, p.problem) for p in table.problems]


def test_a_table_is_read_whole() -> None:
    text = (
        HEADER
        + 'Blue Cross,A1,97110,2026-12-24,M1,"Sample, Pat",20,8,2026-06-24,active\n\nAetna,B2,97140,2027-01-01,,,,,,\n'
    )
    table = read_authorizations(("\ufeff" + text).encode(), on=ON)
    assert not table.problems
    first, second = table.records
    assert (first.payer.key, first.number, first.patient.name, first.units_authorized, first.units_used) == (
        "blue-cross", "A1", "Sample, Pat", 20, 8,
    )  # fmt: skip
    assert (second.status, second.expires_on, second.stated_on) == ("active", date(2027, 1, 1), ON)


def test_every_problem_is_named_by_row_and_column_in_one_pass() -> None:
    rows = [
        ",A1,97110,2026-12-24,,,,,,",
        "Aetna,A2,97110,24.12.2026,,,many,-1,,maybe",
        "Aetna,A3,97110,2026-12-24,,,,,2027-01-01,",
        "Aetna,A4,97110,2026-12-24,,,,,,",
        "Aetna,A4,97110,2026-12-25,,,,,,",
        "Aetna,A5",
    ]
    assert problems(HEADER + "\n".join(rows)) == [
        (2, "payer", "is missing"),
        (3, "status", "is none of active, denied, pended"),
        (3, "expires_on", "is no date, YYYY-MM-DD"),
        (3, "units_authorized", "is no whole number up to 1,000,000"),
        (3, "units_used", "is no whole number up to 1,000,000"),
        (4, "expires_on", "is before effective_on"),
        (6, "number", "is in row 5 already, for the same service"),
        (7, "", "has 2 cells; the header has 10"),
        (7, "expires_on", "is missing"),
        (7, "procedure", "is missing"),
    ]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", (1, "payer", "is a required column")),
        (HEADER.encode(), (1, "", "no rows follow the header")),
        (b"payer,number,procedure,expires_on,colour\n", (1, "colour", "is no column that we know")),
        (b"payer,number,procedure,expires_on,payer\n", (1, "payer", "is there twice")),
        (HEADER.encode() + b"Aetna,\xff,9,2026-01-01,,,,,,\n", (2, "", "is not UTF-8")),
        (HEADER.encode() + b'Aetna,"A1,9,2026-01-01\n', (2, "", "is no CSV: a quotation mark is left open")),
    ],
    ids=range(6),
)
def test_what_is_no_table_is_said_to_be_none(body: bytes, found: tuple[int, str, str]) -> None:
    table = read_authorizations(body, on=ON)
    assert not table.records
    assert found in [(p.row, p.column, p.problem) for p in table.problems]


@given(st.binary(max_size=400))
def test_any_bytes_are_a_table_or_have_problems(body: bytes) -> None:
    for sent in (body, HEADER.encode() + body):
        table = read_authorizations(sent, on=ON)
        assert bool(table.records) != bool(table.problems)


@given(st.text(max_size=40))
def test_no_complaint_quotes_a_cell(cell: str) -> None:
    marked = "Sensitive" + cell.replace('"', "").replace("\n", "").replace("\r", "")
    table = read_authorizations(f'{HEADER}Aetna,A1,9,"{marked}","{marked}"\n'.encode(errors="ignore"), on=ON)
    assert all("Sensitive" not in p.problem for p in table.problems)
