"""The ledger's statements. Each change by a worker is one compare-and-set; the rows are the tenant's own."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import orjson
from sqlalchemy import Connection, Row, TextClause, text

from shared.ports.ledger import ActionClaim, Appeal, AppealAnswer, Ending, ReleasedAction
from shared.runtime.errors import TransientError

FOREVER = "infinity"

# A person stopped such actions. What may have been submitted is still looked up; only Submit is not pressed again.
OFF = """
EXISTS (SELECT 1 FROM rule_switches s
    WHERE s.customer_id = a.customer_id AND s.off AND s.action_type IN ('', a.type))
"""
HELD_BACK = f"""
(a.ended_at IS NULL AND (a.state IN ('requested', 'claimed') OR (a.state = 'unknown' AND a.code = 'switched_off'))
    AND {OFF})
"""

TAKEN = text("""
SELECT 1 FROM inbox WHERE event_id = CAST(:event_id AS uuid) AND consumer = 'execute_action'
""")

CLAIM = text(f"""
UPDATE actions a SET
    state = CASE WHEN a.state IN ('requested', 'claimed') THEN 'claimed' ELSE 'unknown' END,
    token = CAST(:token AS uuid),
    lease_expires_at = CAST(:until AS timestamptz),
    due_at = NULL,
    parked = false,
    payer_key = coalesce(
        (SELECT c.payer_key FROM claims c WHERE a.subject = 'claims/' || c.id),
        (SELECT h.payer_key FROM authorizations h WHERE a.subject = 'authorizations/' || h.id),
        a.payer_key),
    updated_at = CAST(:now AS timestamptz)
WHERE a.id = CAST(:id AS uuid) AND a.ended_at IS NULL AND NOT {HELD_BACK}
    AND (a.due_at IS NULL OR a.due_at <= CAST(:now AS timestamptz))
    AND (a.state = 'requested'
        OR (a.state IN ('claimed', 'committing', 'unknown')
            AND coalesce(a.lease_expires_at, '-infinity') <= CAST(:now AS timestamptz)))
RETURNING a.id, a.customer_id, a.type, a.subject, a.rule_id, a.params, a.payer_key, a.attempts, a.flow, a.state,
    a.client_reference, a.seen_before, a.committed_at, a.submissions, a.lease_expires_at, a.created_at,
    coalesce((SELECT r.document ->> 'on_error' FROM executions e JOIN automation_rules r
        ON r.customer_id = e.customer_id AND r.rule_id = e.rule_id AND r.version = e.rule_version
        WHERE e.id = a.execution_id), 'escalate') AS on_error
""")  # noqa: S608 - constants

LOOK = text(f"""
SELECT a.state, a.ended_at, a.lease_expires_at, a.due_at = 'infinity' AS disabled, {HELD_BACK} AS switched_off,
    CASE WHEN a.due_at <> 'infinity' THEN a.due_at END AS due_at
FROM actions a WHERE a.id = CAST(:id AS uuid)
""")  # noqa: S608 - constants

IS_OFF = text(f"SELECT {OFF} FROM actions a WHERE a.id = CAST(:id AS uuid)")  # noqa: S608 - constants

BREAKER = text("""
SELECT 1 FROM portal_breakers
WHERE customer_id = CAST(:customer_id AS uuid) AND portal = :portal AND state = 'open'
""")

OWNED = """
WHERE id = CAST(:id AS uuid) AND token = CAST(:token AS uuid) AND ended_at IS NULL
    AND state IN ('claimed', 'committing', 'unknown')
"""
IN_TIME = "AND lease_expires_at > CAST(:now AS timestamptz)"

RENEW = text(f"""
UPDATE actions SET lease_expires_at = CAST(:until AS timestamptz) {OWNED} {IN_TIME} RETURNING 1
""")  # noqa: S608 - constants

BEGIN_VISIT = text(f"""
WITH pinned AS (
    UPDATE actions SET attempts = attempts + 1, flow = CASE WHEN flow = '' THEN :flow ELSE flow END
    {OWNED} {IN_TIME}
    RETURNING id, customer_id, attempts, flow, state
)
INSERT INTO action_attempts (action_id, attempt, customer_id, flow, reconciling, began_at)
SELECT id, attempts, customer_id, flow, state = 'unknown', CAST(:now AS timestamptz) FROM pinned
RETURNING attempt
""")  # noqa: S608 - constants

END_VISIT = text("""
UPDATE action_attempts SET outcome = :outcome, code = :code, reference = :reference, steps = CAST(:steps AS jsonb),
    files = CAST(:files AS jsonb), evidence = CAST(:evidence AS jsonb), ended_at = CAST(:at AS timestamptz)
