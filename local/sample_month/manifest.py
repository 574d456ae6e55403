"""What the month says, counted from the story and not from the bytes: what the pipeline's own counts must come to.

Counts follow `shared/domain/events.py`: a claim payment becomes `claim.paid` (in full, in part, or with nothing because
the patient owes it all), `claim.denied` or `claim.reversed`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from local.sample_month.values import Advice, Authorization, Claim, Decision, total
from local.sample_month.world import contracted_cents

Reply = Literal[
    "accepted", "duplicate", "key_reused", "invalid_signature", "stale_timestamp", "unsupported_media_type"
]


@dataclass(slots=True)
class Totals:
    """One practice's month, or all practices'. Money in cents; reversed_cents is negative.

    submitted: claims sent beforehand. claims: distinct claims named by anything. open: of those, not decided.
    held_paid, held_denied, held_reversed: of those, by their last decision. net_cents, patient_cents: summed over all
    decisions. remitted_cents: what payers transferred, which is net_cents less adjusted_cents (PLB).
    underpaid: payments for less than the contract, each looked at alone.
    """

    submitted: int = 0
    claims: int = 0
    open: int = 0
    held_paid: int = 0
    held_denied: int = 0
    held_reversed: int = 0
    paid: int = 0
    denied: int = 0
    reversed: int = 0
    paid_cents: int = 0
    denied_cents: int = 0
    reversed_cents: int = 0
    patient_cents: int = 0
    remittances: int = 0
    adjusted_cents: int = 0
    remitted_cents: int = 0
    underpaid: int = 0
    underpaid_cents: int = 0
    authorizations: int = 0
    expiring: int = 0

    @property
    def net_cents(self) -> int:
        """Return what payers paid for claims, less what they took back."""
        return self.paid_cents + self.reversed_cents

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})


@dataclass(frozen=True, slots=True)
class Renewal:
    """An authorization, and the day from which a new one is to be asked for: its end less its payer's lead time.

    It ends on its last day, or when its units are used up at the rate they were used until it was stated. replaced:
    another one for the same patient, payer and procedure lasts longer.
    """

    practice: str
    due_on: date
    replaced: bool


@dataclass(frozen=True, slots=True)
class Manifest:
    """practices: by name. replies: how ingress answers, and how often. dead_letters: accepted, and then unreadable.

    denials, underpayments: the amount of each, by practice. carcs: how many denials gave which reason. risks:
    submitted claims by mistake. streaks: by practice and payer, the longest run of denials whatever the order within
    a day. renewals: one for every authorization.
    """

    practices: Mapping[str, Totals]
    replies: Mapping[Reply, int]
    dead_letters: int
    denials: Mapping[str, tuple[int, ...]]
    underpayments: Mapping[str, tuple[int, ...]]
    carcs: Mapping[str, int]
    risks: Mapping[str, int]
    streaks: Mapping[tuple[str, str], int]
    renewals: tuple[Renewal, ...]

    def told_of(self, day: date) -> int:
        """Return how many authorizations have come within their payer's lead time by a day, and nothing replaces."""
        return sum(renewal.due_on <= day and not renewal.replaced for renewal in self.renewals)

    @property
    def replaced(self) -> int:
        """Return how many authorizations another one has taken the place of."""
        return sum(renewal.replaced for renewal in self.renewals)

    @property
    def total(self) -> Totals:
        """Return all practices together."""
        return sum(self.practices.values(), Totals())

    def denials_over(self, cents: int) -> int:
        """Return how many denials are of more than `cents`."""
        return sum(amount > cents for amounts in self.denials.values() for amount in amounts)

    def underpaid_by(self, cents: int) -> int:
        """Return how many payments are at least `cents` under the contract."""
        return sum(amount >= cents for amounts in self.underpayments.values() for amount in amounts)


