"""What the transaction sets other than the 835 share: a walk over segments, and the HL levels they stand in. Pure.

Source: 005010X212, X214, X215 to X217, X222A1, X223A2: HL segments (hierarchical level), section 1.3 of each guide.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol, TypeVar

from shared.domain.claims import Finding
from shared.formats.x12.elements import ElementError, Segment, element
from shared.formats.x12.envelope import Transaction
from shared.runtime.errors import UnreadableError

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

# Levels from the outermost in: a level ends those of its own rank and deeper ones.
_RANKS: Final = {
    level: rank
    for rank, level in enumerate(
        ("20", "21", "19", "22", "23", "EV", "SS")  # payer or biller, receiver, provider, subscriber, patient
    )
} | {"PT": 4}


_MAX_DIGITS: Final = 12  # of HL01


class Loops(Protocol[T_co]):
    """A transaction set's loops while their segments come. Every method may raise ElementError."""

    @property
    def place(self) -> str:
        """Where reading stands."""
        ...

    def take(self, segment: Segment) -> Sequence[T_co]:
        """Take the next segment; return the records that it ends."""
        ...

    def end(self) -> Sequence[T_co]:
        """Return the records that SE ends.

        Raises:
            UnreadableError: the set says nothing at all.
        """
        ...


def read_loops(transaction: Transaction, loops: Loops[T]) -> Iterator[T]:
    """Yield the records of a transaction set in order, each once its loop has ended.

    Raises:
        UnreadableError: a required element is missing or wrong, a segment cannot stand where it does, or the set is cut
            off. What was yielded before is part of a set that did not end: drop it.
    """
    try:
        for index, segment in transaction.segments:
            if segment[0] == "SE":
                last = loops.end()
                transaction.conclude(index, segment)
                yield from last
                return
            if not transaction.knows(segment):
                raise transaction.misplaced(index, segment)
            yield from loops.take(segment)
    except ElementError as exc:
        raise located(loops.place, exc) from exc
    raise transaction.truncated()


def located(place: str, error: ElementError) -> UnreadableError:
    """Return the error with its place: the loop, and the segment in it unless that began the loop."""
    segment = error.element[:-2]
    loop = place.rpartition("/")[2].partition("[")[0]
    return UnreadableError(
        f"{error.element} is {error.detail}", place=place if segment == loop else f"{place}/{segment}"
    )


class Levels:
    """The HL levels from the outermost to where reading stands, and who is named (NM1) at each."""

    def __init__(self, transaction: Transaction) -> None:
        self._place = transaction.place
        self._count = self._number = 0
        self._path: list[tuple[int, str, dict[str, Segment]]] = []
        self._top: dict[str, Segment] = {}
        self.level = ""
        self.findings: list[Finding] = []

    @property
    def place(self) -> str:
        """The level's place, or the set's before the first."""
        return f"{self._place}/HL[{self._count}]" if self._count else self._place

    def enter(self, hl: Segment) -> None:
        """Begin a level. A number or parent that is wrong is a finding: the level code alone says what it is."""
        self._count += 1
        number, parent, self.level = element(hl, 1), element(hl, 2), element(hl, 3)
        rank = _RANKS.get(self.level, len(_RANKS))
        while self._path and self._path[-1][0] >= rank:
            self._path.pop()
        if number != str(self._number + 1):
            self.find("hl_number", self.place, "HL01 is not one more than that of the level before")
        self._number = int(number) if number.isdecimal() and len(number) < _MAX_DIGITS else self._number + 1
        if parent and parent not in {own for _, own, _ in self._path}:
            self.find("hl_parent", self.place, "HL02 is no level that this one can stand in")
        self._path.append((rank, number, {}))

    def name(self, nm1: Segment) -> None:
        """Note who is named. The first of a role at a level counts, and a second one is a finding."""
        role = element(nm1, 1)
        names = self._path[-1][2] if self._path else self._top
        if role in names:
            self.find("loop_repeated", f"{self.place}/NM1", f"{_role(role)} a second time at one level")
        names.setdefault(role, nm1)

    def named(self, *roles: str) -> Segment:
        """Return the segment of the first of these roles that is named, from the innermost level out; else none."""
        for names in (*(names for _, _, names in reversed(self._path)), self._top):
            for role in roles:
                if role in names:
                    return names[role]
        return []

    def find(self, code: str, place: str, detail: str) -> None:
        """Note a finding for the next record."""
        self.findings.append(Finding(code, place, detail))

    def take_findings(self) -> tuple[Finding, ...]:
        """Return what was found since the last time."""
        findings, self.findings = tuple(self.findings), []
        return findings


def _role(role: str) -> str:
    """Return an entity code as a finding may quote it: not whatever else stands there."""
    return role if role.isalnum() and role.isascii() and len(role) <= len("ACV") else "a name"