WHERE action_id = CAST(:id AS uuid) AND attempt = CAST(:attempt AS integer)
""")

# Who submits for a customer, or asks for a letter, does so one after the other: each sees what the last one left.
ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('appeals:' || :customer_id, 0))")

UNDER_WAY = text("""
WITH others AS (
    SELECT o.* FROM actions o WHERE o.customer_id = CAST(:customer_id AS uuid) AND o.type = :type
        AND o.subject = ANY(CAST(:subjects AS text[]))
    UNION ALL
    SELECT o.* FROM actions o WHERE o.customer_id = CAST(:customer_id AS uuid) AND o.type = :type
        AND o.params -> 'claims' IS NOT NULL AND EXISTS (
            SELECT 1 FROM jsonb_array_elements_text(o.params -> 'claims') AS claim
            WHERE 'claims/' || claim = ANY(CAST(:subjects AS text[])))
)
SELECT 1 WHERE EXISTS (
    SELECT 1 FROM others o WHERE o.id <> CAST(:id AS uuid) AND (
        o.state IN ('committing', 'unknown') OR (o.state = 'open' AND o.code <> 'under_way')
        OR (o.state = 'settled' AND CASE WHEN o.type = 'submit_appeal'
            THEN NOT EXISTS (SELECT 1 FROM appeals p
                WHERE p.customer_id = o.customer_id AND coalesce(p.letter_id, p.action_id) = o.id)
            ELSE o.renews_until IS NOT DISTINCT FROM (SELECT h.expires_on FROM authorizations h
                WHERE h.id = CAST(:authorization AS uuid)) END))
) OR EXISTS (
    SELECT 1 FROM appeals p LEFT JOIN claims c ON c.id = p.claim_id
    WHERE p.customer_id = CAST(:customer_id AS uuid) AND p.claim_id = ANY(CAST(:claims AS uuid[]))
        AND coalesce(p.letter_id, p.action_id) <> CAST(:id AS uuid)
        AND (p.level >= CAST(:level AS integer)
            OR (p.outcome = 'pending' AND NOT coalesce(c.status = 'denied' AND c.decided_on > p.submitted_on, false)))
)
""")

MARK_COMMITTING = text(f"""
UPDATE actions a SET state = 'committing', client_reference = :reference,
    renews_until = (SELECT h.expires_on FROM authorizations h WHERE h.id = CAST(:authorization AS uuid)),
    seen_before = CAST(:seen AS text[]),
    code = '', committed_at = CAST(:now AS timestamptz), submissions = submissions + 1,
    lease_expires_at = CAST(:until AS timestamptz), updated_at = CAST(:now AS timestamptz)
{OWNED} AND state IN ('claimed', 'unknown') {IN_TIME} AND NOT {OFF} RETURNING 1
""")  # noqa: S608 - constants

HELD_BY_OTHERS = text("""
SELECT DISTINCT reference FROM actions
WHERE customer_id = CAST(:customer_id AS uuid) AND id <> CAST(:id AS uuid) AND reference <> ''
    AND reference = ANY(CAST(:references AS text[]))
    AND (split_part(flow, '/', 1) = :portal OR (flow = '' AND payer_key = :payer_key))
""")

POSTPONE = text(f"""
UPDATE actions SET state = CASE WHEN state = 'claimed' THEN 'requested' ELSE 'unknown' END,
    token = NULL, lease_expires_at = NULL, due_at = CAST(:until AS timestamptz), code = :code
{OWNED} RETURNING 1
""")  # noqa: S608 - constants

# Whatever a worker believes: with Submit perhaps pressed, nobody but the payer says that nothing was taken.
END = text(f"""
UPDATE actions SET state = CASE
        WHEN state = 'committing' AND (:state = 'open' OR (:state = 'failed' AND :code <> 'payer_refused'))
        THEN 'unknown' ELSE :state END,
    reference = :reference, code = :code, ended_at = CAST(:at AS timestamptz),
    token = NULL, lease_expires_at = NULL, due_at = NULL, updated_at = CAST(:at AS timestamptz)
{OWNED} RETURNING 1
""")  # noqa: S608 - constants

WAIT_FOR_A_PERSON = text(f"""
UPDATE actions SET state = CASE WHEN state = 'claimed' THEN 'requested' ELSE 'unknown' END, code = :code,
    token = NULL, lease_expires_at = NULL, due_at = 'infinity', parked = true, updated_at = CAST(:at AS timestamptz)
{OWNED} RETURNING 1
""")  # noqa: S608 - constants

OPEN_BREAKER = text("""
INSERT INTO portal_breakers (customer_id, portal, state, code, action_id, opened_at)
VALUES (CAST(:customer_id AS uuid), :portal, 'open', :code, CAST(:id AS uuid), CAST(:at AS timestamptz))
ON CONFLICT (customer_id, portal) DO UPDATE SET
    state = 'open', code = EXCLUDED.code, action_id = EXCLUDED.action_id, opened_at = EXCLUDED.opened_at,
    closed_by = '', closed_why = '', closed_at = NULL
