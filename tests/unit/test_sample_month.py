import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import oxedi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, ValidationError

from local.sample_month import SampleDelivery, SampleMonth, sample_month
from local.sample_month.manifest import Totals
from local.sample_month.world import PAYERS, PRACTICES
from shared.domain.claims import (
    Authorization,
    ClaimPayment,
    Delivery,
    PaymentStatus,
    Record,
    RemittanceSummary,
    SubmittedClaim,
)
from shared.formats import registry
from shared.runtime.errors import UnreadableError
from shared.runtime.signatures import sign

ROOT = Path(__file__).parents[2]
FIRST_DAY = date(2026, 2, 2)


@cache
def month() -> SampleMonth:
    return sample_month(FIRST_DAY)


def digest(told: SampleMonth) -> str:
    return hashlib.sha256(repr([(d, d.body) for d in told.deliveries]).encode()).hexdigest()


# Determinism.


def test_the_same_arguments_give_the_same_bytes_in_any_process() -> None:
    program = (
        "import hashlib; from datetime import date; from local.sample_month import sample_month;"
        "told = sample_month(date(2026, 2, 2));"
        "print(hashlib.sha256(repr([(d, d.body) for d in told.deliveries]).encode()).hexdigest())"
    )
    for hash_seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == digest(month())


def test_another_seed_or_day_is_another_story() -> None:
    assert digest(sample_month(FIRST_DAY, seed=1)) != digest(month())
    assert digest(sample_month(date(2026, 2, 3))) != digest(month())


def test_the_size_is_a_parameter() -> None:
    small = sample_month(FIRST_DAY, claims=250)
    assert month().manifest.total.claims == pytest.approx(2_500, rel=0.1)
    assert small.manifest.total.claims == pytest.approx(250, rel=0.3)
    assert 600 <= len(month().deliveries) <= 1_000


# Deliveries.


def accepted(told: SampleMonth) -> Iterable[SampleDelivery]:
    return (delivery for delivery in told.deliveries if delivery.reply == "accepted")


def test_deliveries_come_in_order_of_time_and_within_the_month() -> None:
    times = [delivery.at for delivery in month().deliveries]
    assert times == sorted(times)
    assert {at.date() for at in times} <= {date.fromordinal(FIRST_DAY.toordinal() + day) for day in range(30)}


def test_every_delivery_has_a_connection_and_an_id_that_can_be_signed() -> None:
    schemes = {(c.practice, c.provider): c.scheme for c in month().connections}
    for delivery in month().deliveries:
        scheme = schemes[delivery.practice, delivery.provider]
        assert sign(scheme, delivery.delivery_id, delivery.body, "secret", delivery.at)


def test_an_id_comes_again_only_where_the_reply_says_so() -> None:
    def key(delivery: SampleDelivery) -> tuple[str, str, str]:
        return (delivery.practice, delivery.provider, delivery.delivery_id)

    for _, same in groupby(sorted(month().deliveries, key=lambda d: (key(d), d.at)), key):
        first, *again = same
        assert first.reply not in {"duplicate", "key_reused"}
        for delivery in again:
            assert delivery.reply == ("duplicate" if delivery.body == first.body else "key_reused")


def test_replies_and_dead_letters_are_counted() -> None:
    deliveries = month().deliveries
    assert month().manifest.replies == Counter(delivery.reply for delivery in deliveries)
    assert month().manifest.dead_letters == sum(delivery.dead_letter for delivery in deliveries) == 5
    assert {
        "duplicate",
        "key_reused",
        "invalid_signature",
        "stale_timestamp",
    } <= month().manifest.replies.keys()


def is_whole(delivery: SampleDelivery) -> bool:
    """Whether the body is what its format says, by a parser or schema that is not the pipeline's."""
    try:
        match delivery.format:
            case "x12":
                return not oxedi.parse(delivery.body).diagnostics
            case "fhir":
                return bool(json.loads(delivery.body)["resourceType"] == "Claim")
            case "canonical":
                for event in events(delivery):
                    schema(event["type"]).validate(event)
                return True
    except (ValueError, ValidationError):
        return False


