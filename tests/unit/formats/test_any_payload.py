"""Whatever arrives: records or an UnreadableError, soon, and never a patient in its text."""

import copy
import json
import time
import traceback
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.claims import Delivery
from shared.formats.registry import FORMATS, read
from shared.runtime.errors import UnreadableError
from tests.unit.formats.advices import CLAIM, FIXTURES, make_835

GOOD = [
    path.read_bytes()
    for kind in ("x12-835", "fhir-claim", "fhir-claimresponse", "fhir-eob", "acme")
    for path in sorted((FIXTURES / kind).iterdir())
    if path.stat().st_size < 20_000
]
X12 = [body for body in GOOD if body.startswith(b"ISA")]
DOCUMENTS = [json.loads(body) for body in GOOD if not body.startswith(b"ISA")]
FORMAT = st.sampled_from(["auto", *FORMATS])
ODD_ELEMENTS = st.sampled_from(
    [
        "",
        " ",
        "-",
        "+1",
        "1E5",
        "1E999",
        "NaN",
        "9" * 30,
        "-5",
        "0.005",
        "20209999",
        "A" * 600,
        "٣",
        "x",
        "1_0",
        ".",
        "~",
        ":",
    ]
)
ODD_VALUES: st.SearchStrategy[object] = st.sampled_from(
    [
        *(
            None,
            [],
            {},
            [[]],
            [{}],
            [None],
            {"a": 1},
            0,
            -1,
            10**30,
            1.5,
            1e308,
            True,
            "",
            "x",
            "2020-02-30",
            "2020-13",
        ),
        *(
            {"value": "x"},
            {"value": -0.005},
            {"coding": [{}]},
            {"coding": {}},
            {"reference": "#"},
            {"reference": 5},
        ),
    ]
).map(copy.deepcopy)


def finish(body: bytes, format: str = "auto") -> str:  # noqa: A002
    """Read to the end; return all text that may be logged or listed: the error's with its causes, or the findings'."""
    records, error = [], None
    try:
        records = list(read(Delivery(body, format=format)))
    except UnreadableError as exc:
        error = exc
    if error is not None:
        assert error.place
        return "".join(traceback.format_exception(error)) + error.place
    return " ".join(f"{f.code} {f.place} {f.detail}" for record in records for f in record.findings)


@given(st.binary(max_size=300), FORMAT)
def test_any_bytes(body: bytes, format: str) -> None:  # noqa: A002
    finish(body, format)


