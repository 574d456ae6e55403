"""Claim status (277) and claim acknowledgement (277CA): a status as each traced loop ends. Pure: no I/O.

The two are one transaction set, told apart only by GS08. Source: 005010X212, 005010X214; 005010X213 (request for
information); 005010X364 (data reporting).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from shared.domain.claims import ClaimStatus, Finding, LineStatus, StatusCode
from shared.formats.standing import standing
from shared.formats.x12.claim_numbers import number_of
from shared.formats.x12.dates import first_day
from shared.formats.x12.elements import Segment, components, day, element, optional_amount, required, text
from shared.formats.x12.envelope import Transaction
from shared.formats.x12.loops import Levels, read_loops
from shared.formats.x12.names import party, person
from shared.runtime.errors import UnreadableError

_REQUESTS: Final = "X213"  # for more about a claim
_STATUSES: Final = ("X212", _REQUESTS)  # X212 answers a 276; every other guide acknowledges
_LEVELS: Final = {"20": "payer", "21": "receiver", "19": "provider"}
_CLAIM: Final = "claim"
_REJECTED: Final = "rejected"
_TOTALS: Final = {"YU": False, "YY": True}  # AMT01 of what was taken, and of what was rejected
_CODES_AT: Final = (1, 10, 11)


def read_statuses(transaction: Transaction) -> Iterator[ClaimStatus]:
    """Yield the set's statuses in order: a receiver's or provider's too, since a rejection may stand there alone.

    Raises:
        UnreadableError: as `read_loops`; or there is no status.
    """
    return read_loops(transaction, _Statuses(transaction))


class _Statuses:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._levels = Levels(transaction)
        self._states = any(guide in transaction.guide for guide in _STATUSES)
        self._requests = _REQUESTS in transaction.guide
        self._loop: _TraceLoop | None = None
        self._traces = self._statuses = 0
        self._stated: dict[bool, int] = {}  # by whether rejected: what the receiver's totals say
        self._summed = {True: 0, False: 0}

    @property
    def place(self) -> str:
        return self._loop.place if self._loop else self._levels.place

    def take(self, segment: Segment) -> Sequence[ClaimStatus]:
        kind = segment[0]
        if kind in {"HL", "TRN"}:
            ended = self._end_loop()
            if kind == "HL":
                self._levels.enter(segment)
            else:
                self._traces += 1
                place = f"{self._transaction.place}/TRN[{self._traces}]"
                self._loop = _TraceLoop(segment, place, self._transaction.component)
            return ended
        if kind == "NM1":
            self._levels.name(segment)
        elif kind == "AMT" and self._levels.level == "21" and element(segment, 1) in _TOTALS:
            rejected = _TOTALS[element(segment, 1)]
            self._stated[rejected] = self._stated.get(rejected, 0) + optional_amount(segment, 2)
        elif self._loop is not None and (take := _TRACE_SEGMENTS.get(kind)) is not None:
            take(self._loop, segment)
        return ()

    def end(self) -> Sequence[ClaimStatus]:
        last = self._end_loop()
        self._balance()
        if not self._statuses:
            raise UnreadableError("no status in it", place=self._transaction.place)
        return last

    def _end_loop(self) -> Sequence[ClaimStatus]:
        loop = self._loop
        if loop is None or not loop.codes:  # a trace number alone acknowledges nothing
            self._loop = None
            return ()
        self._statuses += 1
        names = self._levels
        level = _LEVELS.get(names.level, _CLAIM)
        status = loop.close(
            kind="status" if self._states else "acknowledgement",
            level=level,
            payers_trace=self._requests,
            levels=names,
        )
        self._loop = None
        if level == _CLAIM:
            self._summed[status.standing == _REJECTED] += status.charge_cents
        return (status,)

    def _balance(self) -> None:
        """Compare the receiver's totals, where both are there, with the claims under it."""
        for rejected, stated in self._stated.items():
            if stated != self._summed[rejected]:
                total = "AMT*YY" if rejected else "AMT*YU"
                detail = f"{total} is not the sum of the charges of its claims"
                place = f"{self._transaction.place}/AMT"
                self._transaction.envelope.note(self._transaction.found("totals_unbalanced", place, detail))


