"""What adds up in every good 837, 277 and 278: the invariants that FORMATS.md states of the 835 have theirs there, too.

The exceptions are named. Of each, the record carries the finding.
"""

from pathlib import Path

import pytest

from shared.domain.claims import Authorization, AuthorizationRequest, ClaimStatus, SubmittedClaim
from tests.unit.formats.advices import FIXTURES, read_all

SUBMISSIONS = sorted([*(FIXTURES / "x12-837p").iterdir(), *(FIXTURES / "x12-837i").iterdir()])
STATUSES = sorted((FIXTURES / "x12-277").iterdir())
# Made by repeating a claim of 500.00 whose only line is 12.25.
MADE_UP = {"x12-parser__x12_many_claims.txt", "x12-parser__x12_multiple_transactions.txt"}
# Requests and the answers to them, by the name that they share.
REVIEWS = {
    "referral-request-for-review": "referral-response-to-request-for-review",
    "request-for-medical-services-reservation": "response-to-medical-services-reservation",
    "request-for-non-emergency-transportation": "response-to-non-emergency-transportation",
}


def named(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", SUBMISSIONS, ids=named)
def test_a_claims_charge_is_that_of_its_lines(path: Path) -> None:
    claims = [record for record in read_all(path.read_bytes()) if isinstance(record, SubmittedClaim)]
    balanced = [claim.charge_cents == sum(line.charge_cents for line in claim.lines) for claim in claims]
    assert set(balanced) == {path.name not in MADE_UP}
    found = ["claim_unbalanced" in {finding.code for finding in claim.findings} for claim in claims]
    assert found == [not one for one in balanced]


@pytest.mark.parametrize("path", STATUSES, ids=named)
def test_a_status_states_of_a_claim_what_it_states_of_its_lines(path: Path) -> None:
    statuses = [record for record in read_all(path.read_bytes()) if isinstance(record, ClaimStatus)]
    for status in (one for one in statuses if one.level == "claim" and one.lines):
        assert status.charge_cents == sum(line.charge_cents for line in status.lines)
        if status.paid_cents is not None:
            assert status.paid_cents == sum(line.paid_cents or 0 for line in status.lines)
            assert 0 <= status.paid_cents <= status.charge_cents
    assert statuses


@pytest.mark.parametrize(
    ("name", "claims", "cents"),
    [
        ("x12-parser__x12_277CA_accepted.txt", 1, 125_00),
        ("x12-types__parse_277_01.edi", 5, 365_50),  # 200.50 accepted and 165.00 rejected
        ("x12-types__parse_277_02.edi", 5, 365_50),
    ],
)
def test_an_acknowledgement_of_a_batch_adds_up_to_its_claims(name: str, claims: int, cents: int) -> None:
    statuses = [
        record
        for record in read_all((FIXTURES / "x12-277" / name).read_bytes())
        if isinstance(record, ClaimStatus)
    ]
    of_claims = [one.charge_cents for one in statuses if one.level == "claim"]
    assert (len(of_claims), sum(of_claims)) == (claims, cents)
    batches = [one.charge_cents for one in statuses if one.level != "claim" and one.charge_cents]
    assert batches == [cents]


@pytest.mark.parametrize(("asked", "answered"), REVIEWS.items(), ids=list(REVIEWS))
def test_an_answer_is_of_its_request_and_grants_what_was_asked_for(asked: str, answered: str) -> None:
    [request] = read_all((FIXTURES / "x12-278" / f"stupidedi__{asked}.edi").read_bytes())
    [answer] = read_all((FIXTURES / "x12-278" / f"stupidedi__{answered}.edi").read_bytes())
    assert isinstance(request, AuthorizationRequest)
    assert isinstance(answer, Authorization)
    assert answer.trace_number == request.trace_number
    assert (answer.payer, answer.patient) == (request.payer, request.patient)
    assert answer.procedure == (request.lines[0].procedure if request.lines else "")
    units = sum(int(line.units) for line in request.lines) if request.lines else 1  # HSD*VS*1: one visit
    assert answer.units_authorized == units
