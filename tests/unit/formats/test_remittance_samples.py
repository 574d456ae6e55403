"""Every real 835 in the fixtures: read whole, and as an independent parser reads it."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import oxedi
import pytest

from shared.domain.claims import (
    Adjustment,
    ClaimPayment,
    Delivery,
    Party,
    Patient,
    PaymentStatus,
    Remittance,
    RemittanceSummary,
    ServiceLine,
)
from shared.formats.registry import read

FIXTURES = Path(__file__).parents[2] / "fixtures" / "webhooks"
SAMPLES = sorted((FIXTURES / "x12-835").iterdir())
ABSENT = "∅"  # what oxedi prints for a null
KNOWN_FAULTS = {
    "stupidedi__004010-1.edi": {("isa_width", "ISA[1]")},  # 30 characters where ISA06 has 15
    "x12-parser__profee-multiple.edi": {("repeated_advice", "ST")},  # one advice 156 times
}
# SVC01 is written with ">" where ISA16 announces ":"; we split it all the same, oxedi finds no procedure in it.
OTHER_SEPARATOR = "x12__secondary-payment.835"


def read_835(path: Path) -> tuple[list[ClaimPayment], list[RemittanceSummary]]:
    records = list(read(Delivery(path.read_bytes())))
    payments = [record for record in records if isinstance(record, ClaimPayment)]
    summaries = [record for record in records if isinstance(record, RemittanceSummary)]
    assert len(payments) + len(summaries) == len(records)
    return payments, summaries


def sample(name: str) -> tuple[list[ClaimPayment], list[RemittanceSummary]]:
    return read_835(FIXTURES / "x12-835" / name)


def rows(tables: oxedi.Tables, name: str) -> list[dict[str, str]]:
    """One of oxedi's tables; it prints them, and hands them to nothing that we depend on."""
    _, header, *lines = tables[name].render().strip().splitlines()
    columns = [column.partition(":")[0] for column in header.split(" | ")]
    return [dict(zip(columns, line.split(" | "), strict=True)) for line in lines]


def cents(amount: str) -> int:
    return 0 if amount == ABSENT else int(Decimal(amount) * 100)


def code(value: str) -> str:
    return "" if value == ABSENT else value


def reasons(payment: ClaimPayment) -> list[tuple[str, str, int, int]]:
    """Each reason with its line, 0 for the claim's own; a reason of no amount at all is not in oxedi's table."""
    found = [*payment.adjustments, *(a for line in payment.lines for a in line.adjustments)]
    return [(a.group, a.carc, a.amount_cents, a.line) for a in found]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
class TestEverySample:
    def test_claims_agree_with_an_independent_parser(self, path: Path) -> None:
        payments, _ = read_835(path)
        claims = rows(oxedi.parse(path.read_bytes()).tables, "claims")
        assert [
            (
                p.claim_number,
                p.status_code,
                p.payer_claim_number,
                p.charge_cents,
                p.paid_cents,
                p.patient_cents,
            )
            for p in payments
        ] == [
            (
                claim["claim_id"],
                claim["claim_status"],
                code(claim["payer_control_number"]),
                cents(claim["charge_amount"]),
                cents(claim["payment_amount"]),
                cents(claim["patient_responsibility"]),
            )
            for claim in claims
        ]

    def test_lines_agree_with_an_independent_parser(self, path: Path) -> None:
        payments, _ = read_835(path)
        services = rows(oxedi.parse(path.read_bytes()).tables, "services")
        assert [
            (
                number,
                "" if path.name == OTHER_SEPARATOR else line.procedure,
                line.charge_cents,
                line.paid_cents,
                line.allowed_cents or 0,
            )
            for number, payment in enumerate(payments)
            for line in payment.lines
        ] == [
            (
                int(service["claim"]),
                code(service["procedure_code"]),
                cents(service["charge_amount"]),
                cents(service["payment_amount"]),
                cents(service["allowed_amount"]),
            )
            for service in services
        ]

    def test_reasons_agree_with_an_independent_parser(self, path: Path) -> None:
        payments, _ = read_835(path)
        tables = oxedi.parse(path.read_bytes()).tables
        ours = [
            (number, *reason[:3], reason[3] > 0)
            for number, payment in enumerate(payments)
            for reason in reasons(payment)
        ]
        theirs = [
            (
                int(row["claim"]),
                row["group_code"],
                row["reason_code"],
                cents(row["amount"]),
                row["service"] != ABSENT,
            )
            for row in rows(tables, "adjustments")
        ]
        assert sorted(ours) == sorted(theirs)

    def test_advices_agree_with_an_independent_parser(self, path: Path) -> None:
        _, summaries = read_835(path)
        tables = oxedi.parse(path.read_bytes()).tables
        advices = [summary.remittance for summary in summaries]
        assert [(a.paid_cents, a.trace_number, a.payer.name, a.method) for a in advices] == [
            (
                cents(row["total_payment_amount"]),
                row["trace_number"],
                row["payer_name"],
                row["payment_method"],
            )
            for row in rows(tables, "payments")
        ]
        assert [a.amount_cents for summary in summaries for a in summary.adjustments] == [
            cents(row["amount"]) for row in rows(tables, "provider_adjustments")
        ]

    def test_payment_is_the_claims_less_the_provider_adjustments(self, path: Path) -> None:
        payments, summaries = read_835(path)
        assert sum(s.remittance.paid_cents for s in summaries) == sum(p.paid_cents for p in payments) - sum(
            a.amount_cents for s in summaries for a in s.adjustments
        )
        assert sum(s.claims_paid_cents for s in summaries) == sum(p.paid_cents for p in payments)
        assert sum(s.claim_count for s in summaries) == len(payments)

    def test_nothing_is_found_but_what_the_file_gets_wrong(self, path: Path) -> None:
        records = read(Delivery(path.read_bytes()))
        found = {(finding.code, finding.place) for record in records for finding in record.findings}
        assert found == KNOWN_FAULTS.get(path.name, set())


