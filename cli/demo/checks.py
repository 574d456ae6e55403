"""What the data implies, against what was found. Pure.

Expectations come from the generator's manifest and from the sample files' text, never from the pipeline's own readers.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

from cli.demo.found import Found
from cli.demo.portal_scene import DELIVERIES, LEARNT, RUNS, STATED, SUBMISSIONS
from cli.demo.posting import Reply
from cli.demo.sample_files import Counts
from cli.seed import SAMPLES_CUSTOMER
from local.sample_month import THERAPY, UNDERPAYER, Manifest, Totals
from shared.domain.claims import Party
from shared.ports.notifier import ChannelKind

APPEALED_OVER_CENTS: Final = 50_000  # denial-over-amount
UNDERPAID_BY_CENTS: Final = 2_500  # underpayment-against-contract
STREAK: Final = 3  # three-denials-in-a-row
TELLING: Final = (
    "denial-over-amount", "three-denials-in-a-row", "risky-claim-hold", "payer-change-tell",
    "authorization-renewed-tell",
)  # fmt: skip
PAID: Final = ("paid", "partially_paid")
OUTCOMES: Final = ("action.succeeded", "action.failed", "action.escalated")
BY_JOBS: Final = (
    "authorization.expiring", "authorization.check_due", "authorization.renewed", "authorization.expired",
    "payer.change_detected", "payer.change_updated", "payer.change_closed", "job.finished",
)  # fmt: skip
FOLLOW_UPS: Final = (
    "notification.requested", "action.requested", "job.task", "job.task_finished", *OUTCOMES, *BY_JOBS,
)  # fmt: skip
KINDS: Final[tuple[ChannelKind, ...]] = ("email", "slack", "webhook")


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison. how: `at least` where concurrency may add to what the data implies."""

    name: str
    expected: int
    found: int
    how: Literal["exactly", "at least"] = "exactly"

    @property
    def kept(self) -> bool:
        """Whether it came out as it must."""
        return self.found == self.expected if self.how == "exactly" else self.found >= self.expected


def checks(
    manifest: Manifest,
    files: Counts,
    replies: Sequence[Reply],
    found: Found,
    taken: Mapping[ChannelKind, int],
    *,
    portals: bool,
) -> list[Check]:
    """Return every comparison.

    taken: notifications that arrived, by kind of channel. portals: their scene was played.
    """
    scene = STATED + LEARNT if portals else 0
    outcomes = sum(found.sum("events", event_type=kind) for kind in (*OUTCOMES, *BY_JOBS))
    return [
        *_replies(manifest, files, replies, DELIVERIES if portals else 0),
        *(check for name, totals in manifest.practices.items() for check in _practice(name, totals, found)),
        *_samples(files, found),
        *_rules(manifest, found),
        *_notifications(found, taken),
        Check("events decided", _events(manifest.total) + files.events + scene + outcomes, found.decided),
        Check("dead letters", manifest.dead_letters + files.unreadable, len(found.facts["dead_letters"])),
    ]


def job_checks(manifest: Manifest, found: Found, *, by: date, runs: int, portals: bool) -> Iterator[Check]:
    """Compare what the jobs told with what the month implies by a day.

    One that is replaced may be told of before what replaces it is stored. A payer changes only where a practice's
    denials in a row say so, or where it comes to pay less than its contract.
    """
    due = manifest.told_of(by)
    fired = [row for row in found.facts["rules"] if row["rule_id"] == "authorization-expiring-reauth"]
    asked = sum(
        row["n"] for row in fired if row["customer"] in manifest.practices and row["decision"] == "fired"
    )
    scene = 1 if portals else 0
    told = found.sum("events", event_type="authorization.expiring")
    renewed = found.sum("events", event_type="authorization.renewed")
    looked = found.sum("actions", type="check_authorization_status", state="settled")
    yield Check("job runs finished", runs + scene * RUNS, found.sum("jobs", state="finished"))
    yield Check("job runs not finished", 0, found.sum("jobs", state="running"))
    yield Check("authorizations told of in their lead time", due + scene, told, "at least")
    yield Check("renewals asked for", told - scene, asked)
    yield Check("renewals looked at in the portal", scene, looked)
    yield Check("authorizations renewed", scene + manifest.replaced, renewed)
    streaks = {
        (practice, Party(payer).key) for (practice, payer), n in manifest.streaks.items() if n >= STREAK
    }
    calm = [row for row in found.facts["findings"] if not _is_implied(row, streaks)]
    yield Check("changes found of payers that do as before", 0, len(calm))


def _is_implied(finding: Mapping[str, Any], streaks: Collection[tuple[str, str]]) -> bool:
    if finding["kind"] == "underpayment":
        return finding["payer_key"] == Party(UNDERPAYER).key and finding["subject"] in THERAPY
    return (finding["customer"], finding["payer_key"]) in streaks


