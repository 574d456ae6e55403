"""A transaction set without its interchange is read as if it had one."""

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.x12.bare import enveloped
from shared.formats.x12.reader import read_stream

SAMPLES = Path(__file__).parents[2] / "fixtures" / "webhooks"


def bare(name: str) -> bytes:
    """Return the first transaction set of a sample, from ST to SE."""
    body = (SAMPLES / name).read_bytes()
    begin = body.index(b"ST" + body[body.index(b"ISA") + 3 : body.index(b"ISA") + 4])
    end = body.index(b"SE" + body[begin + 2 : begin + 3], begin)
    terminator = body[body.index(b"GS", 100) - 1 : body.index(b"GS", 100)]
    if terminator in b"\r\n":
        terminator = body[body.index(b"GS", 100) - 2 : body.index(b"GS", 100)].strip() or b"\n"
    return body[begin : body.index(terminator, end) + 1]


@pytest.mark.parametrize(
    "name",
    [
        "x12-835/x12-types__X221-multiple-claims-single-check.edi",
        "x12-835/x12__medicare-part-a.835",
        "x12-277/x12__claim-level-status.277",
        "x12-837p/x12__demo.example1.837",
    ],
)
def test_a_bare_set_says_what_it_says_within_its_interchange(name: str) -> None:
    whole = list(read_stream(BytesIO((SAMPLES / name).read_bytes())))
    alone = list(read_stream(BytesIO(enveloped(bare(name)))))
    assert len(alone) == len(whole) > 0
    assert [type(record) for record in alone] == [type(record) for record in whole]
    for one, other in zip(alone, whole, strict=True):
        for member in ("claim_number", "charge_cents", "paid_cents", "status", "payer_claim_number"):
            assert getattr(one, member, None) == getattr(other, member, None)


def test_what_has_an_interchange_or_is_no_x12_is_left_alone() -> None:
    for body in (b"ISA*00*...", b"{}", b"", b"STOP"):
        assert enveloped(body) == body


@given(st.binary(max_size=300))
def test_any_bytes_are_left_alone_or_enveloped(body: bytes) -> None:
    assert enveloped(body) == body or enveloped(body).startswith(b"ISA")
