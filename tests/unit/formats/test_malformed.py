"""Every malformed fixture ends in an error that names its fault; every other kind that we do not read says so."""

from pathlib import Path

import pytest

from tests.unit.formats.advices import FIXTURES, read_all, refused

# What is wrong with each, and where.
MALFORMED = {
    # 835
    "edi-835-parser__exhaustive_sample.txt": "ST[1]",  # no ISA at all
    # ISA lost the spaces of its fixed width, and IEA ends another interchange than ISA began: 100000300, 100000301.
    "edi-835-parser__nevada_medicaid.txt": "ISA[1]/IEA",
    # Prose before ISA, and BPR02 is 1222 where claims and provider-level adjustments come to 1224.54.
    "stupidedi__835-scenario-3a.edi": "ISA[1]/GS[1]/ST[1]/BPR",
    # 837
    "x12-parser__x12_no_isa_line.txt": "GS[1]",
    # FHIR with dates replaced by a word
    "beneficiary-fhir-data__bfd-v2-claimFissRead.json": "$.created",
    "beneficiary-fhir-data__bfd-v2-claimResponseMcsRead.json": "$.created",
    "beneficiary-fhir-data__bfd-v2-claimResponseSearch.json": "$.entry[0].resource.created",
    "beneficiary-fhir-data__bfd-v2-eobReadCarrier.json": "$.created",
}
UNREAD = {"beneficiary-fhir-data__bfd-v2-coverageRead.json": "$.resourceType"}
# Read all the same, with findings that name the fault, besides those that all of these files have.
FOUND = {
    "x12-parser__x12_loop_errors1_exceeds_max_1_parent.txt": {("loop_repeated", "HL[1]/NM1")},
    "x12-parser__x12_loop_errors2_exceeds_max_repeats_multiple_parents.txt": {
        ("loop_repeated", "HL[3]/NM1"),
        ("hl_number", "HL[3]"),
    },
    "x12-parser__x12_loop_errors3_missing_loops.txt": {("provider_missing", "CLM[1]")},
    "x12-parser__x12_missing_elements.txt": {("frequency_missing", "CLM[2]"), ("hl_parent", "HL[3]")},
    "x12-parser__x12_missing_required_loop_in_one_repeat.txt": {("subscriber_missing", "CLM[1]")},
    "x12-parser__x12_missing_required_loops_mult_repeats.txt": {
        ("line_without_lx", "CLM[2]/SV1"),
        ("line_without_lx", "CLM[5]/SV1"),
        ("invalid_date", "CLM[2]/DTP"),
    },
}
KINDS_NOT_READ = {
    "fhir-coverage": "$.resourceType",
    "fhir-payment": "$.resourceType",
}


def files(*kinds: str) -> list[Path]:
    return [path for kind in kinds for path in sorted((FIXTURES / kind).iterdir())]


@pytest.mark.parametrize("name", FOUND)
def test_a_claim_with_a_fault_is_read_with_a_finding_at_its_place(name: str) -> None:
    records = read_all((FIXTURES / "x12-malformed" / name).read_bytes())
    found = {(finding.code, finding.place) for record in records for finding in record.findings}
    assert {(code, f"ISA[1]/GS[1]/ST[1]/{place}") for code, place in FOUND[name]} <= found
    assert (
        "segment_count",
        "ISA[1]/GS[1]/ST[1]/SE",
    ) in found  # each says 25, whatever was taken out or put in


@pytest.mark.parametrize(
    "path",
    [path for path in files("x12-malformed", "fhir-malformed") if path.name not in FOUND],
    ids=lambda path: path.name,
)
def test_a_malformed_payload_names_its_fault(path: Path) -> None:
    error = refused(path.read_bytes())
    expected = (MALFORMED | UNREAD)[path.name]
    assert (error.place, error.code) == (
        expected,
        "unknown_format" if path.name in UNREAD else "unreadable_payload",
    )


def test_no_malformed_fixture_is_left_out() -> None:
    assert {path.name for path in files("x12-malformed", "fhir-malformed")} == set(MALFORMED | UNREAD) | set(
        FOUND
    )


@pytest.mark.parametrize("path", files(*KINDS_NOT_READ), ids=lambda path: path.name)
def test_a_kind_that_we_do_not_read_says_so(path: Path) -> None:
    error = refused(path.read_bytes())
    assert (error.place, error.code) == (KINDS_NOT_READ[path.parent.name], "unknown_format")
