"""Table 1 of an 835: who pays whom, how much, and when. Pure: no I/O.

Source: 005010X221A1 and 004010X091A1, BPR, TRN, DTM*405 and loops 1000A (payer) and 1000B (payee).
"""

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Final

from shared.domain.claims import Finding, Party, Remittance
from shared.formats.x12.elements import ElementError, Segment, amount, day, element, text
from shared.formats.x12.envelope import Transaction

_MAX_KEY: Final = 300


class Header:
    """Table 1: who pays whom, how much, when. `take` each segment before the first CLP, PLB or SE; then `close`.

    Raises:
        ElementError: an element that cannot mean what it should.
    """

    def __init__(self) -> None:
        self._bpr: Segment = []
        self._trn: Segment = []
        self._payer: Segment = []
        self._payee: Segment = []
        self._payer_ref = ""
        self._decided = ""
        self._in_payer = False

    def take_bpr(self, bpr: Segment) -> None:
        """Note the payment."""
        if self._bpr:
            raise ElementError("BPR00", "there a second time")
        self._bpr = bpr

    def take_trn(self, trn: Segment) -> None:
        """Note the payment's trace number."""
        self._trn = self._trn or trn

    def take_dtm(self, dtm: Segment) -> None:
        """Note when the advice was produced."""
        if element(dtm, 1) == "405":
            self._decided = element(dtm, 2)

    def take_n1(self, n1: Segment) -> None:
        """Note the payer or payee."""
        self._in_payer = element(n1, 1) == "PR"
        if self._in_payer:
            self._payer = n1
        elif element(n1, 1) == "PE":
            self._payee = n1

    def take_ref(self, ref: Segment) -> None:
        """Note the payer's further id."""
        if self._in_payer and element(ref, 1) == "2U":
            self._payer_ref = text(ref, 2)

    def skip(self, segment: Segment) -> None:
        """Take a segment that says nothing of what we keep."""

    def close(self, transaction: Transaction, follows: Segment) -> Remittance:
        """Return the advice, dated by the first of DTM*405, BPR16 and GS04 that is a date.

        follows: the segment after table 1.
        """
        paid_cents = amount(self._bpr or ["BPR"], 2)
        payer = Party(text(self._payer, 2), text(self._payer, 4) or self._payer_ref)
        dates = (("DTM405", self._decided), ("BPR16", element(self._bpr, 16)), ("GS04", transaction.sent_on))
        decided_source, decided_on = next(((s, on) for s, value in dates if (on := day(value))), ("", None))
        return Remittance(
            key=self._key(payer, paid_cents, follows),
            payer=payer,
            payee=Party(text(self._payee, 2), text(self._payee, 4)),
            trace_number=text(self._trn, 2),
            method=text(self._bpr, 4),
            paid_cents=paid_cents,
            decided_on=decided_on,
            decided_source=decided_source,
        )

    def findings(self, place: str) -> Iterator[Finding]:
        """Yield what a table 1 should have and this one has not."""
        if not element(self._trn, 2):
            yield Finding("trace_missing", f"{place}/TRN", "no TRN02: other advices may look like this one")
        if not element(self._payer, 2) and not element(self._payer, 4):
            yield Finding("payer_missing", f"{place}/N1", "no N1*PR with a name or an id")
        if self._decided and day(self._decided) is None:
            yield Finding("invalid_date", f"{place}/DTM", "DTM*405 is not a date")

    def _key(self, payer: Party, paid_cents: int, follows: Segment) -> str:
        """Return what tells this advice from others of the payer, however often and in whichever file it comes.

        Trace numbers repeat where they should not (test files, and checks of nothing), so its first claim counts too.
        Control numbers do not count: whoever forwards an advice numbers it anew.
        """
        key = "|".join(
            (
                "835",
                element(self._trn, 2),
                element(self._trn, 3),
                element(self._bpr, 16),
                str(paid_cents),
                payer.id or payer.name,
                *(_first_claim(follows) if follows[0] == "CLP" else ()),
            )
        )
        return key if len(key) <= _MAX_KEY else f"835|{sha256(key.encode()).hexdigest()}"


def _first_claim(clp: Segment) -> Iterator[str]:
    """Yield a claim's number, charge, payment and payer's number. What is no amount is its own loop's to refuse."""
    yield element(clp, 1)
    for at in (3, 4):
        try:
            yield str(amount(clp, at))
        except ElementError:
            yield element(clp, at)
    yield element(clp, 7)


HEADER_SEGMENTS: Final[Mapping[str, Callable[[Header, Segment], None]]] = {
    "BPR": Header.take_bpr,
    "TRN": Header.take_trn,
    "DTM": Header.take_dtm,
    "N1": Header.take_n1,
    "REF": Header.take_ref,
    **dict.fromkeys(("NTE", "CUR", "N2", "N3", "N4", "PER", "RDM", "LX", "TS2", "TS3"), Header.skip),
}
