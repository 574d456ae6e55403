"""Interchanges in a payload and the segments in each, whatever their delimiters, a block at a time. Pure.

Real files begin with a byte order mark or prose, pad ISA as they like, and end segments with `~`, a newline or both.
Reading delimiters from where ISA has them, and never by position, takes all of that. A payload is read as a stream, so
that memory does not follow its size.
Source: ASC X12.5, ISA Interchange Control Header; X12.6, Application Control Structure.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from shared.formats.x12.elements import Segment
from shared.runtime.errors import UnreadableError

_BLOCK: Final = 1 << 16  # bytes read and split at a time
_LONGEST: Final = 1 << 20  # characters without a terminator, or without an interchange
_ISA_ELEMENTS: Final = 16
_ISA_WIDTHS: Final = (2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1)
_ISA_MOST: Final = 600  # characters within which a header has to end
_ISA_TRIES: Final = 1000  # words "ISA" in the prose before it
_INDENT: Final = 40  # line breaks and spaces between a terminator and IEA
_BOM: Final = "\xef\xbb\xbf"  # UTF-8's, as Latin-1 reads it
_STRAY = re.compile(
    r"(?<![A-Za-z0-9])(?:(ISA|BPR|CLP|HL)[^\w\s]|(ST)[^\w\s]\d{3}[^\w\s]|(GS)[^\w\s][A-Z]{2}[^\w\s]|(SE|GE|IEA)[^\w\s]\d)"
)


class Stream(Protocol):
    """Bytes that are read once, from the first to the last: a file, or `io.BytesIO`."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


class _Source:
    """A payload's characters from where reading stands. text: those that were read and not yet taken.

    They are Latin-1's, one for each byte; `_as_utf8` gives a segment what its bytes mean.
    """

    __slots__ = ("_at", "_stream", "ended", "text")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._at = 0
        self.text = ""
        self.ended = False
        self.more()
        self.text = self.text.removeprefix(_BOM)

    def more(self) -> bool:
        """Read another block, if there is one.

        Raises:
            UnreadableError: it holds a NUL, which no element may and no database column does.
        """
        block = self._stream.read(_BLOCK)
        if not block:
            self.ended = True
            return False
        if (nul := block.find(0)) >= 0:
            raise UnreadableError("a NUL", place=f"character {self._at + nul}")
        self._at += len(block)
        self.text += block.decode("latin-1")
        return True

    def holds(self, count: int) -> str:
        """Return the text, of at least `count` characters unless the payload ends before."""
        while len(self.text) < count and self.more():
            pass
        return self.text


@dataclass(frozen=True, slots=True)
class Interchange:
    """One ISA … IEA. number: 1 for the payload's first. prefaced: prose stood before it.

    isa: its header's elements.
    """

    number: int
    isa: Segment
    element: str
    component: str
    terminator: str
    prefaced: bool
    source: _Source = field(repr=False)

    @property
    def place(self) -> str:
        """What errors and findings call it."""
        return f"ISA[{self.number}]"

    @property
    def trimmed(self) -> bool:
        """Whether header elements are shorter than their fixed width: characters were lost on the way."""
        return any(len(value) < width for value, width in zip(self.isa[1:], _ISA_WIDTHS, strict=True))

    @property
    def padded(self) -> bool:
        """Whether header elements are longer than their fixed width."""
        return any(len(value) > width for value, width in zip(self.isa[1:], _ISA_WIDTHS, strict=True))

    def segments(self) -> Iterator[Segment]:
        """Yield the segments after ISA up to IEA, or to the end of the payload where that is missing. Once.

        Raises:
            UnreadableError: a NUL, or no terminator for longer than any segment.
        """
        element, terminator = self.element, self.terminator
        spaces = re.compile(re.escape(terminator) + " +")
        ended = False
        while not ended:
            block, ended = self._block()
            block = _clean(block, terminator, spaces)
            segments: Iterable[str] = block.split(terminator)
            for segment in segments if block.isascii() else map(_as_utf8, segments):
                if segment:
                    yield segment.split(element)

    def _block(self) -> tuple[str, bool]:
        """Take whole segments off the source; with whether IEA, or the payload's end, is the last of them."""
        source, terminator = self.source, self.terminator
        while (last := source.text.rfind(terminator)) < 0:
            if len(source.text) > _LONGEST:
                raise UnreadableError("a segment longer than any real one", place=self.place)
            if not source.more():
                rest, source.text = source.text, ""
                return rest, True
        block, source.text = source.text[: last + 1], source.text[last + 1 :]
        end = _end(block, self.element, terminator)
        if end is not None:
            block, source.text = block[:end], block[end:] + source.text
            return block, True
        source.more()
        return block, False


