"""Each letter and report as a payer reads it: printed by Chromium, its text compared with what it is to say."""

import re
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pypdf
import pytest

from shared.documents.letters import LETTERS, appeal_letter, template_for
from shared.documents.reports import utilization_report
from shared.domain.cases import AuthorizationCase, ClaimCase, Reason, Service, Treatment
from shared.domain.claims import Adjustment, Patient
from shared.portals.browser import BrowserHost
from shared.portals.pdf import ChromiumPdfPrinter

GOLDEN = Path(__file__).parents[2] / "fixtures" / "documents"
PATIENT = Patient("Jordan Sample", "W123456789", date(1974, 3, 9))
ON, REFERENCE = date(2026, 11, 20), "UP-ABCDEFGH23456777"
CARCS: dict[Reason, str] = {
    "medical_necessity": "50",
    "no_authorization": "197",
    "timely_filing": "29",
    "bundling": "97",
    "underpayment": "",
    "other": "16",
}


def case(reason: Reason, number: str = "SO-2026-10442") -> ClaimCase:
    """Return a claim that was denied for this reason, or paid short."""
    services = (
        Service("29881", ("LT",), "1", date(2026, 10, 6), 480_000, 0, None, 81_200),
        Service("20610", ("59",), "1", date(2026, 10, 6), 35_000, 0, None, 8_100),
    )
    denied = ClaimCase(
        id=UUID(int=1),
        practice="Summit Orthopedics",
        number=number,
        payer_key="aetna",
        payer_name="Aetna",
        payer_claim_number="EA7730012",
        provider_id="9999000034",
        patient=PATIENT,
        status="denied",
        charge_cents=515_000,
        paid_cents=0,
        patient_cents=0,
        authorization_number="",
        diagnoses=("S83.206A", "M25.561"),
        submitted_on=date(2026, 10, 9),
        service_on=date(2026, 10, 6),
        decided_on=date(2026, 10, 30),
        services=services,
        adjustments=tuple(
            Adjustment("CO", CARCS[reason], s.charge_cents, "", n) for n, s in enumerate(services, 1)
        ),
        contracted_cents=89_300,
    )
    if reason != "underpayment":
        return denied
    return replace(
        denied,
        payer_key="unitedhealthcare",
        payer_name="UnitedHealthcare",
        status="paid",
        paid_cents=60_000,
        patient_cents=5_000,
        adjustments=(),
    )


def html_of(name: str) -> str:
    if name == "utilization":
        treatments = tuple(
            Treatment(
                f"HP-{day:03}", date(2026, 7, day), ("97110", "97140"), ("M54.50",), 2, "partially_paid"
            )
            for day in (1, 8, 15)
        )
        held = AuthorizationCase(
            UUID(int=2), "Harbor Physical Therapy", "BLHP48213", "blue-cross", "Blue Cross", PATIENT, "97110", "active",
            "9999000026", date(2026, 6, 1), date(2026, 11, 28), 20, 13, treatments,
        )  # fmt: skip
        wanted = {"units": "20", "service_from": "2026-11-29", "service_to": "2027-05-27"}
        return utilization_report(held, fields=wanted, on=ON, reference=REFERENCE)
    if name == "consolidated":
        several = [case("no_authorization", f"SO-2026-1{n:04}") for n in range(40)]
        return appeal_letter(several, template="no_authorization", level=2, on=ON, reference=REFERENCE)
    [reason] = [known for known in LETTERS if known == name]
    return appeal_letter([case(reason)], template=reason, level=1, on=ON, reference=REFERENCE)


@pytest.mark.parametrize("name", [*LETTERS, "consolidated", "utilization"])
def test_a_document_says_what_it_is_to_say(host: BrowserHost, name: str) -> None:
    printed = ChromiumPdfPrinter(host).print_pdf(html_of(name), footer=f"Reference {REFERENCE}")
    document = pypdf.PdfReader(BytesIO(printed))
    text = "\n\n".join(re.sub(r"[ \t]+", " ", page.extract_text()).strip() for page in document.pages)
    golden = GOLDEN / f"{name}.txt"
    assert text == golden.read_text().strip()
    assert "/StructTreeRoot" in document.root_object  # tagged: a screen reader can read it
    assert f"Page 1 of {len(document.pages)}" in text
    assert len(document.pages) == {"consolidated": 3, "medical_necessity": 2}.get(name, 1)


def test_the_letter_follows_the_reason_unless_the_rule_names_one() -> None:
    for reason in LETTERS:
        assert template_for(case(reason), "auto") == reason
        assert template_for(case(reason), "bundling") == "bundling"


def test_a_letter_goes_to_one_payer() -> None:
    ours = case("other")
    for theirs in (replace(ours, payer_key="blue-cross"), replace(ours, practice="Another")):
        with pytest.raises(ValueError, match="one payer"):
            appeal_letter([ours, theirs], template="other", level=1, on=ON, reference=REFERENCE)


def test_what_a_payer_wrote_is_text_and_never_markup() -> None:
    odd = replace(case("other"), patient=Patient("<script>alert(1)</script>", "W1"))
    assert "<script>" not in appeal_letter([odd], template="other", level=1, on=ON, reference=REFERENCE)
