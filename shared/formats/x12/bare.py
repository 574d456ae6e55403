"""A transaction set without its interchange, as some clearinghouses hand it out, gets one to be read by. Pure.

Source: Stedi API reference, "Retrieve Transaction Input": ST to SE only. Delimiters are read from the set itself.
"""

import re
from typing import Final

_ST: Final = re.compile(rb"\s*ST([^\w\s])(\d{3})\1[^\r\n]*?(?:\1([0-9A-Z]+))?([~\x1c\x1d]|\r?\n)")
_COMPOSITE: Final = re.compile(rb"(?:SVC|SV1|SV2|HI|STC|CLM)[^\w\s][A-Z0-9]{1,3}([:>|^])")
_GROUPS: Final = {b"835": b"HP", b"837": b"HC", b"277": b"HN", b"278": b"HI", b"999": b"FA"}


def enveloped(body: bytes) -> bytes:
    """Return a body that begins with ST in an interchange of its own; any other as it is.

    The envelope says nothing of who sent it: senders and dates are those that the set itself states.
    """
    found = _ST.match(body)
    if found is None:
        return body
    element, kind, release, end = found[1], found[2], found[3], found[4]
    composite = inner[1] if (inner := _COMPOSITE.search(body)) else b">"
    terminator = end.strip() or b"\n"
    blank = b" " * 10
    isa = [b"ISA", b"00", blank, b"00", blank, b"ZZ", b"BARE".ljust(15), b"ZZ", b"BARE".ljust(15)]
    isa += [b"000101", b"0000", b"^", b"00501", b"000000001", b"0", b"P", composite]
    group = [
        b"GS",
        _GROUPS.get(kind, b"HP"),
        b"BARE",
        b"BARE",
        b"20000101",
        b"0000",
        b"1",
        b"X",
        release or b"005010",
    ]
    ends = [[b"GE", b"1", b"1"], [b"IEA", b"1", b"000000001"]]
    head = [element.join(segment) + terminator for segment in (isa, group)]
    tail = [element.join(segment) + terminator for segment in ends]
    return b"".join([*head, body.strip(), b"" if body.strip().endswith(terminator) else terminator, *tail])
