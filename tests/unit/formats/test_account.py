"""`upstream inspect`: any file has an account, which shows lines and no patient."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from shared.domain.claims import Adjustment, ClaimPayment, ClaimStatus, Delivery, StatusCode
from shared.formats.account import account_of, findings_of, line_of
from shared.formats.code_sets import FOLDER, code_set, unknown_codes
from tests.unit.formats.advices import CLAIM, FIXTURES, make_835, read_all

EVERY = [path for path in sorted(FIXTURES.glob("*/*")) if path.stat().st_size < 100_000]


@pytest.mark.parametrize("path", EVERY, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_file_has_an_account(path: Path) -> None:
    account = account_of(Delivery(path.read_bytes()))
    assert account.whole == (not account.refusal)
    assert account.records or account.refusal or path.parent.name in {"fhir-notification", "webhook-stedi"}
    for found in findings_of(account):
        assert (found["line"] is None) == found["place"].startswith("$") or found["place"] == "ST"


def test_a_fault_is_shown_with_its_line() -> None:
    name = "x12-parser__x12_missing_elements.txt"
    account = account_of(Delivery((FIXTURES / "x12-malformed" / name).read_bytes()))
    lines = {(f["code"], f["line"]) for f in findings_of(account)}
    # Counted in the file with `grep -n`: the first CLM, the second, the HL that names no parent, and SE.
    assert {
        ("claim_unbalanced", 22),
        ("frequency_missing", 31),
        ("hl_parent", 27),
        ("segment_count", 36),
    } <= lines


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("ISA[1]", 1),
        ("ISA[1]/GS[1]/ST[1]", 3),
        ("ISA[1]/GS[1]/ST[1]/CLP[1]", 10),
        ("ISA[1]/IEA", 17),
        ("$.total", None),
    ],
)
def test_a_place_is_found_again_in_the_file(place: str, line: int | None) -> None:
    assert line_of(make_835().replace(b"~", b"~\n"), place) == line


def test_an_account_says_what_a_payment_says_and_no_patient() -> None:
    account = account_of(Delivery(make_835()))
    assert [(told.kind, told.number) for told in account.records] == [
        ("payment", "PCN-1"),
        ("advice", "CHECK-9"),
    ]
    assert account.records[0].says == (
        "paid; charged $100.00; paid $80.00; patient owes $5.00; CO 45 $15.00; PR 3 $5.00"
    )
    assert "DOE" not in str(account)


def test_the_command_exits_by_whether_the_file_can_be_read(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.835", tmp_path / "bad.835"
    good.write_bytes(make_835())
    bad.write_bytes(make_835()[:-40])
    assert CliRunner().invoke(app, ["inspect", str(good)]).exit_code == 0
    result = CliRunner().invoke(app, ["inspect", str(bad), "--json"])
    told = json.loads(result.stdout)
    assert (result.exit_code, told["whole"], told["refused_at"]) == (1, False, "ISA[1]/GS[1]/ST[1]")
    assert "would become a dead letter" in CliRunner().invoke(app, ["inspect", str(bad)]).stdout


# Code sets


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_code_set_names_its_source_and_version(path: Path) -> None:
    declared = json.loads(path.read_text(encoding="utf-8"))
    assert declared["name"] == path.stem
    assert declared["version"]
    assert declared["source"]
    assert len(declared["codes"]) == len(code_set(path.stem).codes) > 4


def test_an_unknown_code_passes_through_and_is_counted() -> None:
    payment = next(
        r for r in read_all(make_835(*CLAIM, "LQ*HE*N1", "LQ*HE*ZZ9")) if isinstance(r, ClaimPayment)
    )
    assert payment.remarks == ("N1", "ZZ9")
    assert list(unknown_codes(payment)) == [("remark", "ZZ9")]


def test_what_cannot_be_a_code_is_not_quoted() -> None:
    status = next(
        r
        for r in read_all((FIXTURES / "x12-277" / "x12__claim-level-status.277").read_bytes())
        if isinstance(r, ClaimStatus)
    )
    strange = replace(status, codes=(StatusCode("F1", "Robinson"), StatusCode("ZZ", "3")))
    assert list(unknown_codes(strange)) == [("claim_status_category", "ZZ"), ("claim_status", "?")]
    assert Adjustment("CO", "45", 1).group in code_set("adjustment_group").codes