def test_different_advices_have_different_keys_though_samples_share_a_trace_number() -> None:
    advices = [summary.remittance for path in SAMPLES for summary in read_835(path)[1]]
    # 156 interchanges of one file are the same advice, which also stands alone in another file.
    assert len(advices) == len(SAMPLES) - 1 + 156
    assert len({a.key for a in advices if a.trace_number == "CK NUMBER 1"}) == 5

    said: dict[str, set[tuple[ClaimPayment, ...]]] = {}
    for path in SAMPLES:
        payments, _ = read_835(path)
        for key in {payment.remittance.key for payment in payments}:
            claims = dict.fromkeys(payment for payment in payments if payment.remittance.key == key)
            said.setdefault(key, set()).add(tuple(claims))
    assert [key for key, ways in said.items() if len(ways) > 1] == []


def test_a_reversal_and_its_correction_are_two_payments_that_net() -> None:
    payments, [summary] = sample("Project-Herophilus-Assets__835Sample-OutpatientRetro-.txt")
    assert [(p.position, p.status, p.charge_cents, p.paid_cents) for p in payments] == [
        (0, PaymentStatus.REVERSED, -715_117, -715_117),
        (1, PaymentStatus.PAID, 715_117, 713_101),
    ]
    assert payments[0].claim_number == payments[1].claim_number
    assert summary.remittance.paid_cents == 0
    assert summary.adjustments == (Adjustment("", "FB", -2_016),)


def test_a_claim_of_a_sample_in_full() -> None:
    """stupidedi's secondary payments, line by line as the file has them."""
    payments, [summary] = sample("stupidedi__secondary-payments.edi")
    remittance = Remittance(
        key="835|0012524965|1559123456|20050412|122200|YOUR TAX DOLLARS AT WORK|L0004828311|1032364|91200|05090256390",
        payer=Party("YOUR TAX DOLLARS AT WORK"),
        payee=Party("ACME MEDICAL CENTER", "599944521"),
        trace_number="0012524965",
        method="CHK",
        paid_cents=122_200,
        decided_on=date(2005, 4, 12),
        decided_source="DTM405",
    )
    assert payments[1] == ClaimPayment(
        remittance=remittance,
        position=1,
        claim_number="0001000053",
        payer_claim_number="50630626430",
        status=PaymentStatus.PAID,
        status_code="2",
        charge_cents=75_150,
        paid_cents=31_000,
        patient_cents=22_000,
        patient=Patient("ANGI BAKI", "456789123"),
        provider=Party("SMITH JONES PA", "34426"),
        allowed_cents=65_000,
        decided_on=date(2005, 4, 12),
        service_on=date(2005, 1, 6),
        lines=(
            ServiceLine(
                procedure="12345",
                charge_cents=16_650,
                paid_cents=3_000,
                allowed_cents=15_000,
                modifiers=("26",),
                units="1",
                service_on=date(2005, 1, 6),
                adjustments=(Adjustment("OA", "23", 13_650, line=1),),
            ),
            ServiceLine(
                procedure="66543",
                charge_cents=58_500,
                paid_cents=28_000,
                allowed_cents=50_000,
                modifiers=("26",),
                units="1",
                service_on=date(2005, 1, 6),
                adjustments=(
                    Adjustment("PR", "1", 15_000, line=2),
                    Adjustment("PR", "2", 7_000, line=2),
                    Adjustment("CO", "42", 8_500, line=2),
                ),
            ),
        ),
    )
    assert summary == RemittanceSummary(remittance, claim_count=2, claims_paid_cents=122_200)


def test_an_inpatient_advice_with_remarks_and_an_added_payment() -> None:
    payments, [summary] = sample("x12__medicare-part-a.835")
    assert [(p.claim_number, p.status, p.paid_cents, p.remarks) for p in payments] == [
        ("666123", PaymentStatus.PAID, 13_801_840, ()),
        ("777777", PaymentStatus.PAID, 1_198_033, ("MA02",)),
    ]
    assert payments[0].adjustments == (Adjustment("CO", "45", 7_334_857),)
    assert payments[0].patient == Patient("SAM O JONES", "666666666A")
    assert (summary.remittance.payer.id, summary.remittance.decided_on) == ("999", date(2002, 9, 16))
    assert summary.adjustments == (Adjustment("", "CV", -127),)
    assert (summary.remittance.paid_cents, summary.claims_paid_cents) == (15_000_000, 14_999_873)


def test_a_claim_paid_nothing_for_late_filing_is_denied_though_its_status_says_processed() -> None:
    [payment], [summary] = sample(
        "Project-Herophilus-Assets__835-Sample-Professional-Claims-only-no-payment-.2014.txt"
    )
    assert (payment.status, payment.status_code) == (PaymentStatus.DENIED, "2")
    assert [a.carc for line in payment.lines for a in line.adjustments] == ["29", "29"]
    assert (summary.remittance.method, summary.remittance.paid_cents) == ("NON", 0)


def test_one_file_holds_many_interchanges() -> None:
    payments, summaries = sample("x12-parser__profee-multiple.edi")
    assert (len(payments), len(summaries)) == (468, 156)
    assert len({summary.remittance.key for summary in summaries}) == 156
    assert [len(summary.findings) for summary in summaries] == [0] + [1] * 155
    assert [p.status for p in payments[:3]] == [
        PaymentStatus.PAID,
        PaymentStatus.DENIED,
        PaymentStatus.PARTIALLY_PAID,
    ]