class _TraceLoop:
    """What follows a TRN: one status, and those of its service lines."""

    def __init__(self, trn: Segment, place: str, component: str) -> None:
        self._trn = trn
        self._own_place = place
        self._component = component
        self._stc: Segment = []
        self.codes: list[StatusCode] = []
        self._numbers: dict[str, str] = {}
        self._service_on: date | None = None
        self._svc: Segment = []
        self._svc_codes: list[StatusCode] = []
        self._lines: list[LineStatus] = []
        self._findings: list[Finding] = []

    @property
    def place(self) -> str:
        return f"{self._own_place}/SVC[{len(self._lines) + 1}]" if self._svc else self._own_place

    def take_stc(self, stc: Segment) -> None:
        codes = [self._code(stc, at) for at in _CODES_AT if element(stc, at)]
        if not codes:
            self._find("status_missing", f"{self.place}/STC", "no STC01")
        if self._svc:
            self._svc_codes += codes
            return
        self._stc = self._stc or stc
        self.codes += codes
        if element(stc, 2) and day(element(stc, 2)) is None:
            self._find("invalid_date", f"{self.place}/STC", "STC02 is not a date")

    def take_ref(self, ref: Segment) -> None:
        if not self._svc:
            self._numbers.setdefault(element(ref, 1), text(ref, 2))

    def take_dtp(self, dtp: Segment) -> None:
        if element(dtp, 1) != "472":
            return
        on = first_day(dtp)
        if on is None:
            self._find("invalid_date", f"{self.place}/DTP", "not a date")
        if not self._svc:
            self._service_on = on

    def take_svc(self, svc: Segment) -> None:
        self._end_line()
        self._svc = svc

    def close(self, *, kind: str, level: str, payers_trace: bool, levels: Levels) -> ClaimStatus:
        """Return the status.

        Of a `status` REF*EJ holds our number for the claim, and TRN02 that of the question, or with `payers_trace` the
        payer's for the claim; of an acknowledgement TRN02 is ours.
        """
        self._end_line()
        stc, numbers = self._stc, self._numbers
        trace, payer = required(self._trn, 2), party(levels.named("PR", "ACV"))
        own = numbers.get("EJ", "") if kind == "status" else trace
        payers = numbers.get("1K", "") or (trace if payers_trace else "")
        paid = optional_amount(stc, _PAID_AT) if element(stc, _PAID_AT) else None
        return ClaimStatus(
            kind=kind,
            level=level,
            standing=standing(self.codes),
            codes=tuple(self.codes),
            payer=payer,
            provider=party(levels.named("1P", "85")),
            patient=person(levels.named("QC"), levels.named("IL")),
            trace_number=trace,
            claim_number=number_of(own, payer, payers or trace) if level == _CLAIM else "",
            payer_claim_number=payers,
            clearinghouse_number=numbers.get("D9", ""),
            action=text(stc, 3),
            charge_cents=optional_amount(stc, 4),
            paid_cents=paid,
            stated_on=day(element(stc, 2)),
            decided_on=day(element(stc, 6)),
            check_number=text(stc, 9),
            service_on=self._service_on,
            lines=tuple(self._lines),
            findings=levels.take_findings() + tuple(self._findings),
        )

    def _end_line(self) -> None:
        svc, self._svc = self._svc, []
        if not svc:
            return
        procedure = components(svc, 1, self._component)[1:2]
        self._lines.append(
            LineStatus(
                procedure=procedure[0] if procedure else "",
                codes=tuple(self._svc_codes),
                charge_cents=optional_amount(svc, 2),
                paid_cents=optional_amount(svc, 3),
            )
        )
        self._svc_codes = []

    def _code(self, stc: Segment, at: int) -> StatusCode:
        category, status, entity, *_ = [*components(stc, at, self._component), "", ""]
        return StatusCode(category, status, entity)

    def _find(self, code: str, place: str, detail: str) -> None:
        self._findings.append(Finding(code, place, detail))


_PAID_AT: Final = 5

_TRACE_SEGMENTS: Final[Mapping[str, Callable[[_TraceLoop, Segment], None]]] = {
    "STC": _TraceLoop.take_stc,
    "REF": _TraceLoop.take_ref,
    "DTP": _TraceLoop.take_dtp,
    "SVC": _TraceLoop.take_svc,
}
