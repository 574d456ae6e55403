"""Fees in CSV: what is read, and which line is at fault."""

from datetime import date

import pytest

from cli.fees import read_fees
from cli.output import Failure
from shared.ports.operators import ContractedFee

HEADER = "payer,procedure,effective_from,fee"


def test_fees_are_read_with_payers_as_remittances_know_them() -> None:
    lines = [
        HEADER + ",note",
        "Acme Health Plan,99213,2026-01-01,92.50,x",
        '"Blue Cross, Inc.",J1550,2026-07-01,7',
    ]
    assert list(read_fees(iter(lines))) == [
        ContractedFee("acme-health-plan", "99213", date(2026, 1, 1), 92_50),
        ContractedFee("blue-cross-inc", "J1550", date(2026, 7, 1), 7_00),
    ]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["payer,fee"], "line 1: no column procedure, effective_from"),
        ([HEADER, ",99213,2026-01-01,9"], "line 2: a payer or procedure"),
        ([HEADER, f"Acme,{'9' * 50},2026-01-01,9"], "line 2: a payer or procedure"),
        ([HEADER, "Acme,99213,01/02/2026,9"], "line 2: effective_from"),
        ([HEADER, "Acme,99213,2026-01-01,nine"], "line 2: effective_from"),
        ([HEADER, "Acme,99213"], "line 2: effective_from"),
        ([HEADER, "Acme,99213,2026-01-01,-9"], "line 2: a fee below nothing"),
        ([HEADER, "Acme,99213,2026-01-01,9", "ACME,99213,2026-01-01,8"], "line 3: says what line 2 says"),
    ],
)
def test_a_line_that_is_no_fee_is_named(lines: list[str], says: str) -> None:
    with pytest.raises(Failure, match=says):
        list(read_fees(iter(lines)))
