"""What two runs of the same deliveries say about the guarantees. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from local.soak.payer import Sent
from local.soak.play import Run
from local.soak.state import differences

SHOWN: Final = 5  # of the rows that differ, in each direction


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison. examples: what differs, by id where there is one, without what it says."""

    what: str
    expected: int
    found: int
    examples: Sequence[str] = ()


def findings(calm: Run, stormy: Run) -> list[Finding]:
    """Return every comparison, in the order of what they promise: a finding whose numbers agree is kept."""
    return [
        *_promises("undisturbed", calm),
        *_promises("disturbed", stormy),
        *_answers(calm, stormy),
        *_rows(calm, stormy),
        *_received(calm, stormy),
    ]


def broken(found: Sequence[Finding]) -> list[Finding]:
    """Return the findings that are not as they must be."""
    return [finding for finding in found if finding.expected != finding.found]


def _promises(name: str, run: Run) -> Iterator[Finding]:
    """Yield what one run must keep by itself."""
    taken = {sent.event_id: sent for sent in run.sent if sent.taken}
    without = [event_id for event_id in taken if not run.state.effects.get(event_id)]
    doubled = [event_id for event_id in taken if len(run.state.effects.get(event_id, ())) > 1]
    unasked = [event_id for event_id in run.state.effects if event_id not in taken]
    yield Finding(f"{name}: deliveries promised and without effect", 0, len(without), without[:SHOWN])
    yield Finding(f"{name}: deliveries with more than one effect", 0, len(doubled), doubled[:SHOWN])
    yield Finding(f"{name}: effects of deliveries never promised", 0, len(unasked), unasked[:SHOWN])
    yield Finding(f"{name}: laws broken", 0, sum(run.state.broken.values()), list(run.state.broken))
    yield Finding(f"{name}: notifications with a wrong signature", 0, run.refused)


def _answers(calm: Run, stormy: Run) -> Iterator[Finding]:
    """Yield whether each sender's last answer says the same: taken, or why not."""
    expected, found = _final(calm.sent), _final(stormy.sent)
    other = [key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)]
    yield Finding(
        "senders with another final answer", 0, len(other), ["/".join(key) for key in other[:SHOWN]]
    )


def _final(sent: Sequence[Sent]) -> dict[tuple[str, ...], tuple[int, str]]:
    """Return the final answer of each delivery, 200 and 202 alike, and the id that it was promised."""
    return {
        (one.delivery.practice, one.delivery.provider, one.delivery.delivery_id): (
            (202 if one.taken else one.statuses[-1]),
            one.event_id,
        )
        for one in sent
    }


def _rows(calm: Run, stormy: Run) -> Iterator[Finding]:
    differing = differences(calm.state, stormy.state)
    for name, rows in calm.state.rows.items():
        missing, extra = differing.get(name, ([], []))
        examples = [f"- {row}" for row in missing[:SHOWN]] + [f"+ {row}" for row in extra[:SHOWN]]
        found = len(rows) + len(extra) - len(missing)
        yield Finding(name, len(rows), found, examples)
        if found == len(rows) and missing:
            yield Finding(f"{name}: rows that say something else", 0, len(missing), examples)


def _received(calm: Run, stormy: Run) -> Iterator[Finding]:
    """Yield whether each endpoint was told the same, once repeats of an id are dropped."""
    for name, run in (("undisturbed", calm), ("disturbed", stormy)):
        joined = [key for key, digest in run.received.items() if "+" in digest]
        yield Finding(f"{name}: notifications that said two things under one id", 0, len(joined), joined)
        asked = run.state.notified
        unheard, unasked = sorted(asked - run.received.keys()), sorted(run.received.keys() - asked)
        yield Finding(f"{name}: notifications asked for and never received", 0, len(unheard), unheard[:SHOWN])
        yield Finding(
            f"{name}: notifications received that nobody asked for", 0, len(unasked), unasked[:SHOWN]
        )
    expected, found = _comparable(calm), _comparable(stormy)
    other = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    yield Finding("notifications received", len(expected), len(found), other[:SHOWN])
    yield Finding("notifications received that say something else", 0, len(other), other[:SHOWN])


def _comparable(run: Run) -> Mapping[str, str]:
    """Return what was received because of rules that do not look back."""
    return {key: digest for key, digest in run.received.items() if key in run.state.notified_in_any_order}