""")

PARK = text("""
UPDATE actions SET parked = true
WHERE id = CAST(:id AS uuid) AND ended_at IS NULL AND state IN ('requested', 'claimed', 'committing', 'unknown')
""")

# Parked while its owner still worked: it is due once the lease is over.
DUE = f"""
UPDATE actions SET parked = false, releases = releases + 1, updated_at = CAST(:now AS timestamptz)
WHERE id IN (
    SELECT id FROM actions a
    WHERE customer_id = CAST(:customer_id AS uuid) AND {{waiting}} AND NOT {HELD_BACK}
        AND coalesce(due_at, '-infinity') <= CAST(:now AS timestamptz)
        AND coalesce(lease_expires_at, '-infinity') <= CAST(:now AS timestamptz)
    ORDER BY due_at NULLS FIRST, id LIMIT CAST(:most AS integer) FOR UPDATE SKIP LOCKED)
RETURNING id, subject, type, releases,
    (SELECT o.attributes ->> 'traceparent' FROM outbox o WHERE o.id = actions.id) AS trace_parent,
    (SELECT o.attributes ->> 'ce-rulechain' FROM outbox o WHERE o.id = actions.id) AS chain
"""  # noqa: S608 - constants
RELEASE = text(DUE.format(waiting="parked AND ended_at IS NULL"))
RELEASE_STALE = text(
    DUE.format(
        waiting="ended_at IS NULL AND state IN ('requested', 'claimed', 'committing', 'unknown')"
        " AND (parked OR updated_at < CAST(:stale_before AS timestamptz))"
    )
)

RECORD_APPEAL = text("""
INSERT INTO appeals (action_id, customer_id, claim_id, payer_key, carc, template, level, amount_cents,
    paid_before_cents, submitted_on, reference, letter_id)
VALUES (CAST(:id AS uuid), CAST(:customer_id AS uuid), CAST(:claim_id AS uuid), :payer_key, :carc, :template,
    CAST(:level AS integer), CAST(:amount_cents AS bigint), CAST(:paid_before_cents AS bigint),
    CAST(:submitted_on AS date), :reference, CAST(:action_id AS uuid))
ON CONFLICT (action_id) DO NOTHING
""")

ANSWER_APPEALS = text("""
UPDATE appeals SET
    outcome = CASE WHEN CAST(:upheld AS boolean) THEN 'upheld'
        WHEN CAST(:paid_cents AS bigint) IS NULL OR CAST(:paid_cents AS bigint) - paid_before_cents >= amount_cents
            THEN 'overturned'
        WHEN CAST(:paid_cents AS bigint) > paid_before_cents THEN 'partly'
        ELSE outcome END,
    recovered_cents = CASE WHEN CAST(:upheld AS boolean) THEN 0
        ELSE greatest(coalesce(CAST(:paid_cents AS bigint) - paid_before_cents, amount_cents), 0) END,
    decided_on = CAST(:decided_on AS date), source = :source
WHERE customer_id = CAST(:customer_id AS uuid) AND claim_id = CAST(:claim_id AS uuid) AND outcome = 'pending'
    AND submitted_on <= CAST(:decided_on AS date)
    AND (CAST(:upheld AS boolean) OR CAST(:paid_cents AS bigint) IS NULL
        OR CAST(:paid_cents AS bigint) > paid_before_cents)
