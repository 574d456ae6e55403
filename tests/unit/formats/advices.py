"""An 835 to take apart: one balanced claim, of which tests change a segment. And how to read, and what an error is."""

from pathlib import Path

import pytest

from shared.domain.claims import ClaimPayment, Delivery, Record, RemittanceSummary
from shared.formats.registry import read
from shared.runtime.errors import UnreadableError

FIXTURES = Path(__file__).parents[2] / "fixtures" / "webhooks"

ST = "ISA[1]/GS[1]/ST[1]"
HEADER = [
    "ISA*00*          *00*          *ZZ*ACMEHEALTH     *ZZ*PRACTICE       *260217*1200*^*00501*000000042*0*P*:",
    "GS*HP*ACME*PRACTICE*20260217*1200*7*X*005010X221A1",
    "ST*835*0001",
    "BPR*I*80*C*CHK************20260218",
    "TRN*1*CHECK-9*1512345678",
    "DTM*405*20260216",
    "N1*PR*ACME HEALTH PLAN*XV*60054",
    "N1*PE*EXAMPLE PRACTICE*XX*1234567893",
    "LX*1",
]
CLAIM = [
    "CLP*PCN-1*1*100*80*5*12*ICN-1",
    "CAS*CO*45*15",
    "CAS*PR*3*5",
    "NM1*QC*1*DOE*JANE*Q***MI*W01",
    "DTM*232*20260105",
]
TRAILER = ["SE*{count}*0001", "GE*1*7", "IEA*1*000000042"]


def make_835(*claims: str, **instead: str) -> bytes:
    """Write an 835 with these segments in the place of CLAIM, and others for header and trailer by their segment id."""
    segments = [instead.get(segment.split("*")[0], segment) for segment in HEADER]
    segments = list(filter(None, [*segments, *(claims or CLAIM)]))
    count = str(
        len(segments) + 1 - next(at for at, segment in enumerate(segments) if segment.startswith("ST*"))
    )
    trailer = [instead.get(segment.split("*")[0], segment).replace("{count}", count) for segment in TRAILER]
    return ("~".join([*segments, *filter(None, trailer)]) + "~").encode()


def read_835(body: bytes) -> tuple[list[ClaimPayment], RemittanceSummary]:
    """Read a payload of one advice."""
    *payments, summary = read_all(body)
    assert isinstance(summary, RemittanceSummary)
    return [payment for payment in payments if isinstance(payment, ClaimPayment)], summary


def read_all(body: bytes, *, content_type: str = "", format: str = "auto") -> list[Record]:  # noqa: A002
    """Read a delivery to its end."""
    return list(read(Delivery(body, content_type, format)))


def refused(body: bytes, *, content_type: str = "", format: str = "auto") -> UnreadableError:  # noqa: A002
    """Return the error that a delivery ends in."""
    with pytest.raises(UnreadableError) as raised:
        read_all(body, content_type=content_type, format=format)
    return raised.value
