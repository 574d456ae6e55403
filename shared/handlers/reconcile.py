"""Submit may have been pressed: what the portal's own search says about it. Pure."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.actions import MAX_SUBMISSIONS
from shared.ports.ledger import ActionClaim
from shared.ports.portal import Absent, Flow, Found, Lookup, Unclear
from shared.runtime.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class Adopt:
    """It was taken, under this reference."""

    reference: str


@dataclass(frozen=True, slots=True)
class Resubmit:
    """It surely was not."""


@dataclass(frozen=True, slots=True)
class AskAgain:
    """It may still appear."""

    after_s: float


@dataclass(frozen=True, slots=True)
class AskAPerson:
    """The portal cannot tell."""

    code: ErrorCode


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It surely was not, as often as it was tried: a person has to submit it."""


Verdict = Adopt | Resubmit | AskAgain | AskAPerson | GiveUp


def verdict(
    found: Lookup, claim: ActionClaim, flow: Flow, *, now: datetime, theirs: AbstractSet[str] = frozenset()
) -> Verdict:
    """Return what to do about a commit whose outcome nobody saw. theirs: references that other actions hold.

    By an echoed reference what is found is ours. Without one only what was not listed before the commit can be, and
    only if it is one alone that no other action holds.
    """
    new: set[str] = set()
    match found:
        case Unclear(retry_after_s=None):
            return AskAPerson("commit_unclear")
        case Unclear(retry_after_s=after_s):
            return AskAgain(after_s or 0.0)
        case Absent():
            pass
        case Found(submissions=submissions):
            new = {s.reference for s in submissions} - (
                frozenset() if flow.echoes_reference else claim.seen_before
            )
    free = new if flow.echoes_reference else new - theirs
    if len(free) == 1:
        return Adopt(free.pop())
    if new:
        return AskAPerson("commit_unclear")
    return _absent(claim, flow, now)


def _absent(claim: ActionClaim, flow: Flow, now: datetime) -> Verdict:
    """Return what follows from not being listed: nothing yet, while the portal may still be indexing."""
    if claim.committed_at is not None:
        visible_at = claim.committed_at + timedelta(seconds=flow.visible_after_s)
        if visible_at > now:
            return AskAgain((visible_at - now).total_seconds())
    return Resubmit() if claim.submissions < MAX_SUBMISSIONS else GiveUp()
