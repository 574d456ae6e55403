"""What practices' people do about appeals: file one for several claims, note answers, see how they went.

Like the record it writes to, this port has no in-memory fake (docs/adr/0003).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol
from uuid import UUID

from shared.domain.events import Outgoing
from shared.ports.ledger import AppealOutcome


@dataclass(frozen=True, slots=True)
class AppealStat:
    """How appeals went, for one payer, reason and letter. days: from submission to the answer, the median."""

    payer_key: str
    carc: str
    template: str
    submitted: int
    pending: int
    overturned: int
    partly: int
    upheld: int
    asked_cents: int
    recovered_cents: int
    days: float | None

    @property
    def overturn_rate(self) -> float | None:
        """The share of answered appeals that brought something; None while none is answered."""
        answered = self.overturned + self.partly + self.upheld
        return (self.overturned + self.partly) / answered if answered else None


@dataclass(frozen=True, slots=True)
class Appealable:
    """A claim that a payer did not pay, or not in full, and how its latest appeal stands.

    asked: the state of the newest action that was to file one; empty if there is none, or it failed. outcome, level: of
    the newest appeal that was filed, as the record knows it now; empty and 0 if there is none.
    """

    claim_id: UUID
    number: str
    asked: str
    outcome: str
    level: int


def standing(claim: Appealable, *, level: int) -> str:
    """Return why a claim cannot be appealed at this level now, or empty. What a person is to do counts as under way."""
    if claim.asked in ("requested", "claimed", "committing", "unknown", "open"):
        return f"under appeal: an action is {claim.asked}"
    if claim.outcome == "pending" or (claim.asked == "settled" and not claim.outcome):
        return "under appeal: the payer has not answered"
    if claim.level >= level:
        return f"appealed at level {claim.level} before: {claim.outcome}"
    return ""


@dataclass(frozen=True, slots=True)
class AppealRequest:
    """One appeal for several claims, as an action of the ledger. claims: the first is the action's subject."""

    action_id: UUID
    customer_id: UUID
    payer_key: str
    level: int
    claims: tuple[UUID, ...]
    params: Mapping[str, object]


class AppealDesk(Protocol):
    """Works as `upstream_operator`, which sees every customer. Blocks. All raise TransientError when it is away."""

    def appealable(
        self, customer_id: UUID, payer_key: str, *, since: date, most: int
    ) -> Sequence[Appealable]:
        """Return claims that the payer denied, or paid in part or short, since a day; the oldest decision first."""
        ...

    def request(self, wanted: AppealRequest, outgoing: Outgoing) -> bool:
        """Write the action and put its message into the outbox. Returns False if the very same was asked for before.

        Raises:
            PermanentError: one of the claims came under appeal since it was looked at (`claim_lost`). Nothing was done.
        """
        ...

    def stats(self, *, customer_id: UUID | None = None) -> Sequence[AppealStat]:
        """Return how appeals went, by payer, reason and letter. Payments since the appeal count as its answer."""
        ...

    def answer(
        self,
        action_id: UUID,
        outcome: AppealOutcome,
        *,
        claim_number: str = "",
        recovered_cents: int | None,
        on: date,
        by: str,
    ) -> int:
        """Note a payer's answer to the appeals of one letter, or of one claim in it; return how many that were.

        Raises:
            PermanentError: the letter has no such claim, or it has several, and dollars are not told apart by them
                (`missing_field`). Nothing was changed.
        """
        ...

    def beginning_with(self, text: str) -> Sequence[UUID]:
        """Return at most two ids of letters' actions that begin so."""
        ...
