import json
import re
from datetime import date

import pytest

from shared.domain.claims import ServiceLine
from shared.rules.coding import (
    REFERENCE,
    Codes,
    authorization_missing,
    coding,
    diagnosis_mismatch,
    missing_required_modifier,
    read_coding,
)

DAY, NEXT = date(2026, 2, 3), date(2026, 2, 4)
CODE = re.compile(r"[A-Z0-9]{5}(-[A-Z0-9]{5})?")


def line(procedure: str, *modifiers: str, on: date | None = DAY) -> ServiceLine:
    return ServiceLine(procedure, 10_000, modifiers=modifiers, service_on=on)


def test_the_reference_has_codes_and_sources_and_no_descriptions() -> None:
    declared = json.loads(REFERENCE.read_text(encoding="utf-8"))
    entries = [entry for kind in ("modifiers", "diagnoses", "authorizations") for entry in declared[kind]]
    assert len({entry["id"] for entry in entries}) == len(entries)
    for entry in entries:
        assert set(entry) - {"beside", "any_of", "payer_ids"} == {"id", "procedures", "source"}, entry["id"]
        assert set(entry["source"]) == {"document", "section", "link"}, entry["id"]
        assert all(CODE.fullmatch(code) for code in entry["procedures"] + entry.get("beside", [])), entry[
            "id"
        ]
        assert all(code.isalnum() for code in entry.get("any_of", [])), entry["id"]


def test_a_range_covers_its_ends_and_only_codes_of_its_length() -> None:
    codes = Codes((("99202", "99205"), ("G0103", "G0103")))
    assert all(code in codes for code in ("99202", "99203", "99205", "G0103"))
    assert not any(code in codes for code in ("99201", "99206", "9920", "992030", "", "g0103"))


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        ([line("99213"), line("20610")], True),
        ([line("99213", "25"), line("20610")], False),
        ([line("20610"), line("99213", "57")], False),
        ([line("99213"), line("20610", "25")], True),
        ([line("99213")], False),
        ([line("99213"), line("20610", on=NEXT)], False),
        ([line("99213", on=None), line("20610", on=None)], True),
        ([line("97161", "GP")], False),
        ([line("97161", "GO")], True),
        ([line("97165")], True),
        ([line("92521", "GN", "KX")], False),
        ([line("97110", "GO")], False),
        ([line("97110", "59")], True),
        ([line("97110", "GP"), line("97161")], True),
        ([line("20610")], None),
        ([line("80053"), line("36415")], None),
        ([], None),
    ],
)
def test_a_modifier_is_missing_kept_or_not_known(lines: list[ServiceLine], missing: bool | None) -> None:  # noqa: FBT001
    assert missing_required_modifier(lines) is missing


@pytest.mark.parametrize(
    ("procedures", "diagnoses", "mismatch"),
    [
        (["77067"], ["Z12.31"], False),
        (["77067"], ["Z1231"], False),
        (["77067"], ["N63.10", "Z12.31"], False),
        (["77067"], ["N63.10"], True),
        (["77067"], [], True),
        (["77067", "81528"], ["Z12.31"], True),
        (["81528"], ["Z12.12"], False),
        (["99213"], ["Z12.31"], None),
        ([], [], None),
    ],
)
def test_a_diagnosis_is_missing_present_or_not_asked_for(
    procedures: list[str],
    diagnoses: list[str],
    mismatch: bool | None,  # noqa: FBT001
) -> None:
    assert diagnosis_mismatch([line(code) for code in procedures], diagnoses) is mismatch


OURS = read_coding(
    json.dumps(
        {
            "modifiers": [],
            "diagnoses": [],
            "authorizations": [{"id": "a", "payer_ids": ["P1"], "procedures": ["15820-15823"]}],
        }
    )
)


@pytest.mark.parametrize(
    ("payer_id", "procedure", "number", "missing"),
    [
        ("P1", "15822", "", True),
        ("P1", "15822", " ", True),
        ("P1", "15822", "A1002", False),
        ("P1", "99213", "", None),
        ("P2", "15822", "", None),
        ("P2", "99213", "A1002", False),
    ],
)
def test_an_authorization_is_missing_named_or_not_known_to_be_needed(
    payer_id: str,
    procedure: str,
    number: str,
    missing: bool | None,  # noqa: FBT001
) -> None:
    assert authorization_missing(payer_id, [line(procedure)], number, OURS) is missing


def test_the_declared_reference_is_what_is_asked_by_default() -> None:
    (entry,) = coding().authorizations
    (payer_id,) = entry.payer_ids
    assert authorization_missing(payer_id, [line("67904")], "") is True
