"""An X12 file of any size as its transaction sets, each in an interchange of its own. Pure, but for its stream.

What an interchange gets wrong about itself (counts, control numbers) is not carried over: each set's own trailer is.
Source: ASC X12.5, X12.6.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.formats.x12.elements import Segment, element
from shared.formats.x12.interchange import Interchange, Stream, interchanges
from shared.runtime.errors import UnreadableError


@dataclass(frozen=True, slots=True)
class TransactionSet:
    """One ST … SE as a payload, or a TA1. place: in the file, such as `ISA[1]/GS[2]/ST[3]`. kind: ST01, or TA1."""

    place: str
    kind: str
    body: bytes = field(repr=False)


def transaction_sets(stream: Stream, *, limit: int) -> Iterator[TransactionSet]:
    """Yield a file's transaction sets in order. limit: bytes of the largest; no more of a file is held.

    Raises:
        UnreadableError: no X12; an interchange whose header was damaged, which its trailers have to vouch for as a
            whole (docs/adr/0008); a set that is cut off, or larger than `limit`. What was yielded before is whole.
    """
    for interchange in interchanges(stream):
        if interchange.prefaced or interchange.trimmed:
            raise UnreadableError(
                "its header was damaged: send it whole, as a webhook", place=interchange.place
            )
        yield from _Sets(interchange, limit).read()


class _Sets:
    def __init__(self, interchange: Interchange, limit: int) -> None:
        self._interchange = interchange
        self._limit = limit
        self._group: Segment = []
        self._groups = self._sets = self._acknowledged = 0
        self._open: list[Segment] = []
        self._size = 0

    def read(self) -> Iterator[TransactionSet]:
        for segment in self._interchange.segments():
            name = segment[0].strip()
            if self._open:
                self._take(name, segment)
                if name == "SE":
                    yield self._close()
            elif name == "ST":
                self._sets += 1
                self._size = 0
                self._take(name, segment)
            elif name == "GS":
                self._group, self._groups, self._sets = segment, self._groups + 1, 0
            elif name == "TA1":
                self._acknowledged += 1
                yield TransactionSet(
                    f"{self._interchange.place}/TA1[{self._acknowledged}]",
                    name,
                    self._enveloped([segment], 0),
                )
            elif name not in {"GE", "IEA"}:
                raise UnreadableError("outside of any transaction set", place=self._place)
            if name == "IEA":
                return
        if self._open:
            raise UnreadableError("the file ends before the transaction set's SE", place=self._place)
        raise UnreadableError(
            "the file ends before the interchange's IEA", place=f"{self._interchange.place}/IEA"
        )

    @property
    def _place(self) -> str:
        return f"{self._interchange.place}/GS[{self._groups}]/ST[{self._sets}]"

    def _take(self, name: str, segment: Segment) -> None:
        if name in {"ISA", "IEA", "GS", "GE"} or (name == "ST" and self._open):
            raise UnreadableError(f"the transaction set has no SE before {name}", place=self._place)
        self._size += sum(map(len, segment)) + len(segment)
        if self._size > self._limit:
            raise UnreadableError(f"a transaction set of more than {self._limit} bytes", place=self._place)
        self._open.append(segment)

    def _close(self) -> TransactionSet:
        """Return the open set between the headers that it stood under and trailers that fit them."""
        segments, self._open = self._open, []
        group, whole = self._group, segments
        if group:
            whole = [group, *segments, ["GE", "1", element(group, 6)]]
        return TransactionSet(self._place, element(segments[0], 1), self._enveloped(whole, 1 if group else 0))

    def _enveloped(self, segments: list[Segment], groups: int) -> bytes:
        interchange = self._interchange
        whole = [interchange.isa, *segments, ["IEA", str(groups), element(interchange.isa, 13)]]
        return "".join(interchange.element.join(s) + interchange.terminator for s in whole).encode()