@cache
def schema(event_type: str) -> Draft7Validator:
    text = (ROOT / "schemas" / "webhooks" / f"{event_type}.schema.json").read_text(encoding="utf-8")
    return Draft7Validator(json.loads(text))


def events(delivery: SampleDelivery) -> list[dict[str, Any]]:
    body = json.loads(delivery.body)
    found: list[dict[str, Any]] = body.get("events", [body])
    return found


def test_what_is_to_be_a_dead_letter_and_nothing_else_is_damaged() -> None:
    for delivery in accepted(month()):
        assert is_whole(delivery) is not delivery.dead_letter


# The 835 files, as another parser reads them.

Row = dict[str, str]


@dataclass(frozen=True)
class Read:
    """One file's tables, as oxedi shows them."""

    payments: list[Row]
    claims: list[Row]
    services: list[Row]
    adjustments: list[Row]
    provider_adjustments: list[Row]


def rows(table: oxedi.Table) -> list[Row]:
    lines = table.render().strip().splitlines()[2:]
    return [dict(zip(table.columns, line.split(" | "), strict=True)) for line in lines]


@cache
def read(body: bytes) -> Read:
    result = oxedi.parse(body)
    assert result.diagnostics == []
    return Read(**{name: rows(result.tables[name]) for name in Read.__annotations__})


def cents(row: Row, column: str) -> int:
    return 0 if row[column] == "∅" else int(Decimal(row[column]) * 100)


def summed(found: Iterable[Row], column: str) -> int:
    return sum(cents(row, column) for row in found)


def files(told: SampleMonth) -> list[Read]:
    """The readable files, each advice once: two were sent again under another id."""
    bodies = {d.body: None for d in accepted(told) if d.format == "x12" and not d.dead_letter}
    return [read(body) for body in bodies]


def of_claim(found: Iterable[Row], claim: Row) -> list[Row]:
    return [row for row in found if row["claim"] == claim["row"]]


def assert_balanced(file: Read) -> None:
    [payment] = file.payments
    transferred = summed(file.claims, "payment_amount") - summed(file.provider_adjustments, "amount")
    assert cents(payment, "total_payment_amount") == transferred >= 0
    for claim in file.claims:
        reasons = of_claim(file.adjustments, claim)
        assert cents(claim, "charge_amount") - summed(reasons, "amount") == cents(claim, "payment_amount")
        for service in of_claim(file.services, claim):
            own = [row for row in reasons if row["service"] == service["row"]]
            assert cents(service, "charge_amount") - summed(own, "amount") == cents(service, "payment_amount")


def test_every_file_balances() -> None:
    for file in files(month()):
        assert_balanced(file)


def outcome(file: Read, claim: Row) -> str:
    """What a claim's amounts and reasons say, worked out from the file alone."""
    refusals = [
        row
        for row in of_claim(file.adjustments, claim)
        if row["group_code"] == "CO" and row["reason_code"] != "45"
    ]
    if claim["claim_status"] == "22":
        return "reversed"
    return "denied" if refusals and cents(claim, "payment_amount") == 0 else "paid"


def counted(told: SampleMonth) -> Mapping[str, Counter[str]]:
    """By practice, the manifest's numbers, added up from what oxedi reads."""
    found: dict[str, Counter[str]] = {practice.name: Counter() for practice in PRACTICES}
    for file in files(told):
        [payment] = file.payments
        counts = found[payment["payee_name"]]
        counts["remittances"] += 1
        counts["remitted_cents"] += cents(payment, "total_payment_amount")
        counts["adjusted_cents"] += summed(file.provider_adjustments, "amount")
        for claim in file.claims:
            decided = outcome(file, claim)
            counts[decided] += 1
            amount = "charge_amount" if decided == "denied" else "payment_amount"
            counts[f"{decided}_cents"] += cents(claim, amount)
            owed = [row for row in of_claim(file.adjustments, claim) if row["group_code"] == "PR"]
            counts["patient_cents"] += summed(owed, "amount")
    return found