""")


def claimed(row: Row[tuple[object, ...]], token: UUID) -> ActionClaim:
    """Return the claim that a row of CLAIM grants."""
    return ActionClaim(
        action_id=row.id,
        customer_id=row.customer_id,
        token=token,
        type=row.type,
        subject=row.subject,
        rule_id=row.rule_id,
        params=row.params,
        payer_key=row.payer_key,
        lease_expires_at=row.lease_expires_at,
        requested_at=row.created_at,
        attempts=row.attempts,
        flow=row.flow,
        reconciling=row.state == "unknown",
        client_reference=row.client_reference,
        seen_before=frozenset(row.seen_before),
        committed_at=row.committed_at,
        submissions=row.submissions,
        on_error=row.on_error,
    )


def key(claim: ActionClaim) -> dict[str, object]:
    """Return what every compare-and-set names."""
    return {"id": str(claim.action_id), "token": str(claim.token)}


def about(claim: ActionClaim) -> dict[str, object]:
    """Return what UNDER_WAY and MARK_COMMITTING ask of an action's subjects."""
    kind, _, identity = claim.subject.partition("/")
    return {
        "customer_id": str(claim.customer_id),
        "type": claim.type,
        "subjects": list(claim.subjects),
        "claims": [one.removeprefix("claims/") for one in claim.subjects if one.startswith("claims/")],
        "authorization": identity if kind == "authorizations" else None,
        "level": claim.level,
    }


def stamp(at: datetime, plus_s: float = 0.0) -> str:
    """Return a time as PostgreSQL reads it."""
    return (at.astimezone(UTC) + timedelta(seconds=plus_s)).isoformat()


def swap(connection: Connection, statement: TextClause, claim: ActionClaim, **values: object) -> object:
    """Run a compare-and-set and return what it returns.

    Raises:
        TransientError: the claim was taken over, or its lease has ended (`claim_lost`).
    """
    found = connection.execute(statement, {**key(claim), **values}).scalar_one_or_none()
    if found is None:
        raise TransientError("claim_lost", f"action {claim.action_id}")
    return found


def end(connection: Connection, claim: ActionClaim, ending: Ending) -> None:
    """Write an action's result.

    Raises:
        TransientError: `claim_lost`.
    """
    at = stamp(ending.at)
    if not ending.disables:
        swap(connection, END, claim, state=ending.result, reference=ending.reference, code=ending.code, at=at)
        return
    swap(connection, WAIT_FOR_A_PERSON, claim, code=ending.code, at=at)
    connection.execute(
        OPEN_BREAKER,
        {
            "customer_id": str(claim.customer_id),
            "portal": ending.disables,
            "code": ending.code,
            "id": str(claim.action_id),
            "at": at,
        },
    )


def release(
    connection: Connection,
    customer_id: UUID,
    *,
    now: datetime,
    most: int,
    stale_before: datetime | None = None,
) -> Sequence[ReleasedAction]:
    """Take parked actions that are due out of the parking place; a message for each must follow in this transaction.

    stale_before: those, too, that nobody has touched since then, and that no message can be under way for.
    """
    asked = {"customer_id": str(customer_id), "now": stamp(now), "most": most}
    if stale_before is None:
        rows = connection.execute(RELEASE, asked)
    else:
        rows = connection.execute(RELEASE_STALE, {**asked, "stale_before": stamp(stale_before)})
    return [released(row) for row in rows]


def released(row: Row[tuple[object, ...]]) -> ReleasedAction:
    """Return what a row of RELEASE or of the desk's WAKE says."""
    return ReleasedAction(
        row.id,
        row.subject,
        row.type,
        row.releases,
        trace_parent=row.trace_parent or "",
        chain=row.chain or "",
    )


def record_appeal(connection: Connection, customer_id: UUID, appeal: Appeal) -> None:
    """Insert an appeal, unless it is there."""
    connection.execute(
        RECORD_APPEAL, {**_plain(asdict(appeal)), "customer_id": str(customer_id), "id": str(appeal.id)}
    )


def answer_appeals(connection: Connection, customer_id: UUID, answer: AppealAnswer) -> None:
    """Give the claim's pending appeals their outcome."""
    connection.execute(ANSWER_APPEALS, {"customer_id": str(customer_id), **_plain(asdict(answer))})


def _plain(values: dict[str, object]) -> dict[str, object]:
    return {name: str(value) if isinstance(value, UUID | date) else value for name, value in values.items()}


def as_json(value: object) -> str:
    """Return a value as PostgreSQL's jsonb reads it."""
    return orjson.dumps(value).decode()
