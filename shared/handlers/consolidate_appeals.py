"""One appeal for several claims that a payer did not pay for the same reason."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from shared.domain.cases import ClaimCase, Reason
from shared.domain.events import Outgoing
from shared.domain.ids import derive
from shared.handlers.action_outcomes import request_again
from shared.ports.appeal_desk import AppealDesk, AppealRequest, standing
from shared.ports.cases import CaseFiles
from shared.ports.ledger import ReleasedAction
from shared.runtime.errors import PermanentError

MOST_LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which claims go into a letter. since: decided from this day on. most: claims a letter."""

    customer_id: UUID
    payer_key: str
    reason: Reason
    since: date
    level: int = 1
    most: int = 40


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A claim of the same payer and reason that the letter does not cover, and why."""

    number: str
    why: str


@dataclass(frozen=True, slots=True)
class Letter:
    """What a letter would cover, the oldest decision first, and what it leaves out."""

    wanted: Wanted
    cases: tuple[ClaimCase, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def disputed_cents(self) -> int:
        """What it asks for, in all."""
        return sum(case.disputed_cents for case in self.cases)


def gather(wanted: Wanted, *, desk: AppealDesk, cases: CaseFiles) -> Letter:
    """Return the letter that could be written now. Changes nothing.

    Raises:
        TransientError: the record is away.
    """
    covered: list[ClaimCase] = []
    left_out: list[LeftOut] = []
    for one in desk.appealable(wanted.customer_id, wanted.payer_key, since=wanted.since, most=MOST_LOOKED_AT):
        case = cases.claim(wanted.customer_id, one.claim_id)
        if case is None or case.reason != wanted.reason or not case.is_owed:
            continue
        why = standing(one, level=wanted.level)
        if not why and len(covered) >= wanted.most:
            why = f"a letter holds {wanted.most}: ask for the next one"
        if why:
            left_out.append(LeftOut(one.number, why))
        else:
            covered.append(case)
    return Letter(wanted, tuple(covered), tuple(left_out))


def file(letter: Letter, *, by: str, now: datetime, desk: AppealDesk) -> UUID:
    """Ask for the letter to be filed, through the ledger, and return its action. Asked for twice, it is filed once.

    Raises:
        PermanentError: it covers fewer than two claims (`missing_field`), or one came under appeal meanwhile
            (`claim_lost`). Nothing was done.
        TransientError: the record is away.
    """
    if len(letter.cases) < 2:  # noqa: PLR2004 - several
        raise PermanentError("missing_field", "a letter for several claims needs two or more")
    request = _request(letter, by)
    message = request_again(
        ReleasedAction(request.action_id, f"claims/{request.claims[0]}", "submit_appeal", 0),
        customer_id=request.customer_id,
        now=now,
    )
    # The first request of an action is named as the action, whoever asked.
    desk.request(request, Outgoing("portal-actions", replace(message, id=request.action_id)))
    return request.action_id


def _request(letter: Letter, by: str) -> AppealRequest:
    wanted, claims = letter.wanted, tuple(case.id for case in letter.cases)
    return AppealRequest(
        action_id=derive(wanted.customer_id, "letter", wanted.payer_key, wanted.level, *sorted(claims)),
        customer_id=wanted.customer_id,
        payer_key=wanted.payer_key,
        level=wanted.level,
        claims=claims,
        params={
            "template": wanted.reason,
            "level": wanted.level,
            "claims": [str(claim) for claim in claims],
            "asked_by": by,
        },
    )
