"""A file in pieces says what it says whole."""

from io import BytesIO

import pytest

from shared.domain.claims import ClaimPayment, Record, SubmittedClaim
from shared.formats.x12.split import TransactionSet, transaction_sets
from shared.runtime.errors import UnreadableError
from tests.unit.formats.advices import FIXTURES, HEADER, make_835, read_all

LIMIT = 1 << 20


def split(body: bytes, limit: int = LIMIT) -> list[TransactionSet]:
    return list(transaction_sets(BytesIO(body), limit=limit))


def sums(records: list[Record]) -> tuple[int, int, int]:
    claims = [r for r in records if isinstance(r, SubmittedClaim | ClaimPayment)]
    paid = sum(r.paid_cents for r in claims if isinstance(r, ClaimPayment))
    return len(claims), sum(r.charge_cents for r in claims), paid


@pytest.mark.parametrize(
    ("kind", "name", "sets"),
    [
        ("x12-837p", "x12-parser__x12_multiple_transactions.txt", 312),
        ("x12-835", "x12-parser__profee-multiple.edi", 156),
        ("x12-277", "x12-parser__x12_277_x212.txt", 1),
        ("x12-837i", "x12__out-of-network-repriced-claim.837i", 1),
    ],
)
def test_the_pieces_of_a_file_say_what_it_says(kind: str, name: str, sets: int) -> None:
    body = (FIXTURES / kind / name).read_bytes()
    pieces = split(body)
    assert len(pieces) == sets
    assert sums([r for piece in pieces for r in read_all(piece.body)]) == sums(read_all(body))


def test_a_piece_is_the_set_between_headers_and_trailers_that_fit() -> None:
    (piece,) = split(make_835())
    assert (piece.place, piece.kind) == ("ISA[1]/GS[1]/ST[1]", "835")
    assert piece.body == make_835()
    assert split(piece.body) == [piece]


def test_an_acknowledgement_of_an_interchange_is_a_piece() -> None:
    body = make_835(GS=f"TA1*000000007*260216*1200*R*024~{HEADER[1]}")
    said, advice = split(body)
    assert (said.place, said.kind, advice.kind) == ("ISA[1]/TA1[1]", "TA1", "835")
    assert [*read_all(advice.body), *read_all(said.body)] == read_all(body)


def test_names_in_other_alphabets_stay_what_they_are() -> None:
    body = make_835().replace(b"DOE*JANE", "MÜLLER*ŻANETA".encode())
    (piece,) = split(body)
    assert piece.body == body


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"hello", "character 0"),
        (make_835()[:-60], "ISA[1]/GS[1]/ST[1]"),
        (make_835().replace(b"IEA*1*000000042~", b""), "ISA[1]/IEA"),
        (b"see below\n" + make_835(), "ISA[1]"),
        (make_835(SE=""), "ISA[1]/GS[1]/ST[1]"),
        (make_835().replace(b"ST*835*0001~", b""), "ISA[1]/GS[1]/ST[0]"),
    ],
)
def test_what_is_no_whole_set_is_refused_at_its_place(body: bytes, place: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        split(body)
    assert raised.value.place == place


def test_a_set_that_no_delivery_may_hold_is_refused() -> None:
    with pytest.raises(UnreadableError, match="more than 100 bytes"):
        split(make_835(), limit=100)
    assert len(HEADER[0]) > 100  # headers do not count