COUNTED = (
    "remittances", "remitted_cents", "adjusted_cents", "patient_cents",
    "paid", "paid_cents", "denied", "denied_cents", "reversed", "reversed_cents",
)  # fmt: skip


def assert_manifest_holds(told: SampleMonth) -> None:
    found = counted(told)
    for practice, totals in told.manifest.practices.items():
        assert {name: found[practice][name] for name in COUNTED} == {
            name: getattr(totals, name) for name in COUNTED
        }


def test_the_manifest_is_what_another_parser_counts() -> None:
    assert_manifest_holds(month())


def test_the_manifest_knows_each_claim_by_its_last_decision() -> None:
    for practice in PRACTICES:
        last: dict[str, tuple[str, str]] = {}
        for file in sorted(files(month()), key=lambda file: file.payments[0]["payment_date"]):
            if file.payments[0]["payee_name"] == practice.name:
                last |= {c["claim_id"]: (outcome(file, c), c["claim_id"]) for c in file.claims}
        held = Counter(decided for decided, _ in last.values())
        totals = month().manifest.practices[practice.name]
        assert held == Counter(
            paid=totals.held_paid, denied=totals.held_denied, reversed=totals.held_reversed
        )
        assert totals.claims == len(last) + totals.open


def test_a_correction_follows_its_reversal_and_both_follow_the_payment() -> None:
    seen: dict[str, list[str]] = {}
    for file in sorted(files(month()), key=lambda file: file.payments[0]["payment_date"]):
        for claim in file.claims:
            seen.setdefault(claim["claim_id"], []).append(outcome(file, claim))
    again = Counter(tuple(outcomes) for outcomes in seen.values() if len(outcomes) > 1)
    assert again.keys() == {("paid", "reversed"), ("paid", "reversed", "paid")}


@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**32),
    first_day=st.dates(date(2024, 1, 1), date(2027, 12, 31)),
    claims=st.integers(60, 300),
)
def test_every_story_balances_and_counts_alike(seed: int, first_day: date, claims: int) -> None:
    told = sample_month(first_day, seed=seed, claims=claims)
    for file in files(told):
        assert_balanced(file)
    assert_manifest_holds(told)


# What the practices send.


def fhir_claims(told: SampleMonth) -> list[dict[str, Any]]:
    return [json.loads(d.body) for d in accepted(told) if d.format == "fhir" and not d.dead_letter]


def canonical_events(told: SampleMonth) -> list[dict[str, Any]]:
    bodies = [d for d in accepted(told) if d.format == "canonical" and not d.dead_letter]
    return [event for delivery in bodies for event in events(delivery)]


def test_fhir_claims_add_up() -> None:
    for claim in fhir_claims(month()):
        nets = [Decimal(str(item["net"]["value"])) for item in claim["item"]]
        assert sum(nets) == Decimal(str(claim["total"]["value"]))
        for item, net in zip(claim["item"], nets, strict=True):
            assert item["quantity"]["value"] * Decimal(str(item["unitPrice"]["value"])) == net


def test_canonical_claims_add_up() -> None:
    for event in canonical_events(month()):
        if event["type"] == "claim.submitted":
            assert sum(Decimal(line["charge"]) for line in event["lines"]) == Decimal(event["charge"])


def test_the_manifest_counts_what_the_practices_send() -> None:
    sent: Counter[str] = Counter(claim["provider"]["display"] for claim in fhir_claims(month()))
    stated = Counter(event["type"] for event in canonical_events(month()))
    sent.update(
        event["provider"]["name"] for event in canonical_events(month()) if event["type"] == "claim.submitted"
    )
    practices = month().manifest.practices
    assert sent == {name: totals.submitted for name, totals in practices.items()}
    assert stated["authorization.stated"] == month().manifest.total.authorizations


def test_no_claim_is_sent_twice() -> None:
    numbers = [claim["identifier"][0]["value"] for claim in fhir_claims(month())]
    numbers += [e["claim_number"] for e in canonical_events(month()) if e["type"] == "claim.submitted"]
    assert len(set(numbers)) == len(numbers)


# The pipeline's own readers.


def records(delivery: SampleDelivery) -> list[Record]:
    return list(registry.read(Delivery(delivery.body, delivery.content_type, delivery.format)))


