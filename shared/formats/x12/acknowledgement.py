"""Acknowledgements: what a receiver made of each transaction set (999) or interchange (TA1) of ours. Pure: no I/O.

Source: 005010X231A1; ASC X12.5, TA1 Interchange Acknowledgment.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from shared.domain.claims import Acknowledgement, Finding
from shared.formats.x12.elements import Segment, components, day, element, required, text
from shared.formats.x12.envelope import Transaction
from shared.formats.x12.loops import read_loops
from shared.runtime.errors import UnreadableError

ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"
_WITH_ERRORS: Final = "accepted_with_errors"
_OUTCOMES: Final = {"A": ACCEPTED, "E": _WITH_ERRORS, "P": _WITH_ERRORS}  # all others reject
_KNOWN: Final = frozenset("AEMPRWX")
_CLAIM: Final = "CLM01"


def read_acknowledgements(transaction: Transaction) -> Iterator[Acknowledgement]:
    """Yield one acknowledgement for each set of ours (AK2), or for the group where AK9 speaks alone.

    Raises:
        UnreadableError: as `read_loops`; or it acknowledges nothing.
    """
    return read_loops(transaction, _Acknowledgements(transaction))


def read_interchange_acknowledgement(ta1: Segment, receiver: str) -> Acknowledgement:
    """Return what a receiver made of an interchange of ours. receiver: ISA06, since we number those for each anew.

    Raises:
        ElementError: it does not say which, or what.
    """
    outcome, note = _OUTCOMES.get(required(ta1, 4), REJECTED), text(ta1, 5)
    return Acknowledgement(
        kind="TA1",
        group_number=f"{receiver}/{required(ta1, 1)}",
        set_number="",
        outcome=outcome,
        errors=(note,) if note.strip("0") else (),
        stated_on=day(element(ta1, 2)),
    )


class _Acknowledgements:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._ak1: Segment = []
        self._ak2: Segment = []
        self._outcome = ""
        self._errors: list[str] = []
        self._claims: list[str] = []
        self._findings: list[Finding] = []
        self._segment = ""
        self._sets = self._rejected = 0

    @property
    def place(self) -> str:
        return f"{self._transaction.place}/AK2[{self._sets}]" if self._sets else self._transaction.place

    def take(self, segment: Segment) -> Sequence[Acknowledgement]:
        match segment[0]:
            case "AK1":
                self._ak1 = segment
            case "AK2":
                ended = self._end_set()
                self._ak2 = segment
                self._sets += 1
                return ended
            case "IK3" | "AK3":
                self._segment = f"{text(segment, 1)}[{text(segment, 2)}]"
                self._errors.append(f"{self._segment}: {text(segment, 4)}".rstrip(": "))
            case "IK4" | "AK4":
                at = components(segment, 1, self._transaction.component)[0]
                self._errors.append(f"{self._segment}/{at}: {text(segment, 3)}")
            case "CTX":
                name, *number = components(segment, 1, self._transaction.component)
                if name == _CLAIM and number:
                    self._claims.append(number[0])
            case "IK5" | "AK5":
                self._conclude(segment)
            case "AK9":
                return self._end_group(segment)
            case _:
                pass
        return ()

    def end(self) -> Sequence[Acknowledgement]:
        if not self._ak1:
            raise UnreadableError("it acknowledges nothing: no AK1", place=self._transaction.place)
        return self._end_set()

    def _conclude(self, ik5: Segment) -> None:
        if not self._ak2:
            self._find("acknowledgement_misplaced", "IK5 before any AK2")
            return
        code = required(ik5, 1)
        if code not in _KNOWN:
            self._find("unknown_code", "IK501 is no acknowledgement code: taken as a rejection")
        if self._outcome:
            self._find("acknowledgement_repeated", "IK5 a second time: the first counts")
            return
        self._outcome = _OUTCOMES.get(code, REJECTED)
        self._errors += [text(ik5, at) for at in range(2, len(ik5)) if element(ik5, at)]

    def _end_set(self) -> Sequence[Acknowledgement]:
        if not self._ak2:
            return ()
        if not self._outcome:
            self._find("acknowledgement_missing", "no IK5: taken as a rejection")
        ak2, outcome = self._ak2, self._outcome or REJECTED
        self._rejected += outcome == REJECTED
        self._ak2, self._outcome = [], ""
        return (self._acknowledge(required(ak2, 1), text(ak2, 2), outcome),)

    def _end_group(self, ak9: Segment) -> Sequence[Acknowledgement]:
        last = self._end_set()
        stated = (element(ak9, 3), element(ak9, 4))
        actual = (str(self._sets), str(self._sets - self._rejected))
        for at, said, is_so in zip((3, 4), stated, actual, strict=True):
            if self._sets and said.lstrip("0") != is_so.lstrip("0"):
                place = f"{self._transaction.place}/AK9"
                detail = f"AK9{at:02d} does not count the sets above"
                self._transaction.envelope.note(self._transaction.found("set_count", place, detail))
        if self._sets:
            return last
        return (self._acknowledge("", "", _OUTCOMES.get(required(ak9, 1), REJECTED)),)

    def _acknowledge(self, kind: str, number: str, outcome: str) -> Acknowledgement:
        found = Acknowledgement(
            kind=kind,
            group_number=text(self._ak1, 2),
            set_number=number,
            outcome=outcome,
            errors=tuple(self._errors),
            claim_numbers=tuple(dict.fromkeys(self._claims)),
            stated_on=day(self._transaction.sent_on),
            findings=tuple(self._findings),
        )
        self._errors, self._claims, self._findings = [], [], []
        return found

    def _find(self, code: str, detail: str) -> None:
        self._findings.append(Finding(code, f"{self.place}/IK5", detail))
