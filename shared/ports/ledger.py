"""Who does an action, how far it got, and what came of it: the ledger that keeps a submission from being doubled.

Every change by a worker is compare-and-set on its claim's token and the lease: a worker that was overtaken changes
nothing. The last entry, `end_action`, is made within the event's own transaction, together with inbox and outbox.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, Protocol
from uuid import UUID

from shared.domain.actions import OnError, Result
from shared.domain.ids import derive

NotYet = Literal[
    "held",  # another worker has it
    "not_due",  # it is to be tried later
    "disabled",  # the payer's portal waits for a person to allow it again
    "switched_off",  # a person stopped the customer's rules, or actions of this type
]


@dataclass(frozen=True, slots=True)
class ActionClaim:
    """Our ownership of one action until the lease ends.

    on_error: as the version of the rule that asked for it says; `escalate` where no rule did. attempts: visits to the
    portal so far. flow: the pinned version of the first visit, or empty. reconciling: Submit
    may have been pressed: ask the portal before anything else. committed_at, seen_before: as stored before that.
    """

    action_id: UUID
    customer_id: UUID
    token: UUID
    type: str
    subject: str
    rule_id: str
    params: Mapping[str, object]
    payer_key: str
    lease_expires_at: datetime
    requested_at: datetime
    attempts: int = 0
    flow: str = ""
    reconciling: bool = False
    client_reference: str = ""
    seen_before: frozenset[str] = frozenset()
    committed_at: datetime | None = None
    submissions: int = 0
    on_error: OnError = "escalate"

    @property
    def level(self) -> int:
        """Return which appeal of its claims it is, from 1."""
        return int(str(self.params.get("level", 1)))

    @property
    def subjects(self) -> tuple[str, ...]:
        """Return what it is about: its subject, and of a letter every claim."""
        named = self.params.get("claims")
        return (self.subject, *(f"claims/{one}" for one in (named if isinstance(named, list) else ())))


@dataclass(frozen=True, slots=True)
class Waits:
    """Nobody may do the action now. until: when to ask again; None: not before somebody changes something."""

    why: NotYet
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The action has its result, or this very message was taken before: nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What came of an action, for good as far as machines go.

    code: why, unless it is settled. disables: a portal that nobody signs in to for this customer until a person allows
    it again; the action itself then waits for that as well.
    """

    result: Result
    at: datetime
    reference: str = ""
    code: str = ""
    disables: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """What one visit to a portal left: to be noted, whatever comes of the action.

    steps: names, durations and outcomes. files: sha256 by name. evidence: where each piece is kept.
    """

    attempt: int
    outcome: str
    at: datetime
    code: str = ""
    reference: str = ""
    steps: object = ()
    files: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReleasedAction:
    """A parked action that is due: a new message has to be sent for it. nth: which one that is.

    trace_parent, chain: of the first request: the story goes on, and rules that chase each other are still found.
    """

    action_id: UUID
    subject: str
    type: str
    nth: int
    trace_parent: str = ""
    chain: str = ""


AppealOutcome = Literal["pending", "overturned", "partly", "upheld"]


@dataclass(frozen=True, slots=True)
class Appeal:
    """An appeal of one claim that a payer has. action_id: of the letter, which may hold several.

    amount_cents: what it asks for. paid_before_cents: what the payer had paid. submitted_on, reference: None and empty
    before it is filed. first: of the letter's claims.
    """

    action_id: UUID
    claim_id: UUID
    payer_key: str
    carc: str
    template: str
    level: int
    amount_cents: int
    paid_before_cents: int
    submitted_on: date | None = None
    reference: str = ""
    first: bool = True

    @property
    def id(self) -> UUID:
        """Return the appeal's id: its action's, or for a further claim one that follows from both."""
        return self.action_id if self.first else derive(self.action_id, "appeal", self.claim_id)


@dataclass(frozen=True, slots=True)
class AppealAnswer:
    """What a payer says of an appealed claim. paid_cents: in all, as of now; None where it does not say."""

    claim_id: UUID
    upheld: bool
    paid_cents: int | None
    decided_on: date
    source: str


class ActionLedger(Protocol):
    """Blocks. All methods raise TransientError when the store is away: nothing was changed."""

    def claim(
        self,
        customer_id: UUID,
        action_id: UUID,
        *,
        event_id: UUID,
        token: UUID,
        now: datetime,
        lease_s: float,
    ) -> ActionClaim | Waits | Ended:
        """Own the action until the lease ends, or say why not.

        A lease that ended frees `claimed` only. `committing` past its lease becomes `unknown`, and its claim is a
        reconciling one. What a person switched off is nobody's until it is switched on, unless Submit may have been
        pressed: then the portal is asked all the same.

        Raises:
            PoisonError: there is no such action (`unknown_action`). Dead-letter.
        """
        ...

    def renew(self, claim: ActionClaim, *, now: datetime, lease_s: float) -> None:
        """Own the action for longer.

        Raises:
            TransientError: the claim was taken over, or its lease has ended (`claim_lost`). Do nothing more.
        """
        ...

    def begin_visit(self, claim: ActionClaim, *, flow: str, now: datetime) -> int:
        """Note that a visit begins, pin the flow, and return which visit it is, from 1.

        Raises:
            TransientError: `claim_lost`.
        """
        ...

    def end_visit(self, claim: ActionClaim, visit: Visit) -> None:
        """Note what a visit left. Needs no lease: it happened, whoever has the action now."""
        ...

    def mark_committing(
        self,
        claim: ActionClaim,
        *,
        client_reference: str,
        seen_before: Collection[str],
        now: datetime,
        lease_s: float,
    ) -> None:
        """Have it on disk that Submit is about to be pressed. Returning is the leave to press it, once.

        Of two actions of a customer that would submit the same for one of their subjects, one is let: the other waits
        for a person while the first is in doubt, a person's, or with the payer unanswered, and of appeals for good
        below the next level.

        Raises:
            TransientError: `claim_lost`; or a person stopped such actions since the claim (`switched_off`). Do not
                press.
            PermanentError: `under_way`, another action has it. Do not press.
        """
        ...

    def held_by_others(self, claim: ActionClaim, portal: str, references: Collection[str]) -> frozenset[str]:
        """Return which of a portal's references the customer's other actions were settled under."""
        ...

    def disabled(self, customer_id: UUID, portal: str) -> bool:
        """Return whether the portal waits for a person to allow it again."""
        ...

    def postpone(self, claim: ActionClaim, *, until: datetime | None, code: str) -> None:
        """Give the action up until then: `requested` again, or `unknown` if Submit may have been pressed.

        until: None waits for a person to allow the portal again.

        Raises:
            TransientError: `claim_lost`.
        """
        ...


class ActionEndings(Protocol):
    """Where an action's last entry is made."""

    def end_action(self, claim: ActionClaim, ending: Ending) -> None:
        """Write the result. `disables` also stops the customer's other actions in that portal.

        What is `committing` ends as `unknown` where the result is that nothing was submitted, unless the payer says so.

        Raises:
            TransientError: `claim_lost`.
        """
        ...