def interchanges(stream: Stream) -> Iterator[Interchange]:
    """Yield a payload's interchanges in order. Take all segments of each before the next.

    Raises:
        UnreadableError: there is none, or segments stand outside of one.
    """
    source, number = _Source(stream), 0
    while (found := _next(source, number + 1)) is not None:
        yield found
        number = found.number
    if not number:
        raise UnreadableError("no X12 interchange", place="character 0", code="unknown_format")


def _next(source: _Source, number: int) -> Interchange | None:
    """Take text off the source up to and with the next header; None if there is none.

    Raises:
        UnreadableError: segments stand before it, or more text than anyone looks through.
    """
    found = _search(source)
    if found is None:
        _refuse_strays(source.text, after=number - 1)
        if source.more():  # what lies beyond has not been looked at, and may hold an advice
            raise UnreadableError("a megabyte without an interchange", place=f"after ISA[{number - 1}]")
        return None
    at, isa, terminator, width = found
    before, separator = source.text[:at], source.text[at + 3]
    _refuse_strays(before, after=number - 1)
    source.text = source.text[at + width :]
    return Interchange(
        number=number,
        isa=[_as_utf8(value) for value in isa],
        element=separator,
        component=isa[-1],
        terminator=terminator,
        prefaced=not before.isspace() and before != "",
        source=source,
    )


def _search(source: _Source) -> tuple[int, Segment, str, int] | None:
    """Return where the next header stands, its elements, terminator and width."""
    at = 0
    for _ in range(_ISA_TRIES):
        while (found := source.text.find("ISA", at)) < 0:
            at = max(at, len(source.text) - len("IS"))
            if len(source.text) > _LONGEST or not source.more():
                return None
        header = _header(source.holds(found + _ISA_MOST)[found : found + _ISA_MOST])
        if header is not None:
            return found, *header
        at = found + len("ISA")
    return None


def _header(text: str) -> tuple[Segment, str, int] | None:
    """Return ISA's elements, the segment terminator and the header's width, or None if it is no header."""
    separator = text[3:4]
    if not separator or separator.isalnum() or separator in " \r\n":
        return None
    parts = text.split(separator, _ISA_ELEMENTS)
    component, terminator = parts[-1][:1], parts[-1][1:2]
    if len(parts) <= _ISA_ELEMENTS or not terminator or component.isalnum() or terminator.isalnum():
        return None
    if len({separator, component, terminator}) != len("*:~"):
        return None
    width = len(text) - len(parts[-1]) + 2
    if parts[-1][1:3] == "\r\n":
        terminator, width = "\n", width + 1
    elements = [part.replace("\r", "").replace("\n", "") for part in parts[:-1]]
    return [*elements, component], terminator, width


def _end(block: str, element: str, terminator: str) -> int | None:
    """Return where what follows IEA's terminator begins, if IEA is in the block."""
    layout = " \r\n".replace(terminator, "")
    at = -1
    while (at := block.find("IEA" + element, at + 1)) >= 0:
        before = block[max(0, at - _INDENT) : at].rstrip(layout)
        if not before or before.endswith(terminator):
            return block.index(terminator, at) + 1
    return None


def _clean(block: str, terminator: str, spaces: re.Pattern[str]) -> str:
    """Take out line breaks, which are layout unless they end segments, and spaces that lead a segment."""
    if terminator not in "\r\n" and "\n" in block:
        block = block.replace("\n", "")
    if terminator != "\r" and "\r" in block:
        block = block.replace("\r", "")
    return spaces.sub(terminator, block).strip(" ") if terminator + " " in block else block.strip(" ")


def _as_utf8(text: str) -> str:
    """Return what the bytes mean: UTF-8, or else Latin-1, which is X12's extended character set."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return text


def _refuse_strays(text: str, *, after: int) -> None:
    """Raise if text outside of interchanges holds segments: prose may be skipped, an advice may not."""
    stray = _STRAY.search(text)
    if stray is None:
        return
    segment = stray[stray.lastindex or 0]
    if segment == "ISA":
        raise UnreadableError("its delimiters cannot be read", place=f"ISA[{after + 1}]")
    where = f"after ISA[{after}]" if after else "before any ISA"
    raise UnreadableError(f"a segment {where}, in no interchange", place=f"{segment}[1]")
