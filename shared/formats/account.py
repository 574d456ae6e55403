"""A readable account of a payload: its format, what each record says, what does not add up and where. Pure: no I/O."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from shared.domain.claims import (
    Acknowledgement,
    Authorization,
    AuthorizationRequest,
    ClaimPayment,
    ClaimStatus,
    Delivery,
    FetchTask,
    Record,
    RemittanceSummary,
    SubmittedClaim,
)
from shared.domain.money import dollars
from shared.formats.code_sets import unknown_codes
from shared.formats.registry import detect
from shared.runtime.errors import UnreadableError

_STEP = re.compile(r"([A-Z][A-Z0-9]{1,2})(?:\[(\d+)\])?").fullmatch
_ISA_LENGTH: Final = 106
_INDENT: Final = 40  # line breaks and spaces between a terminator and the next segment


@dataclass(frozen=True, slots=True)
class Told:
    """One record. kind: its type. number: what it is called. says: one line, without a patient."""

    kind: str
    number: str
    says: str
    findings: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """All that a payload says. refusal: why the rest could not be read; empty where all of it could.

    records before a refusal would not be kept: a payload takes effect whole or not at all.
    """

    format: str
    because: str
    records: tuple[Told, ...]
    totals: Mapping[str, int]
    unknown_codes: Mapping[str, int]
    refusal: str = ""
    refused_at: str = ""
    refused_line: int | None = None
    whole: bool = True


def account_of(delivery: Delivery) -> Account:
    """Return the account of a payload, good or bad. Never raises for what it holds."""
    told: list[Told] = []
    totals: Counter[str] = Counter()
    strange: Counter[str] = Counter()
    name = because = ""
    refused: UnreadableError | None = None
    try:
        found = detect(delivery)
        name, because = found.format.name, found.because
        for record in found.format.read(delivery.body):
            told.append(_tell(record, delivery.body))
            totals.update(_sums(record))
            strange.update(f"{kind} {code}" for kind, code in unknown_codes(record))
    except UnreadableError as exc:
        refused = exc
    return Account(
        format=name,
        because=because,
        records=tuple(told),
        totals=dict(totals),
        unknown_codes=dict(strange),
        refusal=str(refused) if refused else "",
        refused_at=refused.place if refused else "",
        refused_line=line_of(delivery.body, refused.place) if refused else None,
        whole=refused is None,
    )


def line_of(body: bytes, place: str) -> int | None:
    """Return the line, from 1, on which the segment of an X12 place stands; None for a place of another kind.

    A file without line breaks is one line. Each step of a place counts from where the step before it was found.
    """
    text = body.decode("latin-1")
    start = text.find("ISA")
    steps = [_STEP(step) for step in place.split("/")]
    if start < 0 or len(text) < start + _ISA_LENGTH or not all(steps):
        return None
    separator, terminator = text[start + 3], _terminator(text, start)
    at = start - 1
    for step in steps:
        assert step is not None  # noqa: S101 - checked above, for the type
        for _ in range(int(step[2] or 1)):
            found = _next(text, step[1] + separator, at + 1, terminator)
            if found is None:
                return None
            at = found
    return text.count("\n", 0, at) + 1


def _terminator(text: str, start: int) -> str:
    header = text[start:].split(text[start + 3], 16)
    return header[16][1:2] if len(header) > 16 else "~"  # noqa: PLR2004 - ISA16 and what follows it


def _next(text: str, beginning: str, at: int, terminator: str) -> int | None:
    while (at := text.find(beginning, at)) >= 0:
        before = text[max(0, at - _INDENT) : at].rstrip("\r\n ".replace(terminator, ""))
        if not before or before.endswith(terminator) or at == 0 or text[at - 1] in "\r\n":
            return at
        at += 1
    return None


def _tell(record: Record, body: bytes) -> Told:
    kind, number, says = _say(record)
    findings = tuple(
        {**asdict(found), "severity": found.severity, "line": line_of(body, found.place)}
        for found in record.findings
    )
    return Told(kind, number, says, findings)


def _say(record: Record) -> tuple[str, str, str]:
    match record:
        case ClaimPayment():
            charged, paid = dollars(record.charge_cents), dollars(record.paid_cents)
            parts = [str(record.status), f"charged {charged}", f"paid {paid}"]
            if record.patient_cents:
                parts.append(f"patient owes {dollars(record.patient_cents)}")
            return "payment", record.claim_number, "; ".join([*parts, *_reasons(record)])
        case RemittanceSummary():
            advice = record.remittance
            paid = dollars(record.claims_paid_cents)
            says = f"{record.claim_count} claims, {paid}; sent {dollars(advice.paid_cents)}"
            held = sum(adjustment.amount_cents for adjustment in record.adjustments)
            return "advice", advice.trace_number, f"{says}; held back {dollars(held)}" if held else says
        case SubmittedClaim():
            charged = dollars(record.charge_cents)
            says = f"charged {charged} over {len(record.lines)} lines; frequency {record.frequency}"
            return record.use, record.claim_number, says
        case _:
            return _say_statement(record)


def _say_statement(
    record: Authorization | AuthorizationRequest | ClaimStatus | Acknowledgement | FetchTask,
) -> tuple[str, str, str]:
    match record:
        case Authorization():
            until = f" until {record.expires_on}" if record.expires_on else ""
            return (
                "authorization",
                record.number or record.trace_number,
                f"{record.status}{until} {record.procedure}".strip(),
            )
        case AuthorizationRequest():
            return (
                "request",
                record.trace_number,
                f"asks for {', '.join(line.procedure for line in record.lines) or 'a review'}",
            )
        case ClaimStatus():
            codes = " ".join(f"{code.category}:{code.status}" for code in record.codes)
            return (
                record.kind,
                record.claim_number or record.trace_number,
                f"{record.level}: {record.standing} ({codes})",
            )
        case Acknowledgement():
            return (
                "999",
                f"{record.group_number}/{record.set_number}",
                "; ".join([record.outcome, *record.errors]),
            )
        case FetchTask():
            return "to fetch", record.reason, record.reference


def _reasons(payment: ClaimPayment) -> Iterator[str]:
    for reason in (*payment.adjustments, *(a for line in payment.lines for a in line.adjustments)):
        yield f"{reason.group} {reason.carc} {dollars(reason.amount_cents)}".strip()


def _sums(record: Record) -> Mapping[str, int]:
    match record:
        case ClaimPayment():
            return {"payments": 1, "charge_cents": record.charge_cents, "paid_cents": record.paid_cents}
        case SubmittedClaim():
            return {"submitted": 1, "charge_cents": record.charge_cents}
        case RemittanceSummary():
            return {"advices": 1, "remitted_cents": record.remittance.paid_cents}
        case _:
            return {type(record).__name__: 1}


def findings_of(account: Account) -> list[Mapping[str, Any]]:
    """Return every finding of an account in order."""
    return [found for told in account.records for found in told.findings]
