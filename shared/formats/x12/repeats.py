"""Tells apart advices that one payload holds several times over. Pure: no I/O.

Some files carry the same advice, control numbers and all, again and again. Each counts, as whoever sums the file up
would count it, and each but the first is a finding. The same payload delivered again has the same repeats, so it
still changes nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from shared.domain.claims import ClaimPayment, Finding, Record, Remittance, RemittanceSummary


def tell_apart(records: Iterable[Record]) -> Iterator[Record]:
    """Yield the records, each repeat's advice under a key of its own."""
    seen: Counter[str] = Counter()
    original: Remittance | None = None
    repeat = 0
    for record in records:
        if not isinstance(record, ClaimPayment | RemittanceSummary):
            yield record
            continue
        if record.remittance is not original:
            original = record.remittance
            repeat = seen[original.key]
            seen[original.key] += 1
        yield _repeated(record, repeat) if repeat else record


def _repeated(record: ClaimPayment | RemittanceSummary, repeat: int) -> Record:
    remittance = replace(record.remittance, key=f"{record.remittance.key}#{repeat + 1}")
    if isinstance(record, ClaimPayment):
        return replace(record, remittance=remittance)
    found = Finding("repeated_advice", "ST", f"the same advice stands {repeat} times before this one")
    return replace(record, remittance=remittance, findings=(*record.findings, found))