def portal_checks(found: Found, submissions: int, *, portals: bool) -> Iterator[Check]:
    """Compare what the portals hold with what was asked of them: each submission once, and each under its number."""
    if portals:
        confirmed = {row["reference"] for row in found.facts["portals"] if row["state"] == "settled"}
        yield Check("submissions that the portals hold", SUBMISSIONS, submissions)
        yield Check("submissions with a confirmation number", SUBMISSIONS, len(confirmed - {""}))


def _replies(manifest: Manifest, files: Counts, replies: Sequence[Reply], scene: int) -> Iterator[Check]:
    codes = Counter(reply.code for reply in replies)
    expected = Counter(dict(manifest.replies)) + Counter(accepted=files.files + scene)
    for code in sorted(codes.keys() | expected.keys()):
        yield Check(f"replies: {code}", expected[code], codes[code])


def _practice(name: str, totals: Totals, found: Found) -> Iterator[Check]:
    """Compare one practice: its claims as they stand, every payment, what payers transferred."""

    def claims(*statuses: str) -> int:
        return sum(found.sum("claims", customer=name, status=status) for status in statuses)

    def payments(column: str, *statuses: str) -> int:
        return sum(found.sum("payments", column, customer=name, status=status) for status in statuses)

    compared = (
        ("claims", totals.claims, found.sum("claims", customer=name)),
        ("claims not decided", totals.open, claims("submitted")),
        ("claims paid", totals.held_paid, claims(*PAID)),
        ("claims denied", totals.held_denied, claims("denied")),
        ("claims reversed", totals.held_reversed, claims("reversed")),
        ("payments", totals.paid, payments("n", *PAID)),
        ("denials", totals.denied, payments("n", "denied")),
        ("reversals", totals.reversed, payments("n", "reversed")),
        ("cents paid", totals.paid_cents, payments("paid_cents", *PAID)),
        ("cents denied", totals.denied_cents, payments("charge_cents", "denied")),
        ("cents taken back", totals.reversed_cents, payments("paid_cents", "reversed")),
        (
            "cents owed by patients",
            totals.patient_cents,
            found.sum("payments", "patient_cents", customer=name),
        ),
        ("payment advices", totals.remittances, found.sum("remittances", customer=name)),
        ("cents transferred", totals.remitted_cents, found.sum("remittances", "paid_cents", customer=name)),
        ("events", _events(totals), _domain_events(found, name)),
    )
    return (Check(f"{name}: {what}", expected, got) for what, expected, got in compared)


def _domain_events(found: Found, customer: str) -> int:
    caused_by_rules = (found.sum("events", customer=customer, event_type=kind) for kind in FOLLOW_UPS)
    return found.sum("events", customer=customer) - sum(caused_by_rules)


def _events(totals: Totals) -> int:
    """Return how many domain events follow from what was sent: one for each claim, decision and authorization."""
    return totals.submitted + totals.paid + totals.denied + totals.reversed + totals.authorizations


def _samples(files: Counts, found: Found) -> Iterator[Check]:
    name = SAMPLES_CUSTOMER
    yield Check(f"{name}: claims decided", files.decided, found.sum("payments", customer=name))
    yield Check(f"{name}: cents paid", files.paid_cents, found.sum("payments", "paid_cents", customer=name))
    yield Check(f"{name}: events", files.events, _domain_events(found, name))


def _rules(manifest: Manifest, found: Found) -> Iterator[Check]:
    """Compare what rules did for the practices; the sample files' own are not worked out independently."""

    def fired(rule_id: str) -> int:
        rows = [row for row in found.facts["rules"] if row["customer"] in manifest.practices]
        return sum(row["n"] for row in rows if row["rule_id"] == rule_id and row["decision"] == "fired")

    appealed = manifest.denials_over(APPEALED_OVER_CENTS)
    underpaid = manifest.underpaid_by(UNDERPAID_BY_CENTS)
    streaks = sum(max(0, length - STREAK + 1) for length in manifest.streaks.values())
    yield Check("denial-over-amount fired", appealed, fired("denial-over-amount"))
    yield Check("underpayment-against-contract fired", underpaid, fired("underpayment-against-contract"))
    yield Check("three-denials-in-a-row fired", streaks, fired("three-denials-in-a-row"), "at least")


def _notifications(found: Found, taken: Mapping[ChannelKind, int]) -> Iterator[Check]:
    """Compare what was asked for, recorded as delivered, and received, with how often a rule that tells fired."""
    told = sum(found.sum("rules", rule_id=rule_id, decision="fired") for rule_id in TELLING)
    told += sum(found.sum("events", event_type=kind) for kind in OUTCOMES[1:])  # a person is told of each
    yield Check("notifications requested", told, found.sum("events", event_type="notification.requested"))
    for kind in KINDS:
        delivered = found.sum("notifications", kind=kind, outcome="delivered")
        yield Check(f"notifications delivered by {kind}", told, delivered)
        yield Check(f"notifications received by {kind}", told, taken.get(kind, 0))
