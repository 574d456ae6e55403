"""Health care claims (837), professional, institutional and dental: a claim as each CLM loop ends. Pure: no I/O.

Source: 005010X222A1 (professional), 005010X223A2 (institutional), 005010X224A2 (dental).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from shared.domain.claims import Finding, ServiceLine, SubmittedClaim
from shared.formats.x12.dates import first_day
from shared.formats.x12.elements import Segment, amount, components, day, element, required, text
from shared.formats.x12.envelope import Transaction
from shared.formats.x12.loops import Levels, read_loops
from shared.formats.x12.names import party, person
from shared.runtime.errors import UnreadableError

_DIAGNOSES: Final = frozenset({"ABK", "ABF", "BK", "BF", "ABJ", "BJ"})
_SERVICE_DATES: Final = frozenset({"472", "434", "435"})  # a line's day, a statement's first, an admission
_PREDETERMINATION: Final = "PB"  # CLM19 of a dental claim: what would be paid
_PATIENT: Final = "23"  # HL03: below its subscriber, whose payer it is that is asked
_PAYER_RANKS: Final = {code: rank for rank, code in enumerate("PSTABCDEFGH", 1)}
_NUMBERS: Final = {"F8": "original", "G1": "authorization", "D9": "clearinghouse"}


def read_submissions(transaction: Transaction) -> Iterator[SubmittedClaim]:
    """Yield the set's claims in order, each once its loop has ended.

    charge: CLM02. submitted_on: BHT04. payer_rank: SBR01 of the subscriber. Amounts, names and numbers of other payers
    (loops 2320 and 2430) are not read.
    Raises:
        UnreadableError: as `read_loops`; or there is no claim.
    """
    return read_loops(transaction, _Submissions(transaction))


class _Submissions:
    """A set's claims. What stands before CLM belongs to the levels; what follows, to the claim or its line."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._levels = Levels(transaction)
        self._bht: Segment = []
        self._born_on: date | None = None
        self._payer_rank = 1
        self._claim: _ClaimLoop | None = None
        self._claims = 0

    @property
    def place(self) -> str:
        return self._claim.place if self._claim else self._levels.place

    def take(self, segment: Segment) -> Sequence[SubmittedClaim]:
        kind = segment[0]
        if kind in {"HL", "CLM"}:
            ended = self._end_claim()
            if kind == "HL":
                self._levels.enter(segment)
                self._born_on = None
                if self._levels.level != _PATIENT:
                    self._payer_rank = 1
            else:
                self._claims += 1
                place = f"{self._transaction.place}/CLM[{self._claims}]"
                self._claim = _ClaimLoop(segment, place, self._transaction.component)
            return ended
        if self._claim is not None:
            take = _CLAIM_SEGMENTS.get(kind)
            if take is not None:
                take(self._claim, segment)
        elif kind == "NM1":
            self._levels.name(segment)
        elif kind == "DMG":
            self._born_on = day(element(segment, 2))
        elif kind == "SBR":
            self._payer_rank = _PAYER_RANKS.get(element(segment, 1), 1)
        elif kind == "BHT":
            self._bht = segment
        return ()

    def end(self) -> Sequence[SubmittedClaim]:
        if not self._claims:
            raise UnreadableError("no claim in it", place=self._transaction.place)
        return self._end_claim()

    def _end_claim(self) -> Sequence[SubmittedClaim]:
        if self._claim is None:
            return ()
        loop = self._claim
        names, transaction = self._levels, self._transaction
        insured = names.named("IL")
        for missing, role, what in _EXPECTED:
            if not names.named(role):
                names.find(missing, loop.own_place, what)
        claim = SubmittedClaim(
            claim_number=required(loop.clm, 1),
            payer=party(names.named("PR")),
            provider=party(names.named("85")),
            patient=person(names.named("QC"), insured, born_on=self._born_on),
            charge_cents=amount(loop.clm, 2),
            use="predetermination" if element(loop.clm, 19) == _PREDETERMINATION else "claim",
            payer_rank=self._payer_rank,
            batch_number=text(self._bht, 3),
            set_number=f"{transaction.group_number}/{transaction.control_number}",
            submitted_on=day(element(self._bht, 4)) or day(transaction.sent_on),
            findings=names.take_findings(),
        )
        closed = loop.close(claim)
        self._claim = None
        return (closed,)


_EXPECTED: Final = (
    ("provider_missing", "85", "no billing provider (NM1*85) above it"),
    ("subscriber_missing", "IL", "no subscriber (NM1*IL) above it"),
    ("payer_missing", "PR", "no payer (NM1*PR) above it"),
)