@settings(max_examples=400)
@given(st.sampled_from(GOOD), st.data(), FORMAT)
def test_a_good_payload_with_bytes_flipped_or_cut_off(good: bytes, data: st.DataObject, format: str) -> None:  # noqa: A002
    body = bytearray(good)
    for _ in range(data.draw(st.integers(0, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(
            st.integers(0, 255) | st.sampled_from(b'~*:"{}[],-.0\n')
        )
    finish(
        bytes(body[: data.draw(st.integers(0, len(body)))]) if data.draw(st.booleans()) else bytes(body),
        format,
    )


@settings(max_examples=400)
@given(st.sampled_from(X12), st.data())
def test_an_835_with_segments_and_elements_out_of_place(good: bytes, data: st.DataObject) -> None:
    segments = [segment.split("*") for segment in good.decode().split("~")]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(segments) - 1))
        segment = segments[at]
        match data.draw(st.sampled_from(["set", "insert", "cut", "drop", "repeat"])):
            case "set":
                segment[data.draw(st.integers(0, len(segment) - 1))] = data.draw(ODD_ELEMENTS)
            case "insert":
                segment.insert(data.draw(st.integers(0, len(segment))), data.draw(ODD_ELEMENTS))
            case "cut":
                del segment[data.draw(st.integers(1, len(segment))) :]
            case "drop" if len(segments) > 1:
                del segments[at]
            case _:
                segments.insert(data.draw(st.integers(0, len(segments))), list(segment))
    finish("~".join("*".join(segment) for segment in segments).encode())


def members(value: object) -> list[tuple[object, object]]:
    """Every container in a document with each of its keys or indexes."""
    match value:
        case dict():
            return [(value, name) for name in value] + [m for child in value.values() for m in members(child)]
        case list():
            return [(value, at) for at in range(len(value))] + [m for child in value for m in members(child)]
        case _:
            return []


@settings(max_examples=400)
@given(st.sampled_from(DOCUMENTS), st.data())
def test_a_good_document_with_members_of_other_kinds(good: object, data: st.DataObject) -> None:
    document = json.loads(json.dumps(good))
    for _ in range(data.draw(st.integers(1, 3))):
        if not (found := members(document)):
            break
        container, key = data.draw(st.sampled_from(found))
        container[key] = data.draw(ODD_VALUES)  # type: ignore[index] # a dict or a list, by `members`
    finish(json.dumps(document).encode())


PATIENT = ("ZZDOE", "ZZJANE", "ZZ12345")


@settings(max_examples=300)
@given(st.data())
def test_no_text_that_may_be_logged_holds_a_patient(data: st.DataObject) -> None:
    last, first, member = PATIENT
    claim = [*CLAIM[:3], f"NM1*QC*1*{last}*{first}****MI*{member}", "SVC*HC:99213*0*0"]
    body = bytearray(make_835(*claim))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.sampled_from(b"~*:x0\n"))
    text = finish(bytes(body))
    assert not any(part[2:] in text for part in PATIENT)


@pytest.mark.parametrize("at", ["name", "member_id", "born_on"])
@pytest.mark.parametrize(
    "value", ["ZZDOE", "2026-02-30", ["ZZDOE"], {"ZZDOE": "ZZDOE"}, {"zzdoe jane": 1}, "ZZDOE" * 300]
)
def test_no_error_of_a_document_holds_a_patient(at: str, value: object) -> None:
    event = json.loads((FIXTURES / "acme" / "claim_denied.json").read_text(encoding="utf-8"))
    event["patient"] = {at: value}
    text = finish(json.dumps(event).encode()).upper()
    assert "ZZDOE" not in text
    assert "2026-02-30" not in text
    broken = json.dumps(event).replace('"patient": {', '"patient": {"ZZDOE, JANE": {"x" 1}, ').encode()
    assert "ZZDOE" not in finish(broken).upper()


MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    "body",
    [
        b"ISA*" * (MEGABYTE // 4),
        make_835()[:107] + b"IEA*" * (MEGABYTE // 4),
        make_835()[:107] + b"~" * MEGABYTE,
        make_835()[:107] + b"*" * MEGABYTE,
        make_835(*CLAIM, *["CAS*CO*45*0"] * (MEGABYTE // 12)),
        b"[" * MEGABYTE,
        b'{"resourceType":' * (MEGABYTE // 16),
        b'{"resourceType":"' + b"\\" * MEGABYTE,
        b'{"resourceType":[' + b'"[",' * (MEGABYTE // 4),
        b'{"resourceType":' + b"9" * MEGABYTE + b"}",
        b'{"resourceType":"Claim","id":"x","total":{"value":1e' + b"9" * 10 + b"}}",
        b" " * MEGABYTE,
        b"\0" * MEGABYTE,
        b"\n".join([b"prose"] * (MEGABYTE // 6)),
    ],
)
def test_a_megabyte_of_anything_is_over_soon(body: bytes) -> None:
    began = time.process_time()
    finish(body)
    finish(body, "x12")
    finish(body, "fhir")
    assert time.process_time() - began < 5


def test_fixtures_are_what_the_sources_list() -> None:
    listed = (FIXTURES / "SOURCES.md").read_text(encoding="utf-8")
    ours = {"acme"}
    copied = [path for path in FIXTURES.glob("*/*") if path.parent.name not in ours]
    assert [path for path in copied if f"| {Path(path).name} |" not in listed] == []
