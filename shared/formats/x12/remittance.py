"""Health care claim payment advice (835): claim payments as each claim's loop ends, then the advice itself. Pure.

Source: 005010X221A1 and 004010X091A1; section 1.10.2 (balancing), table 1 (BPR, TRN, DTM*405, N1), table 3 (PLB).
"""

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from itertools import chain
from typing import Final

from shared.domain.claims import (
    Adjustment,
    ClaimPayment,
    Finding,
    Party,
    Remittance,
    RemittanceSummary,
)
from shared.domain.money import MAX_CENTS
from shared.formats.x12.claim_loop import TAKE, ClaimLoop
from shared.formats.x12.elements import ElementError, Segment, amount, code, day, element, text
from shared.formats.x12.envelope import NumberedSegments, Transaction
from shared.runtime.errors import UnreadableError

_MAX_KEY: Final = 300
_BETWEEN_CLAIMS: Final = frozenset({"LX", "TS2", "TS3"})


class Header:
    """Table 1: who pays whom, how much, when. `take` each segment before the first LX, CLP, PLB or SE; then `close`.

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

    def close(self, transaction: Transaction) -> Remittance:
        """Return the advice, dated by the first of DTM*405, BPR16 and GS04 that is a date."""
        paid_cents = amount(self._bpr or ["BPR"], 2)
        payer = Party(text(self._payer, 2), text(self._payer, 4) or self._payer_ref)
        dates = (("DTM405", self._decided), ("BPR16", element(self._bpr, 16)), ("GS04", transaction.sent_on))
        decided_source, decided_on = next(((s, on) for s, value in dates if (on := day(value))), ("", None))
        return Remittance(
            key=self._key(transaction, payer, paid_cents),
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

    def _key(self, transaction: Transaction, payer: Party, paid_cents: int) -> str:
        """Return what tells this advice from others of the payer, however often and in whichever file it comes."""
        key = "|".join(
            (
                "835",
                element(self._trn, 2),
                element(self._trn, 3),
                element(self._bpr, 16),
                str(paid_cents),
                payer.id or payer.name,
                transaction.control_number,
            )
        )
        return key if len(key) <= _MAX_KEY else f"835|{sha256(key.encode()).hexdigest()}"


_HEADER: Final[Mapping[str, Callable[[Header, Segment], None]]] = {
    "BPR": Header.take_bpr,
    "TRN": Header.take_trn,
    "DTM": Header.take_dtm,
    "N1": Header.take_n1,
    "REF": Header.take_ref,
    **dict.fromkeys(("NTE", "CUR", "N2", "N3", "N4", "PER", "RDM"), Header.skip),
}


def read_remittance(transaction: Transaction) -> Iterator[ClaimPayment | RemittanceSummary]:
    """Yield the advice's claim payments in order, each once its loop has ended, then its summary.

    Amounts are in cents. `decided_on` is the advice's for each of its claims.
    Raises:
        UnreadableError: a required element is missing or no amount, a segment stands where its meaning is lost, or the
            transaction set is cut off. What was yielded before is part of an advice that did not end: drop it.
    Source: 005010X221A1, 004010X091A1.
    """
    header, segments = _read_header(transaction)
    try:
        remittance = header.close(transaction)
    except ElementError as exc:
        raise _located(transaction.place, exc) from exc
    advice = Advice(transaction, remittance, list(header.findings(transaction.place)))
    try:
        for index, segment in segments:
            if segment[0] == "SE":
                yield from advice.end_claim()
                yield advice.close(index, segment)
                return
            if (take := TAKE.get(segment[0])) is not None and advice.claim is not None:
                take(advice.claim, segment)
            else:
                yield from advice.end_claim()
                advice.take(index, segment)
    except ElementError as exc:
        raise _located(advice.place, exc) from exc
    raise transaction.truncated()


class Advice:
    """What adds up over a transaction set: its claims, their payments and the provider-level adjustments."""

    def __init__(self, transaction: Transaction, remittance: Remittance, findings: list[Finding]) -> None:
        self._transaction = transaction
        self._remittance = remittance
        self._findings = findings
        self._claims = self._claims_paid_cents = 0
        self._adjustments: list[Adjustment] = []
        self.claim: ClaimLoop | None = None

    @property
    def place(self) -> str:
        """Where reading stands."""
        return self.claim.place if self.claim else self._transaction.place

    def take(self, index: int, segment: Segment) -> None:
        """Begin a claim, or take a segment between claims.

        Raises:
            UnreadableError: it belongs to a claim and there is none, or to no 835.
        """
        if segment[0] == "CLP":
            place = f"{self._transaction.place}/CLP[{self._claims + 1}]"
            self.claim = ClaimLoop(segment, place=place, component=self._transaction.component)
        elif segment[0] == "PLB":
            self._take_plb(segment)
        elif segment[0] not in _BETWEEN_CLAIMS:
            raise self._transaction.misplaced(index, segment)

    def end_claim(self) -> Iterator[ClaimPayment]:
        """Yield the claim whose loop is open, if one is."""
        if self.claim is None:
            return
        payment = self.claim.close(self._remittance, self._claims)
        self.claim = None
        self._claims += 1
        self._claims_paid_cents += payment.paid_cents
        yield payment

    def close(self, index: int, se: Segment) -> RemittanceSummary:
        """Return the advice, with all that does not add up in it."""
        self._balance()
        return RemittanceSummary(
            remittance=self._remittance,
            claim_count=self._claims,
            claims_paid_cents=self._claims_paid_cents,
            adjustments=tuple(self._adjustments),
            findings=(*self._findings, *self._transaction.close(index, se)),
        )

    def _take_plb(self, plb: Segment) -> None:
        """Add up to six pairs of reason and amount. A positive amount lowers the payment."""
        for at in range(3, len(plb), 2):
            if element(plb, at) or element(plb, at + 1):
                reason = element(plb, at).split(self._transaction.component)[0]
                self._adjustments.append(Adjustment("", code([plb[0], reason], 1), amount(plb, at + 1)))

    def _balance(self) -> None:
        place = f"{self._transaction.place}/BPR"
        adjusted = sum(adjustment.amount_cents for adjustment in self._adjustments)
        if abs(self._claims_paid_cents) > MAX_CENTS or abs(adjusted) > MAX_CENTS:
            raise UnreadableError("larger than any real remittance", place=place)
        if self._claims_paid_cents - adjusted != self._remittance.paid_cents:
            detail = "BPR02 is not the sum of CLP04 less the sum of PLB"
            self._findings.append(self._transaction.found("remittance_unbalanced", place, detail))


def _read_header(transaction: Transaction) -> tuple[Header, NumberedSegments]:
    """Return table 1 and the segments from the first that is not part of it."""
    header = Header()
    for index, segment in transaction.segments:
        take = _HEADER.get(segment[0])
        if take is None:
            return header, chain([(index, segment)], transaction.segments)
        try:
            take(header, segment)
        except ElementError as exc:
            raise _located(transaction.place, exc) from exc
    raise transaction.truncated()


def _located(place: str, error: ElementError) -> UnreadableError:
    """Return the error with its place: the loop, and the segment in it unless that began the loop."""
    segment = error.element[:-2]
    loop = place.rpartition("/")[2].partition("[")[0]
    return UnreadableError(
        f"{error.element} is {error.detail}", place=place if segment == loop else f"{place}/{segment}"
    )
