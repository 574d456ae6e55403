"""`AppealDesk` in PostgreSQL."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import orjson
from sqlalchemy import Connection, Engine, text

from shared.adapters.postgres.action_desk import emit
from shared.adapters.postgres.action_rows import ONE_AT_A_TIME
from shared.adapters.postgres.engine import database_errors
from shared.domain.actions import BY_HAND
from shared.domain.events import Outgoing
from shared.ports.appeal_desk import Appealable, AppealRequest, AppealStat, standing
from shared.ports.ledger import AppealOutcome
from shared.runtime.errors import PermanentError

# A letter for several claims names them in its action's parameters. What a payer decided since an appeal answers it.
APPEALABLE = """
WITH letters AS (
    SELECT a.state, a.code, a.created_at, claim
    FROM actions a, jsonb_array_elements_text(a.params -> 'claims') AS claim
    WHERE a.customer_id = CAST(:customer_id AS uuid) AND a.type = 'submit_appeal' AND a.params -> 'claims' IS NOT NULL
)
SELECT c.id AS claim_id, c.claim_number AS number, coalesce(asked.state, '') AS asked,
    coalesce(filed.outcome, '') AS outcome, coalesce(filed.level, 0) AS level
FROM claims c
LEFT JOIN LATERAL (
    SELECT state FROM (
        SELECT state, code, created_at FROM actions a
        WHERE a.customer_id = c.customer_id AND a.subject = 'claims/' || c.id AND a.type = 'submit_appeal'
        UNION ALL SELECT state, code, created_at FROM letters WHERE claim = CAST(c.id AS text)
    ) AS both_kinds WHERE state <> 'failed' AND NOT (state = 'open' AND code = 'under_way')
    ORDER BY created_at DESC LIMIT 1
) asked ON true
LEFT JOIN LATERAL (
    SELECT p.level, CASE WHEN p.outcome = 'pending' AND c.decided_on > p.submitted_on AND c.status = 'denied'
        THEN 'upheld' ELSE p.outcome END AS outcome
    FROM appeals p WHERE p.customer_id = c.customer_id AND p.claim_id = c.id
    ORDER BY p.submitted_on DESC, p.level DESC LIMIT 1
) filed ON true
WHERE c.customer_id = CAST(:customer_id AS uuid) AND {which}
ORDER BY c.decided_on, c.claim_number, c.id LIMIT CAST(:most AS integer)
"""
OF_PAYER = text(
    APPEALABLE.format(
        which="c.payer_key = :payer_key AND c.status IN ('denied', 'partially_paid', 'paid')"
        " AND c.decided_on >= CAST(:since AS date)"
    )
)
THESE = text(APPEALABLE.format(which="c.id = ANY(CAST(:claims AS uuid[]))"))
REQUEST = text("""
INSERT INTO actions (id, customer_id, execution_id, event_id, rule_id, subject, type, params, state, payer_key)
VALUES (CAST(:id AS uuid), CAST(:customer_id AS uuid), CAST(:id AS uuid), CAST(:id AS uuid), :asked_by, :subject,
    'submit_appeal', CAST(:params AS jsonb), 'requested', :payer_key)
""")
KNOWN = text("SELECT 1 FROM actions WHERE id = CAST(:id AS uuid)")
# An appeal that nobody has noted an answer to is answered by what the payer stated of the claim since.
STATS = text("""
WITH known AS (
    SELECT a.*, c.paid_cents AS paid_now, c.status AS status_now, c.decided_on AS decided_now
    FROM appeals a LEFT JOIN claims c ON c.id = a.claim_id
    WHERE CAST(:customer_id AS uuid) IS NULL OR a.customer_id = CAST(:customer_id AS uuid)
), answered AS (
    SELECT payer_key, carc, template, amount_cents, submitted_on,
        CASE WHEN outcome <> 'pending' THEN outcome
            WHEN decided_now >= submitted_on AND paid_now - paid_before_cents >= amount_cents THEN 'overturned'
            WHEN decided_now >= submitted_on AND paid_now > paid_before_cents THEN 'partly'
            WHEN decided_now > submitted_on AND status_now = 'denied' THEN 'upheld'
            ELSE 'pending' END AS outcome,
        CASE WHEN outcome <> 'pending' THEN coalesce(recovered_cents, 0)
            WHEN decided_now >= submitted_on THEN greatest(paid_now - paid_before_cents, 0) ELSE 0 END AS recovered,
        coalesce(decided_on, decided_now) AS answered_on
    FROM known
)
SELECT payer_key, carc, template, count(*) AS submitted,
    count(*) FILTER (WHERE outcome = 'pending') AS pending,
    count(*) FILTER (WHERE outcome = 'overturned') AS overturned,
    count(*) FILTER (WHERE outcome = 'partly') AS partly,
    count(*) FILTER (WHERE outcome = 'upheld') AS upheld,
    sum(amount_cents)::bigint AS asked_cents, sum(recovered)::bigint AS recovered_cents,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY answered_on - submitted_on)
        FILTER (WHERE outcome <> 'pending') AS days
