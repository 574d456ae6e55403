from pathlib import PurePath

import pytest

from cli.payload import FHIR, JSON, OTHER, X12, content_type


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("a.edi", b"ISA*00*", X12),
        ("a.json", b"ISA*00*", X12),
        ("a", b"\n  ISA|00|", X12),
        ("a.txt", b"ST*835*0001~", X12),
        ("a.json", b'{"resourceType": "Claim"}', FHIR),
        ("a.edi", b'\xef\xbb\xbf{"resourceType": "Claim"}', FHIR),
        ("a.json", b'{"resourceType": "Claim"', FHIR),
        ("a.json", b'{"type": "claim.submitted"}', JSON),
        ("a.json", b'[{"resourceType": "Claim"}]', JSON),
        ("a.JSON", b"", JSON),
        ("a.bin", b"\x00", OTHER),
    ],
)
def test_a_file_is_named_by_what_is_in_it_and_else_by_its_name(name: str, body: bytes, expected: str) -> None:
    assert content_type(PurePath(name), body) == expected