class _ClaimLoop:
    """A CLM loop while its segments come."""

    def __init__(self, clm: Segment, place: str, component: str) -> None:
        self.clm = clm
        self.own_place = place
        self._component = component
        self._numbers: dict[str, str] = {}
        self._diagnoses: list[str] = []
        self._service_on: date | None = None
        self._lines: list[ServiceLine] = []
        self._line: Segment = []
        self._line_on: date | None = None
        self._counted = 0
        self._others = False  # in a loop about another payer
        self._findings: list[Finding] = []

    @property
    def place(self) -> str:
        return f"{self.own_place}/LX[{self._counted}]" if self._counted else self.own_place

    def take_lx(self, lx: Segment) -> None:
        self._end_line()
        self._counted += 1
        self._others = False
        if element(lx, 1) != str(self._counted):
            self._find("line_number", self.place, "LX01 does not count the claim's lines")

    def take_service(self, service: Segment) -> None:
        if self._line or not self._counted:
            self._find("line_without_lx", f"{self.place}/{service[0]}", "a service in no line of its own")
            self._end_line()
        self._line = service

    def take_other_payer(self, _: Segment) -> None:
        self._others = True

    def take_ref(self, ref: Segment) -> None:
        kind = _NUMBERS.get(element(ref, 1))
        if kind and not self._others and not self._counted:
            self._numbers.setdefault(kind, text(ref, 2))

    def take_hi(self, hi: Segment) -> None:
        unqualified = False
        for at in range(1, len(hi)):
            if not element(hi, at):
                continue
            qualifier, *codes = components(hi, at, self._component)
            if codes and qualifier in _DIAGNOSES:
                self._diagnoses.append(codes[0])
            elif not codes and not unqualified:
                unqualified = True
                self._find("diagnosis_unqualified", f"{self.place}/HI", f"HI{at:02d} has one component")

    def take_dtp(self, dtp: Segment) -> None:
        if element(dtp, 1) not in _SERVICE_DATES or self._others:
            return
        on = first_day(dtp)
        if on is None or element(dtp, 2) not in {"D8", "RD8", "DT"}:
            self._find("invalid_date", f"{self.place}/DTP", "not a date in the form it names")
        if self._counted:
            self._line_on = self._line_on or on
        else:
            self._service_on = self._service_on or on

    def close(self, claim: SubmittedClaim) -> SubmittedClaim:
        """Return the claim with all that its loop says."""
        self._end_line()
        lines = tuple(self._lines)
        if not lines:
            self._find("line_missing", self.own_place, "no service line")
        elif sum(line.charge_cents for line in lines) != claim.charge_cents:
            self._find("claim_unbalanced", self.own_place, "CLM02 is not the sum of its lines' charges")
        frequency = self._frequency()
        numbers = self._numbers
        return replace(
            claim,
            frequency=frequency,
            original_claim_number=numbers.get("original", ""),
            authorization_number=numbers.get("authorization", ""),
            clearinghouse_number=numbers.get("clearinghouse", ""),
            service_on=self._service_on or next((line.service_on for line in lines if line.service_on), None),
            diagnoses=tuple(dict.fromkeys(self._diagnoses)),
            lines=lines,
            findings=claim.findings + tuple(self._findings),
        )

    def _frequency(self) -> str:
        place = components(self.clm, 5, self._component)
        if len(place) > _FREQUENCY and place[_FREQUENCY]:
            return place[_FREQUENCY]
        self._find("frequency_missing", self.own_place, "no CLM05-3: taken as an original")
        return "1"

    def _end_line(self) -> None:
        service, self._line = self._line, []
        if service:
            self._lines.append(_line(service, self._component, self._line_on))
        elif self._counted > len(self._lines):
            self._find("line_empty", self.place, "LX without a service")
        self._line_on = None

    def _find(self, code: str, place: str, detail: str) -> None:
        self._findings.append(Finding(code, place, detail))


_FREQUENCY: Final = 2  # CLM05-3
# Where a service has its procedure, charge and units.
_ELEMENTS: Final = {"SV1": (1, 2, 4), "SV2": (2, 3, 5), "SV3": (1, 2, 6)}


def _line(service: Segment, component: str, service_on: date | None) -> ServiceLine:
    at_procedure, at_charge, at_units = _ELEMENTS[service[0]]
    procedure, *modifiers = components(service, at_procedure, component)[1:6] or [""]
    return ServiceLine(
        # An institutional line without a procedure is its revenue code.
        procedure=procedure or (text(service, 1) if service[0] == "SV2" else ""),
        charge_cents=amount(service, at_charge),
        modifiers=tuple(filter(None, modifiers)),
        units=text(service, at_units),
        service_on=service_on,
    )


_CLAIM_SEGMENTS: Final[Mapping[str, Callable[[_ClaimLoop, Segment], None]]] = {
    "LX": _ClaimLoop.take_lx,
    **dict.fromkeys(_ELEMENTS, _ClaimLoop.take_service),
    "SBR": _ClaimLoop.take_other_payer,
    "SVD": _ClaimLoop.take_other_payer,
    "REF": _ClaimLoop.take_ref,
    "HI": _ClaimLoop.take_hi,
    "DTP": _ClaimLoop.take_dtp,
}
