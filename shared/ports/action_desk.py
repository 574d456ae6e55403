"""What engineers and practices' people do about actions: look, say what came of one, let a portal be used again.

Like the record it writes to, this port has no in-memory fake (docs/adr/0003).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from shared.domain.events import Outgoing
from shared.ports.ledger import Appeal, ReleasedAction
from shared.ports.record import Emitted

Resolution = Literal[
    "settled",  # it is in the portal, under the reference
    "failed",  # it is not, and will not be submitted
    "again",  # it is not: a machine may submit it
]


@dataclass(frozen=True, slots=True)
class ActionEntry:
    """One action as a listing shows it. No patient data.

    disabled: it waits for its portal to be allowed again. switched_off: for the customer's rules, or such actions.
    """

    id: UUID
    customer_id: UUID
    customer: str
    type: str
    subject: str
    payer_key: str
    rule_id: str
    state: str
    code: str
    attempts: int
    submissions: int
    flow: str
    client_reference: str
    reference: str
    due_at: datetime | None
    disabled: bool
    switched_off: bool
    created_at: datetime
    ended_at: datetime | None
    resolved_by: str
    resolved_note: str

    @property
    def needs_a_person(self) -> bool:
        """Whether no machine goes on with it."""
        lost = self.state == "unknown" and self.ended_at is not None
        return self.state == "open" or lost or self.disabled or self.switched_off


@dataclass(frozen=True, slots=True)
class VisitEntry:
    """One visit to a portal. evidence: address by piece. steps: names, times and outcomes."""

    attempt: int
    flow: str
    reconciling: bool
    outcome: str
    code: str
    reference: str
    began_at: datetime
    ended_at: datetime | None
    steps: Sequence[Mapping[str, object]]
    files: Mapping[str, str]
    evidence: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Listed:
    """Which actions to show; an empty member is any. waiting: only those that need a person."""

    customer_id: UUID | None = None
    payer_key: str = ""
    type: str = ""
    state: str = ""
    waiting: bool = False
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a person says of an action. note: what was seen in the portal. appeals: those that the payer holds by it."""

    as_: Resolution
    by: str
    note: str
    at: datetime
    reference: str = ""
    appeals: tuple[Appeal, ...] = ()


@dataclass(frozen=True, slots=True)
class Breaker:
    """A portal that a customer's actions stay away from, or did."""

    customer_id: UUID
    customer: str
    portal: str
    state: str
    code: str
    action_id: UUID
    opened_at: datetime
    closed_by: str
    closed_why: str
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Woken:
    """A parked action of some customer that is due."""

    customer_id: UUID
    action: ReleasedAction


class ActionDesk(Protocol):
    """Works as `upstream_operator`, which sees every customer. Blocks. All raise TransientError when it is away."""

    def list(self, wanted: Listed) -> Sequence[ActionEntry]:
        """Return actions, those that need a person first, then the newest."""
        ...

    def beginning_with(self, text: str) -> Sequence[UUID]:
        """Return at most two ids that begin so."""
        ...

    def show(self, action_id: UUID) -> tuple[ActionEntry, Mapping[str, object], Sequence[VisitEntry]] | None:
        """Return an action, its rule's parameters, and its visits; None if there is none."""
        ...

    def resolve(self, action_id: UUID, resolved: Resolved, outgoing: Sequence[Outgoing]) -> None:
        """Write a person's word on an action that needs one with its appeals, and put what follows into the outbox.

        Raises:
            PermanentError: it needs nobody, or somebody else was faster (`claim_lost`).
        """
        ...

    def breakers(self, *, customer_id: UUID | None = None) -> Sequence[Breaker]:
        """Return every portal that is or was disabled, the disabled ones first."""
        ...

    def enable(self, customer_id: UUID, portal: str, *, by: str, why: str, at: datetime) -> int | None:
        """Let actions use the portal again; return how many were waiting. None if it was not disabled and none was.

        An action that began to wait just as the portal was enabled is freed by doing it again.
        """
        ...

    def wake(
        self, *, at: datetime, stale_before: datetime, most: int, request: Callable[[Woken], Outgoing]
    ) -> int:
        """Put a request into the outbox for each action that is due and parked, or that no message is under way for.

        stale_before: untouched since then, and nobody's. Returns how many.
        """
        ...

    def unpublished(self) -> Sequence[Emitted]:
        """Return, by customer, what this desk put into the outbox and nobody has published yet."""
        ...
