"""One interchange's envelope: where its transaction sets are, and what its headers and trailers get wrong. Pure.

Envelopes lie in a tenth of usable files, so a wrong count or control number is a finding. It is a refusal only where
the header shows that something was lost or put in on the way (prose before ISA, elements shorter than their fixed
width): then nothing but the trailers and the balance says that the rest is whole, and all of those have to hold.
Source: ASC X12.5 (ISA, IEA), X12.22 segment directory (GS, GE, ST, SE).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.domain.claims import Finding
from shared.formats.x12.elements import Segment, element
from shared.formats.x12.interchange import Interchange
from shared.runtime.errors import UnreadableError

_ENVELOPE = frozenset({"ISA", "IEA", "GS", "GE", "ST", "TA1"})
NumberedSegments = Iterator[tuple[int, Segment]]

# Segment ids that a place may name. Anything else where an id should be can be anything, a patient's name included.
_ID = re.compile(
    "AAA|AK[1-9]|AMT|BHT|BPR|CAS|CL1|CLM|CN1|CLP|CR[1-8]|CRC|CTP|CTX|CUR|DMG|DT[MP]|FRM|GE|GS|H[ADIL]|HC[PR]|HSD|IEA|IK[3-5]|IMM|"
    "ISA|INS|K3|L[EQSX]|LIN|MEA|MIA|MOA|MSG|N[1-4]|NM1|NTE|OI|PAT|PER|PLB|PRV|PS1|PWK|QTY|RDM|REF|SBR|SE|ST|STC|SV[1-7CD]|TA1|"
    "TD1|TOO|TRN|TS[23]|UM"
).fullmatch


@dataclass(slots=True)
class Transaction:
    """One ST … SE. segments: those after ST, numbered; the reader takes them up to and with SE.

    kind: ST01. guide: GS08, else ST03: it tells 277 from 277CA. sent_on: GS04 as written. group_number: GS06.
    """

    envelope: "Envelope"
    place: str
    kind: str
    control_number: str
    guide: str
    group_number: str
    sent_on: str
    component: str
    first: int
    segments: NumberedSegments

    def close(self, index: int, se: Segment) -> tuple[Finding, ...]:
        """Return what the trailer gets wrong.

        Raises:
            UnreadableError: something is, in an interchange that was damaged on the way.
        """
        self.conclude(index, se)
        return self.envelope.take_findings()

    def conclude(self, index: int, se: Segment) -> None:
        """Note what the trailer gets wrong, for the last record of the interchange to take along.

        Raises:
            UnreadableError: something is, in an interchange that was damaged on the way.
        """
        place = f"{self.place}/SE"
        expect = self.envelope.expect
        expect("segment_count", place, element(se, 1), str(index - self.first + 1))
        expect("control_number", place, element(se, 2), self.control_number)

    def found(self, code: str, place: str, detail: str) -> Finding:
        """Return a finding about sums of the whole set.

        Raises:
            UnreadableError: the interchange was damaged on the way.
        """
        return self.envelope.found(code, place, detail)

    def knows(self, segment: Segment) -> bool:
        """Whether a segment may stand within a transaction set."""
        return segment[0] not in _ENVELOPE and _ID(segment[0]) is not None

    def misplaced(self, index: int, segment: Segment) -> UnreadableError:
        """Return the error for a segment that cannot stand where it does."""
        name = _segment_id(segment)
        if name in _ENVELOPE:
            return UnreadableError(f"the transaction set has no SE before {name}", place=self.place)
        return UnreadableError(
            f"segment {index - self.first + 1} of the set cannot stand here", place=f"{self.place}/{name}"
        )

    def truncated(self) -> UnreadableError:
        """Return the error for a transaction set that the payload ends in."""
        return UnreadableError("the payload ends before the transaction set's SE", place=self.place)


class Envelope:
    """Walks one interchange. Everything it finds is kept until a record takes it along."""

    def __init__(self, interchange: Interchange) -> None:
        self._interchange = interchange
        self.place = interchange.place
        self._group_place = interchange.place
        self._group: Segment = []
        self._groups = self._sets = 0
        self._findings: list[Finding] = []
        self.acknowledged: list[Segment] = []  # TA1: what became of interchanges of ours
        self._damaged = interchange.prefaced or interchange.trimmed

    @property
    def sender(self) -> str:
        """ISA06."""
        return element(self._interchange.isa, 6)

    def transactions(self) -> Iterator[Transaction]:
        """Yield the transaction sets in order; the caller reads each to its SE before it asks for the next.

        Raises:
            UnreadableError: a segment stands outside of any set, or the interchange is cut off.
        """
        self._inspect_header()
        segments: NumberedSegments = enumerate(self._interchange.segments(), 2)
        for index, segment in segments:
            match segment[0].strip():
                case "ST":
                    yield self._open(index, segment, segments)
                case "GS":
                    self._open_group(segment)
                case "GE":
                    self._close_group(segment)
                case "IEA":
                    return self._close(segment)
                case "TA1":
                    self.acknowledged.append(segment)
                case _:
                    name = _segment_id(segment)
                    raise UnreadableError(
                        "outside of any transaction set", place=f"{self._group_place}/{name}"
                    )
        raise UnreadableError("the payload ends before the interchange's IEA", place=f"{self.place}/IEA")

    def found(self, code: str, place: str, detail: str) -> Finding:
        """Return a finding, if the header vouches for the rest.

        Raises:
            UnreadableError: the interchange was damaged on the way, and this is what was lost.
        """
        if self._damaged:
            raise UnreadableError(f"{detail}, in an interchange whose header was damaged", place=place)
        return Finding(code, place, detail)

    def expect(self, code: str, place: str, stated: str, actual: str) -> None:
        """Note a trailer element that is not what it repeats or counts. Leading zeros do not matter."""
        if stated.lstrip("0") != actual.lstrip("0"):
            self._findings.append(self.found(code, place, f"the {code.replace('_', ' ')} does not match"))

    def note(self, finding: Finding) -> None:
        """Keep a finding for the interchange's last record to take along."""
        self._findings.append(finding)

    def take_findings(self) -> tuple[Finding, ...]:
        """Return what was found since the last time."""
        findings, self._findings = tuple(self._findings), []
        return findings

    def _inspect_header(self) -> None:
        interchange = self._interchange
        if interchange.prefaced:
            self._findings.append(Finding("text_before_interchange", self.place, "skipped"))
        if interchange.trimmed or interchange.padded:
            self._findings.append(
                Finding("isa_width", self.place, "ISA elements are not of their fixed width")
            )

    def _open_group(self, segment: Segment) -> None:
        self._groups += 1
        self._sets = 0
        self._group = segment
        self._group_place = f"{self.place}/GS[{self._groups}]"

    def _open(self, index: int, segment: Segment, segments: NumberedSegments) -> Transaction:
        self._sets += 1
        place = f"{self._group_place}/ST[{self._sets}]"
        if not self._group:
            self._findings.append(self.found("group_missing", place, "no GS before it"))
        return Transaction(
            envelope=self,
            place=place,
            kind=element(segment, 1),
            control_number=element(segment, 2),
            guide=element(self._group, 8) or element(segment, 3),
            group_number=element(self._group, 6),
            sent_on=element(self._group, 4),
            component=self._interchange.component,
            first=index,
            segments=segments,
        )

    def _close_group(self, segment: Segment) -> None:
        place = f"{self._group_place}/GE"
        self.expect("set_count", place, element(segment, 1), str(self._sets))
        self.expect("control_number", place, element(segment, 2), element(self._group, 6))
        self._group = []
        self._group_place = self.place

    def _close(self, segment: Segment) -> None:
        place = f"{self.place}/IEA"
        if self._group:
            self._findings.append(self.found("group_open", place, "the last GS has no GE"))
        self.expect("group_count", place, element(segment, 1), str(self._groups))
        self.expect("control_number", place, element(segment, 2), element(self._interchange.isa, 13))


def _segment_id(segment: Segment) -> str:
    name = segment[0].strip()
    return name if _ID(name) else "?"