def test_our_readers_refuse_what_is_damaged() -> None:
    for delivery in accepted(month()):
        if delivery.dead_letter:
            with pytest.raises(UnreadableError):
                records(delivery)


def test_our_readers_find_what_the_manifest_says() -> None:
    found: dict[str, Counter[str]] = {practice.name: Counter() for practice in PRACTICES}
    bodies = {
        d.body: d for d in accepted(month()) if not d.dead_letter
    }  # an advice sent again is the same advice
    for delivery in bodies.values():
        for record in records(delivery):
            assert not record.findings
            found[delivery.practice].update(counts_of(record))
    for practice, totals in month().manifest.practices.items():
        assert found[practice] == {name: getattr(totals, name) for name in found[practice]}


def counts_of(record: Record) -> dict[str, int]:
    match record:
        case SubmittedClaim():
            return {"submitted": 1}
        case Authorization():
            return {"authorizations": 1}
        case RemittanceSummary():
            adjusted_cents = sum(adjustment.amount_cents for adjustment in record.adjustments)
            remitted_cents = record.remittance.paid_cents
            return {"remittances": 1, "remitted_cents": remitted_cents, "adjusted_cents": adjusted_cents}
        case ClaimPayment(status=PaymentStatus.DENIED):
            return {"denied": 1, "denied_cents": record.charge_cents}
        case ClaimPayment(status=PaymentStatus.REVERSED):
            return {"reversed": 1, "reversed_cents": record.paid_cents}
        case ClaimPayment():
            return {"paid": 1, "paid_cents": record.paid_cents}
        case _:
            raise AssertionError(f"the story has no {type(record).__name__}")


def test_the_story_has_what_the_pipeline_should_notice() -> None:
    manifest = month().manifest
    assert manifest.streaks["Summit Orthopedics", "Aetna"] >= 3
    assert manifest.denials_over(500_00) >= 20
    assert manifest.denials_over(0) == manifest.total.denied
    assert manifest.carcs.keys() == {"16", "29", "50", "197"}
    assert manifest.risks.keys() == {
        "modifier_missing",
        "authorization_missing",
        "authorization_mismatch",
        "diagnosis_mismatch",
    }
    assert manifest.total.underpaid > 50
    assert 0 < manifest.total.expiring < manifest.total.authorizations
    assert {"WO", "L6"} <= {
        row["reason_code"] for file in files(month()) for row in file.provider_adjustments
    }


def test_the_total_is_the_sum_of_the_practices() -> None:
    manifest = month().manifest
    assert manifest.total.denied == sum(totals.denied for totals in manifest.practices.values())
    assert manifest.total.remitted_cents == manifest.total.net_cents - manifest.total.adjusted_cents
    assert Totals(paid=1) + Totals(paid=2, denied=1) == Totals(paid=3, denied=1)


# Invented.


def luhn(npi: str) -> bool:
    """Source: CMS, "Requirements for NPI and NPI Check Digit"."""
    digits = [int(digit) for digit in "80840" + npi]
    doubled = [sum(divmod(2 * digit, 10)) if at % 2 else digit for at, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def test_npis_are_well_formed_and_nobodys() -> None:
    for practice in PRACTICES:
        assert re.fullmatch("9999[0-9]{6}", practice.npi)
        assert luhn(practice.npi)


def test_every_patient_is_a_test_patient() -> None:
    for file in files(month()):
        for claim in file.claims:
            assert re.fullmatch("TESTPATIENT[0-9]{4}", claim["patient_last_name"])
            assert re.fullmatch("TEST[0-9]{6}", claim["patient_id"])


def test_every_procedure_of_a_practice_has_a_fee_with_every_payer() -> None:
    fees = {(fee.practice, fee.payer_key, fee.procedure) for fee in month().fees}
    for practice in PRACTICES:
        codes = {line[0] for visit in practice.visits for line in visit.lines}
        assert {(practice.name, payer.key, code) for payer in PAYERS for code in codes} <= fees
    assert all(fee.contracted_cents > 0 for fee in month().fees)