@dataclass(slots=True)
class Tally:
    """Counts as the story is told; deliveries that ingress refuses or that do not parse are not part of it."""

    last_day: date
    practices: dict[str, Totals] = field(default_factory=dict)
    replies: Counter[Reply] = field(default_factory=Counter)
    dead_letters: int = 0
    _denials: dict[str, list[int]] = field(default_factory=dict)
    _underpayments: dict[str, list[int]] = field(default_factory=dict)
    _carcs: Counter[str] = field(default_factory=Counter)
    _risks: Counter[str] = field(default_factory=Counter)
    _submitted: dict[str, set[str]] = field(default_factory=dict)
    _last: dict[str, dict[str, Decision]] = field(default_factory=dict)
    _days: dict[tuple[str, str], dict[date, list[bool]]] = field(default_factory=dict)
    _authorizations: list[Authorization] = field(default_factory=list)

    def submission(self, claim: Claim) -> None:
        """Count a claim that is sent beforehand."""
        self._totals(claim.practice.name).submitted += 1
        self._submitted.setdefault(claim.practice.name, set()).add(claim.number)
        if claim.risk:
            self._risks[claim.risk] += 1

    def advice(self, advice: Advice) -> None:
        """Count an advice and all that it decides."""
        totals = self._totals(advice.practice.name)
        totals.remittances += 1
        totals.adjusted_cents += advice.adjusted_cents
        totals.remitted_cents += advice.paid_cents
        for decision in advice.decisions:
            self._decision(decision, totals)

    def authorization(self, authorization: Authorization) -> None:
        """Count an authorization, and whether it ends within its payer's lead time of the last day."""
        totals = self._totals(authorization.practice.name)
        totals.authorizations += 1
        days_left = (authorization.expires_on - self.last_day).days
        totals.expiring += 0 <= days_left <= authorization.payer.lead_days
        self._authorizations.append(authorization)

    def delivery(self, reply: Reply, *, dead_letter: bool) -> None:
        """Count a delivery by what becomes of it."""
        self.replies[reply] += 1
        self.dead_letters += dead_letter

    def manifest(self) -> Manifest:
        """Return the counts."""
        for name, totals in self.practices.items():
            self._close(totals, self._submitted.get(name, set()), self._last.get(name, {}))
        return Manifest(
            practices=dict(self.practices),
            replies=dict(self.replies),
            dead_letters=self.dead_letters,
            denials={name: tuple(amounts) for name, amounts in self._denials.items()},
            underpayments={name: tuple(amounts) for name, amounts in self._underpayments.items()},
            carcs=dict(self._carcs),
            risks=dict(self._risks),
            streaks={pair: _streak(days) for pair, days in self._days.items()},
            renewals=tuple(self._renewal(one) for one in self._authorizations),
        )

    def _renewal(self, one: Authorization) -> Renewal:
        replaced = any(
            (other.practice, other.payer, other.patient, other.procedure)
            == (one.practice, one.payer, one.patient, one.procedure)
            and other.expires_on > one.expires_on
            for other in self._authorizations
        )
        due_on = _ends_on(one) - timedelta(days=one.payer.lead_days)
        return Renewal(one.practice.name, due_on, replaced=replaced)

    def _totals(self, practice: str) -> Totals:
        return self.practices.setdefault(practice, Totals())

    def _decision(self, decision: Decision, totals: Totals) -> None:
        claim = decision.claim
        self._last.setdefault(claim.practice.name, {})[claim.number] = decision
        days = self._days.setdefault((claim.practice.name, claim.payer.name), {})
        days.setdefault(decision.decided_on, []).append(decision.outcome == "denied")
        totals.patient_cents += decision.patient_cents
        match decision.outcome:
            case "paid":
                totals.paid += 1
                totals.paid_cents += decision.paid_cents
                self._payment(decision, totals)
            case "denied":
                totals.denied += 1
                self._denial(decision, totals)
            case "reversed":
                totals.reversed += 1
                totals.reversed_cents += decision.paid_cents

    def _payment(self, decision: Decision, totals: Totals) -> None:
        missing = _missing_cents(decision)
        if missing > 0:
            totals.underpaid += 1
            totals.underpaid_cents += missing
            self._underpayments.setdefault(decision.claim.practice.name, []).append(missing)

    def _denial(self, decision: Decision, totals: Totals) -> None:
        amount = total(decision.all_adjustments)
        totals.denied_cents += amount
        self._denials.setdefault(decision.claim.practice.name, []).append(amount)
        self._carcs[decision.all_adjustments[0].carc] += 1

    @staticmethod
    def _close(totals: Totals, submitted: set[str], last: Mapping[str, Decision]) -> None:
        held = Counter(decision.outcome for decision in last.values())
        totals.claims = len(submitted | last.keys())
        totals.open = totals.claims - len(last)
        totals.held_paid, totals.held_denied, totals.held_reversed = (
            held["paid"],
            held["denied"],
            held["reversed"],
        )


def _ends_on(authorization: Authorization) -> date:
    """Return the last day that can be used: units that are used up go before the calendar."""
    used, left = authorization.units_used, authorization.units_authorized - authorization.units_used
    days_so_far = (authorization.stated_on - authorization.effective_on).days + 1
    if not used or days_so_far < 1:
        return authorization.expires_on
    days_left = -(-left * days_so_far // used)  # rounded up
    return min(authorization.expires_on, authorization.stated_on + timedelta(days=days_left))


def _missing_cents(decision: Decision) -> int:
    """Return what payer and patient together pay short of the contract."""
    payer, lines = decision.claim.payer, decision.claim.lines
    worth = sum(contracted_cents(payer, line.procedure, line.units) for line in lines)
    return worth - decision.paid_cents - decision.patient_cents


def _streak(days: Mapping[date, list[bool]]) -> int:
    """Return the longest run over whole days of nothing but denials; a day with anything else ends it."""
    longest = run = 0
    for day in sorted(days):
        run = run + len(days[day]) if all(days[day]) else 0
        longest = max(longest, run)
    return longest
