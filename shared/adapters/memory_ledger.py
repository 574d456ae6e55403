"""`ActionLedger` in memory: the ledger's meaning without a database. Safe under threads."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final
from uuid import UUID

from shared.domain.actions import ActionState
from shared.domain.spending import ALL_ACTIONS
from shared.ports.ledger import ActionClaim, Ended, Ending, Visit, Waits
from shared.runtime.errors import PermanentError, PoisonError, TransientError

FOREVER: Final = datetime.max.replace(tzinfo=UTC)
AT_WORK: Final = frozenset({"claimed", "committing", "unknown"})


@dataclass(slots=True)
class StoredAction:
    """One action's entry. claim: as its last owner had it."""

    claim: ActionClaim
    state: ActionState = "requested"
    owned: bool = False
    due_at: datetime | None = None
    code: str = ""
    ending: Ending | None = None
    visits: dict[int, Visit | None] = field(default_factory=dict)


class InMemoryActionLedger:
    """Entries in a dictionary."""

    def __init__(self, actions: Iterable[ActionClaim] = ()) -> None:
        """actions: what is requested from the start; their tokens and leases do not count.

        taken: messages that ended, as the record's inbox has them. answered: appeals that the payer answered, as its
        table of appeals has them. switched_off: customers' types of action; an empty
        type is all of them.
        """
        self.taken: set[UUID] = set()
        self.answered: set[UUID] = set()
        self.actions = {action.action_id: StoredAction(action) for action in actions}
        self.disabled_portals: set[tuple[UUID, str]] = set()
        self.switched_off: set[tuple[UUID, str]] = set()
        self._lock = Lock()

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
        """Own the action until the lease ends, or say why not."""
        with self._lock:
            if event_id in self.taken:
                return Ended()
            found = self.actions.get(action_id)
            if found is None or found.claim.customer_id != customer_id:
                raise PoisonError("unknown_action", f"no action {action_id}")
            why_not = self._why_not(found, now)
            if why_not is not None:
                return why_not
            found.state = "claimed" if found.state in ("requested", "claimed") else "unknown"
            found.owned, found.due_at = True, None
            found.claim = replace(
                found.claim,
                token=token,
                lease_expires_at=now + timedelta(seconds=lease_s),
                reconciling=found.state == "unknown",
            )
            return found.claim

    def renew(self, claim: ActionClaim, *, now: datetime, lease_s: float) -> None:
        """Own the action for longer."""
        with self._lock:
            found = self._owned(claim, now)
            found.claim = replace(found.claim, lease_expires_at=now + timedelta(seconds=lease_s))

    def begin_visit(self, claim: ActionClaim, *, flow: str, now: datetime) -> int:
        """Note that a visit begins, pin the flow, and return which visit it is."""
        with self._lock:
            found = self._owned(claim, now)
            attempt = found.claim.attempts + 1
            found.claim = replace(found.claim, attempts=attempt, flow=found.claim.flow or flow)
            found.visits[attempt] = None
            return attempt

    def end_visit(self, claim: ActionClaim, visit: Visit) -> None:
        """Note what a visit left."""
        with self._lock:
            self.actions[claim.action_id].visits[visit.attempt] = visit

    def mark_committing(
        self,
        claim: ActionClaim,
        *,
        client_reference: str,
        seen_before: Collection[str],
        now: datetime,
        lease_s: float,
    ) -> None:
        """Have it noted that Submit is about to be pressed."""
        with self._lock:
            found = self._owned(claim, now)
            if found.state == "committing":
                raise TransientError("claim_lost", f"action {claim.action_id}")
            if self._off(found.claim):
                raise TransientError("switched_off", f"action {claim.action_id}")
            if any(
                self._is_under_way(found.claim, other)
                for other in self.actions.values()
                if other is not found
            ):
                raise PermanentError("under_way", f"action {claim.action_id}")
            found.state, found.code = "committing", ""
            found.claim = replace(
                found.claim,
                client_reference=client_reference,
                seen_before=frozenset(seen_before),
                committed_at=now,
                submissions=found.claim.submissions + 1,
                lease_expires_at=now + timedelta(seconds=lease_s),
            )

    def held_by_others(self, claim: ActionClaim, portal: str, references: Collection[str]) -> frozenset[str]:
        """Return which of a portal's references the customer's other actions were settled under."""
        with self._lock:
            return frozenset(
                other.ending.reference
                for other in self.actions.values()
                if other.ending is not None
                and other.claim.action_id != claim.action_id
                and other.claim.customer_id == claim.customer_id
                and other.claim.flow.partition("/")[0] == portal
            ) & set(references)

    def disabled(self, customer_id: UUID, portal: str) -> bool:
        """Return whether the portal waits for a person to allow it again."""
        return (customer_id, portal) in self.disabled_portals

    def postpone(self, claim: ActionClaim, *, until: datetime | None, code: str) -> None:
        """Give the action up until then."""
        with self._lock:
            found = self._owned(claim, None)
            found.state = "requested" if found.state == "claimed" else "unknown"
            found.owned, found.due_at, found.code = False, FOREVER if until is None else until, code

    def end_action(self, claim: ActionClaim, ending: Ending) -> None:
        """Write the result."""
        with self._lock:
            found = self._owned(claim, None)
            found.owned = False
            if ending.disables:
                self.disabled_portals.add((claim.customer_id, ending.disables))
                found.state = "requested" if found.state == "claimed" else "unknown"
                found.due_at = FOREVER
                return
            believed = ending.result == "open" or (
                ending.result == "failed" and ending.code != "payer_refused"
            )
            doubtful = found.state == "committing" and believed
            found.state, found.ending = "unknown" if doubtful else ending.result, ending

    def _off(self, claim: ActionClaim) -> bool:
        return bool({(claim.customer_id, ALL_ACTIONS), (claim.customer_id, claim.type)} & self.switched_off)

    def _is_under_way(self, claim: ActionClaim, other: StoredAction) -> bool:
        """Whether another action has what the claim would submit."""
        theirs = other.claim
        if (theirs.customer_id, theirs.type) != (claim.customer_id, claim.type):
            return False
        if not set(theirs.subjects) & set(claim.subjects):
            return False
        if other.state == "settled":
            return theirs.level >= claim.level or theirs.action_id not in self.answered
        left = other.state == "open" and other.ending is not None and other.ending.code != "under_way"
        return other.state in ("committing", "unknown") or left

    def _why_not(self, found: StoredAction, now: datetime) -> Waits | Ended | None:
        if found.ending is not None:
            return Ended()
        begun = found.state not in ("requested", "claimed") and found.code != "switched_off"
        if not begun and self._off(found.claim):
            return Waits("switched_off", None)
        if found.due_at is not None and found.due_at > now:
            return Waits("disabled", None) if found.due_at == FOREVER else Waits("not_due", found.due_at)
        if found.owned and found.claim.lease_expires_at > now:
            return Waits("held", found.claim.lease_expires_at)
        return None

    def _owned(self, claim: ActionClaim, now: datetime | None) -> StoredAction:
        """Return the entry if the claim is still good, and by `now` in time."""
        found = self.actions.get(claim.action_id)
        if found is None or not found.owned or found.claim.token != claim.token or found.state not in AT_WORK:
            raise TransientError("claim_lost", f"action {claim.action_id}")
        if now is not None and found.claim.lease_expires_at <= now:
            raise TransientError("claim_lost", f"action {claim.action_id}")
        return found
