"""Interchanges in a payload and the segments in each, whatever their delimiters. Pure: no I/O.

Real files begin with a byte order mark or prose, pad ISA as they like, and end segments with `~`, a newline or both.
Reading delimiters from where ISA has them, and never by position, takes all of that.
Source: ASC X12.5, ISA Interchange Control Header; X12.6, Application Control Structure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from shared.formats.x12.elements import Segment
from shared.runtime.errors import UnreadableError

_BLOCK: Final = 1 << 16  # characters split at a time, so that memory does not follow the file's size
_ISA_ELEMENTS: Final = 16
_ISA_WIDTHS: Final = (2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1)
_ISA_MOST: Final = 600  # characters within which a header has to end
_ISA_TRIES: Final = 1000  # words "ISA" in the prose before it
_INDENT: Final = 40  # line breaks and spaces between a terminator and IEA
_BOM: Final = b"\xef\xbb\xbf"
_STRAY = re.compile(
    r"(?<![A-Za-z0-9])(?:(ISA|BPR|CLP|HL)[^\w\s]|(ST)[^\w\s]\d{3}[^\w\s]|(GS)[^\w\s][A-Z]{2}[^\w\s]|(SE|GE|IEA)[^\w\s]\d)"
)


@dataclass(frozen=True, slots=True)
class Interchange:
    """One ISA … IEA. number: 1 for the payload's first. prefaced: prose stood before it.

    isa: its header's elements. start, end: where its other segments are in `text`.
    """

    number: int
    text: str
    isa: Segment
    element: str
    component: str
    terminator: str
    start: int
    end: int
    prefaced: bool

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
        """Yield the segments after ISA up to IEA, or to the end of the payload where that is missing."""
        element, terminator, at = self.element, self.terminator, self.start
        spaces = re.compile(re.escape(terminator) + " +")
        while at < self.end:
            stop = self.text.find(terminator, min(at + _BLOCK, self.end), self.end)
            block = self.text[at : stop if stop >= 0 else self.end]
            at = at + len(block) + 1
            for segment in _clean(block, terminator, spaces).split(terminator):
                if segment:
                    yield segment.split(element)


def decode(body: bytes) -> str:
    """Return a payload as text: UTF-8, or else Latin-1, which is X12's extended character set.

    Raises:
        UnreadableError: it holds a NUL, which no element may and no database column does.
    """
    body = body.removeprefix(_BOM)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    if (nul := text.find("\0")) >= 0:
        raise UnreadableError("a NUL", place=f"character {nul}")
    return text


def interchanges(text: str) -> Iterator[Interchange]:
    """Yield a payload's interchanges in order, each when asked for.

    Raises:
        UnreadableError: there is none, or segments stand outside of one.
    """
    at, number = 0, 0
    while (found := _next(text, at, number + 1)) is not None:
        yield found
        at, number = found.end + 1, found.number
    _refuse_strays(text[at:], after=number)
    if not number:
        raise UnreadableError("no X12 interchange", place="character 0", code="unknown_format")


def _next(text: str, at: int, number: int) -> Interchange | None:
    for start in islice(_occurrences(text, "ISA", at), _ISA_TRIES):
        header = _header(text[start : start + _ISA_MOST])
        if header is not None:
            isa, terminator, width = header
            before = text[at:start]
            _refuse_strays(before, after=number - 1)
            body = start + width
            return Interchange(
                number=number,
                text=text,
                isa=isa,
                element=text[start + 3],
                component=isa[-1],
                terminator=terminator,
                start=body,
                end=_end(text, body, text[start + 3], terminator),
                prefaced=not before.isspace() and before != "",
            )
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


def _end(text: str, start: int, element: str, terminator: str) -> int:
    """Return where IEA's terminator is, or the text's length: without IEA, all that follows belongs to this one."""
    for at in _occurrences(text, "IEA" + element, start):
        if text[max(start, at - _INDENT) : at].rstrip(" \r\n".replace(terminator, "")).endswith(terminator):
            stop = text.find(terminator, at)
            return stop if stop >= 0 else len(text)
    return len(text)


def _occurrences(text: str, word: str, at: int) -> Iterator[int]:
    while (at := text.find(word, at)) >= 0:
        yield at
        at += len(word)


def _clean(block: str, terminator: str, spaces: re.Pattern[str]) -> str:
    """Take out line breaks, which are layout unless they end segments, and spaces that lead a segment."""
    if terminator not in "\r\n" and "\n" in block:
        block = block.replace("\n", "")
    if terminator != "\r" and "\r" in block:
        block = block.replace("\r", "")
    return spaces.sub(terminator, block).strip(" ") if terminator + " " in block else block.strip(" ")


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