FROM answered GROUP BY 1, 2, 3 ORDER BY submitted DESC, 1, 2, 3
""")
ANSWER = text("""
UPDATE appeals SET outcome = :outcome, decided_on = CAST(:on AS date), source = :source,
    recovered_cents = coalesce(CAST(:recovered_cents AS bigint),
        CASE WHEN :outcome = 'overturned' THEN amount_cents ELSE 0 END)
WHERE coalesce(letter_id, action_id) = CAST(:id AS uuid) AND (:claim_number = '' OR claim_id IN (
    SELECT c.id FROM claims c WHERE c.customer_id = appeals.customer_id AND c.claim_number = :claim_number))
RETURNING 1
""")
BEGINNING = text("""
SELECT DISTINCT coalesce(letter_id, action_id) AS id FROM appeals
WHERE CAST(coalesce(letter_id, action_id) AS text) LIKE :start || '%' ORDER BY id LIMIT 2
""")


class PostgresAppealDesk:
    """Each call is one transaction."""

    def __init__(self, engine: Engine) -> None:
        """engine: connects as `upstream_operator`."""
        self._engine = engine

    def appealable(
        self, customer_id: UUID, payer_key: str, *, since: date, most: int
    ) -> Sequence[Appealable]:
        """Return claims that the payer denied, or paid in part or short, since a day; the oldest decision first."""
        asked = {
            "customer_id": str(customer_id),
            "payer_key": payer_key,
            "since": since.isoformat(),
            "most": most,
        }
        with database_errors(), self._engine.begin() as connection:
            return [Appealable(**row) for row in connection.execute(OF_PAYER, asked).mappings()]

    def request(self, wanted: AppealRequest, outgoing: Outgoing) -> bool:
        """Write the action and put its message into the outbox."""
        with database_errors(), self._engine.begin() as connection:
            connection.execute(ONE_AT_A_TIME, {"customer_id": str(wanted.customer_id)})
            if connection.execute(KNOWN, {"id": str(wanted.action_id)}).scalar_one_or_none():
                return False
            _still_free(connection, wanted)
            connection.execute(
                REQUEST,
                {
                    "id": str(wanted.action_id),
                    "customer_id": str(wanted.customer_id),
                    "asked_by": BY_HAND,
                    "subject": outgoing.event.subject,
                    "params": orjson.dumps(wanted.params).decode(),
                    "payer_key": wanted.payer_key,
                },
            )
            emit(connection, [outgoing])
            return True

    def stats(self, *, customer_id: UUID | None = None) -> Sequence[AppealStat]:
        """Return how appeals went, by payer, reason and letter."""
        asked = {"customer_id": None if customer_id is None else str(customer_id)}
        with database_errors(), self._engine.begin() as connection:
            return [AppealStat(**row) for row in connection.execute(STATS, asked).mappings()]

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
        """Note a payer's answer to the appeals of one letter, or of one claim in it; return how many that were."""
        asked = {
            "id": str(action_id),
            "outcome": outcome,
            "claim_number": claim_number,
            "recovered_cents": recovered_cents,
            "on": on.isoformat(),
            "source": by,
        }
        with database_errors(), self._engine.begin() as connection:
            changed = len(connection.execute(ANSWER, asked).all())
            if not changed or (changed > 1 and recovered_cents is not None):
                raise PermanentError(
                    "missing_field",
                    "say of which claim of the letter" if changed else "no such claim in the letter",
                )
            return changed

    def beginning_with(self, start: str) -> Sequence[UUID]:
        """Return at most two ids of letters' actions that begin so."""
        with database_errors(), self._engine.begin() as connection:
            return list(connection.execute(BEGINNING, {"start": start.lower()}).scalars())


def _still_free(connection: Connection, wanted: AppealRequest) -> None:
    """Return if none of the claims came under appeal since it was looked at."""
    asked = {
        "customer_id": str(wanted.customer_id),
        "claims": [str(claim) for claim in wanted.claims],
        "most": len(wanted.claims),
    }
    for row in connection.execute(THESE, asked).mappings():
        if standing(found := Appealable(**row), level=wanted.level):
            raise PermanentError("claim_lost", f"claim {found.number} is under appeal by now: run it again")
