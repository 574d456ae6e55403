"""Writes an advice as an X12 835. Pure.

Source: 005010X221A1.
"""

from collections.abc import Iterator
from datetime import date

from local.sample_month.values import Advice, DecidedLine, Decision

Segment = tuple[str, ...]

_BANK = "999999992"
_VERSION = "005010X221A1"


def write_835(advice: Advice) -> bytes:
    """Return the file: one interchange with one transaction set, in the payer's own delimiters."""
    delimiters = advice.payer.delimiters
    segments = _envelope(advice, list(_transaction(advice, delimiters.component)))
    return "".join(delimiters.element.join(segment) + delimiters.end for segment in segments).encode("ascii")


def _envelope(advice: Advice, body: list[Segment]) -> Iterator[Segment]:
    number, control = str(advice.number), f"{advice.number:09d}"
    yield _isa(advice, control)
    sender, receiver = advice.payer.id, advice.practice.prefix
    yield ("GS", "HP", sender, receiver, _day(advice.decided_on), "0600", number, "X", _VERSION)
    yield ("ST", "835", "0001")
    yield from body
    yield ("SE", str(len(body) + 2), "0001")
    yield ("GE", "1", number)
    yield ("IEA", "1", control)


def _isa(advice: Advice, control: str) -> Segment:
    """Return the header, whose elements are of fixed width; the last is the component separator."""
    sender, receiver = f"{advice.payer.id:15}", f"{advice.practice.prefix:15}"
    fixed = ("ISA", "00", " " * 10, "00", " " * 10, "ZZ", sender, "ZZ", receiver)
    sent_on = f"{advice.decided_on:%y%m%d}"
    return (*fixed, sent_on, "0600", "^", "00501", control, "0", "T", advice.payer.delimiters.component)


def _transaction(advice: Advice, component: str) -> Iterator[Segment]:
    yield _bpr(advice)
    yield ("TRN", "1", advice.name.upper(), "1999999999")
    yield ("DTM", "405", _day(advice.decided_on))
    yield ("N1", "PR", advice.payer.name, "XV", advice.payer.id)
    yield ("N3", "1 SAMPLE WAY")
    yield ("N4", "SAMPLETOWN", "ZZ", "00000")
    yield ("PER", "BL", "SAMPLE DESK", "TE", "5555550100")
    yield ("N1", "PE", advice.practice.name, "XX", advice.practice.npi)
    yield ("REF", "TJ", "999999999")
    yield ("LX", "1")
    for decision in advice.decisions:
        yield from _claim(decision, component)
    for adjustment in advice.adjustments:
        reason = component.join((adjustment.reason, adjustment.reference))
        yield ("PLB", advice.practice.npi, f"{advice.decided_on.year}1231", reason, _amount(adjustment.cents))


def _bpr(advice: Advice) -> Segment:
    on = _day(advice.decided_on)
    if not advice.paid_cents:
        return ("BPR", "H", "0", "C", "NON", *[""] * 11, on)
    payer, payee = ("01", _BANK, "DA", "0000001", "1999999999", ""), ("01", _BANK, "DA", "0000002")
    return ("BPR", "I", _amount(advice.paid_cents), "C", "ACH", "CCP", *payer, *payee, on)


def _claim(decision: Decision, component: str) -> Iterator[Segment]:
    claim = decision.claim
    patient = "" if decision.outcome == "reversed" else _amount(decision.patient_cents)
    yield (
        *("CLP", claim.number, decision.status_code),
        *(_amount(decision.charge_cents), _amount(decision.paid_cents), patient),
        *("12", decision.payer_claim_number, "11", "1"),
    )
    for adjustment in decision.adjustments:
        yield ("CAS", adjustment.group, adjustment.carc, _amount(adjustment.cents))
    name = (f"TESTPATIENT{claim.patient:04d}", "SAMPLE", "", "", "")
    yield ("NM1", "QC", "1", *name, "MI", f"TEST{claim.patient:06d}")
    yield ("DTM", "232", _day(claim.service_on))
    for line in decision.lines:
        yield from _line(line, claim.service_on, component)


def _line(line: DecidedLine, service_on: date, component: str) -> Iterator[Segment]:
    procedure = component.join(("HC", line.line.procedure, *line.line.modifiers))
    yield ("SVC", procedure, _amount(line.charge_cents), _amount(line.paid_cents), "", str(line.line.units))
    yield ("DTM", "472", _day(service_on))
    for adjustment in line.adjustments:
        yield ("CAS", adjustment.group, adjustment.carc, _amount(adjustment.cents))
    if line.allowed_cents is not None:
        yield ("AMT", "B6", _amount(line.allowed_cents))
    for remark in line.remarks:
        yield ("LQ", "HE", remark)


def _amount(cents: int) -> str:
    """Return an X12 R element: no trailing zeros, no point it does not need."""
    sign, (whole, part) = "-" if cents < 0 else "", divmod(abs(cents), 100)
    return f"{sign}{whole}.{part:02d}".rstrip("0").rstrip(".")


def _day(on: date) -> str:
    return f"{on:%Y%m%d}"
