"""What rules ask of history, and what they decided: one statement each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from shared.domain.commands import Action, Alert, Execution, Hold, Risk
from shared.ports.record import ClaimCourse, DeadLetter

LONGEST_STREAK = 50

RULES = text("""
SELECT document FROM automation_rules WHERE customer_id = CAST(:customer_id AS uuid) AND active
ORDER BY rule_id
""")

DENIED_UP_TO = text("""
WITH this AS (
    SELECT decided_on, decided_at, decided_position, id FROM claims
    WHERE id = CAST(:claim_id AS uuid) AND decided_on IS NOT NULL
)
SELECT c.status FROM this, LATERAL (
    SELECT status FROM claims
    WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = :payer_key AND decided_on IS NOT NULL
        AND (decided_on, decided_at, decided_position, id)
            <= (this.decided_on, this.decided_at, this.decided_position, this.id)
    ORDER BY decided_on DESC, decided_at DESC, decided_position DESC, id DESC LIMIT :longest
) c
""")

NEWEST = text("""
SELECT status FROM claims
WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = :payer_key AND decided_on IS NOT NULL
ORDER BY decided_on DESC, decided_at DESC, decided_position DESC, id DESC LIMIT :longest
""")

COURSE = text("""
SELECT payer_key, first_status, submitted_on, first_paid_on FROM claims WHERE id = CAST(:claim_id AS uuid)
""")

CONTRACTED = text("""
SELECT DISTINCT ON (procedure) procedure, contracted_cents FROM fee_schedules
WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = :payer_key
    AND procedure = ANY(CAST(:procedures AS text[])) AND effective_from <= CAST(:on AS date)
ORDER BY procedure, effective_from DESC
""")

# The baseline, drawn to the payer's where it is thin; until the first night, whatever the sums say.
DENIAL_RATE = text("""
SELECT coalesce((
    SELECT (coalesce(b.denied, 0) + p.alpha) / (coalesce(b.decided, 0) + p.alpha + p.beta)
    FROM payer_baselines p LEFT JOIN risk_baselines b
        ON b.customer_id = p.customer_id AND b.payer_key = p.payer_key AND b.procedure = :procedure
        AND NOT b.superseded
    WHERE p.customer_id = CAST(:customer_id AS uuid) AND p.payer_key = :payer_key AND NOT p.superseded
), (
    SELECT CAST(sum(denied) AS double precision) / nullif(sum(decided), 0) FROM claim_daily_stats
    WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = :payer_key AND procedure = :procedure
        AND day >= CAST(:since AS date)
))
""")

AUDIT = text("""
WITH done AS (
    INSERT INTO executions (id, customer_id, event_id, event_type, subject, rule_id, rule_version, decision, result,
        explanation, execution_time_ms, trace_id)
    SELECT id, CAST(:customer_id AS uuid), event_id, event_type, subject, rule_id, rule_version, decision, result,
        explanation, execution_time_ms, trace_id
    FROM jsonb_to_recordset(CAST(:executions AS jsonb)) AS r(
        id uuid, event_id uuid, event_type text, subject text, rule_id text, rule_version integer, decision text,
        result text, explanation jsonb, execution_time_ms double precision, trace_id text)
    ON CONFLICT (id) DO NOTHING
), asked AS (
    INSERT INTO actions (id, customer_id, execution_id, event_id, rule_id, subject, type, params, state)
    SELECT id, CAST(:customer_id AS uuid), execution_id, event_id, rule_id, subject, type, params, state
    FROM jsonb_to_recordset(CAST(:actions AS jsonb)) AS r(
        id uuid, execution_id uuid, event_id uuid, rule_id text, subject text, type text, params jsonb, state text)
    ON CONFLICT (id) DO NOTHING
), told AS (
    INSERT INTO alerts (id, customer_id, event_id, rule_id, severity, title, subject)
    SELECT id, CAST(:customer_id AS uuid), event_id, rule_id, severity, title, subject
    FROM jsonb_to_recordset(CAST(:alerts AS jsonb)) AS r(
        id uuid, event_id uuid, rule_id text, severity text, title text, subject text)
    ON CONFLICT (id) DO NOTHING
)
UPDATE claims c SET
    hold_reason = coalesce(n.reason, c.hold_reason),
    risk_score = coalesce(n.score, c.risk_score),
    risk_factors = coalesce(n.factors, c.risk_factors)
FROM jsonb_to_recordset(CAST(:claims AS jsonb)) AS n(
    claim_id uuid, reason text, score smallint, factors jsonb, submitted_on date, payer_rank smallint)
WHERE c.id = n.claim_id AND n.payer_rank <= c.payer_rank
    AND (n.submitted_on IS NULL OR c.submitted_on IS NULL OR n.submitted_on >= c.submitted_on)
""")

# A failure belongs to the newest replay (or to none, before the first), or its sender sent the event again
# (a later ce-time); any other is an echo of one that was dealt with, and changes nothing.
SENT_AGAIN = (
    "(EXCLUDED.last_replay IS NULL AND EXCLUDED.attributes ->> 'ce-time' > d.attributes ->> 'ce-time')"
)
KEEP_DEAD_LETTER = text(f"""
INSERT INTO dead_letters AS d (id, customer_id, event_id, connection_id, consumer, subscription, event_type, code,
    reason, attempts, trace_id, attributes, body, last_replay)
VALUES (CAST(:id AS uuid), CAST(:customer_id AS uuid), CAST(:event_id AS uuid), CAST(:connection_id AS uuid),
    :consumer, :subscription, :event_type, :code, :reason, CAST(:attempts AS integer), :trace_id,
    CAST(:attributes AS jsonb), :body, CAST(:replay_id AS uuid))
ON CONFLICT (id) DO UPDATE SET
    attempts = CASE WHEN d.state = 'open' AND NOT {SENT_AGAIN} THEN greatest(d.attempts, EXCLUDED.attempts)
        ELSE EXCLUDED.attempts END,
    state = CASE WHEN d.state = 'discarded' AND NOT {SENT_AGAIN} THEN 'discarded' ELSE 'open' END,
    code = EXCLUDED.code, reason = EXCLUDED.reason, subscription = EXCLUDED.subscription, last_at = now(),
    trace_id = CASE WHEN {SENT_AGAIN} THEN EXCLUDED.trace_id ELSE d.trace_id END,
    attributes = CASE WHEN {SENT_AGAIN} THEN EXCLUDED.attributes ELSE d.attributes END,
    body = CASE WHEN {SENT_AGAIN} THEN EXCLUDED.body ELSE d.body END,
    purged_at = CASE WHEN {SENT_AGAIN} THEN NULL ELSE d.purged_at END,
    last_replay = EXCLUDED.last_replay
WHERE d.last_replay IS NOT DISTINCT FROM EXCLUDED.last_replay OR {SENT_AGAIN}
""")  # noqa: S608 - the condition is a constant

REPLAY_FAILED = text("""
UPDATE dead_letter_replays SET outcome = 'failed', code = :code, reason = :reason, ended_at = clock_timestamp()
WHERE id = CAST(:replay_id AS uuid) AND outcome IN ('claimed', 'published', 'interrupted')
""")


def rules(connection: Connection, customer_id: UUID) -> list[Mapping[str, object]]:
    """Return the customer's active rule documents, by id."""
    return list(connection.execute(RULES, {"customer_id": str(customer_id)}).scalars())


def denials_in_a_row(
    connection: Connection, customer_id: UUID, *, payer_key: str, claim_id: UUID
) -> int | None:
    """Return the denials without another decision between, up to and with this claim; None if it is undecided."""
    statuses = connection.execute(
        DENIED_UP_TO,
        {
            "customer_id": str(customer_id),
            "payer_key": payer_key,
            "claim_id": str(claim_id),
            "longest": LONGEST_STREAK,
        },
    ).scalars()
    found = list(statuses)
    return _leading_denials(found) if found else None


def claim_course(connection: Connection, claim_id: UUID) -> ClaimCourse:
    """Return how a claim has gone."""
    row = connection.execute(COURSE, {"claim_id": str(claim_id)}).mappings().one_or_none()
    return ClaimCourse() if row is None else ClaimCourse(**row)


def open_denial_streak(connection: Connection, customer_id: UUID, *, payer_key: str) -> int:
    """Return how many of the payer's newest decisions are denials without another between."""
    statuses = connection.execute(
        NEWEST, {"customer_id": str(customer_id), "payer_key": payer_key, "longest": LONGEST_STREAK}
    ).scalars()
    return _leading_denials(statuses)


def _leading_denials(statuses: Iterable[str]) -> int:
    count = 0
    for status in statuses:
        if status != "denied":
            break
        count += 1
    return count


def contracted_cents(
    connection: Connection, customer_id: UUID, *, payer_key: str, procedures: Sequence[str], on: date
) -> dict[str, int]:
    """Return the contracted amount by procedure as of a date."""
    rows = connection.execute(
        CONTRACTED,
        {
            "customer_id": str(customer_id),
            "payer_key": payer_key,
            "procedures": list(procedures),
            "on": on.isoformat(),
        },
    )
    return {row.procedure: row.contracted_cents for row in rows}


def denial_rate(
    connection: Connection, customer_id: UUID, *, payer_key: str, procedure: str, since: date
) -> float | None:
    """Return how often the payer denies the procedure; None where nothing is known of it."""
    found: float | None = connection.execute(
        DENIAL_RATE,
        {
            "customer_id": str(customer_id),
            "payer_key": payer_key,
            "procedure": procedure,
            "since": since.isoformat(),
        },
    ).scalar_one()
    return found


@dataclass(slots=True)
class Decided:
    """The audit trail of some events and what follows, by claim where it changes one."""

    executions: list[Execution] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    claims: dict[UUID, dict[str, object]] = field(default_factory=dict)

    def hold(self, hold: Hold) -> None:
        """Add what holds a claim."""
        change = {"reason": hold.reason, "submitted_on": hold.submitted_on, "payer_rank": hold.payer_rank}
        self.claims.setdefault(hold.claim_id, {}).update(change)

    def score(self, risk: Risk) -> None:
        """Add a claim's score."""
        change = {
            "score": risk.score,
            "factors": risk.factors,
            "submitted_on": risk.submitted_on,
            "payer_rank": risk.payer_rank,
        }
        self.claims.setdefault(risk.claim_id, {}).update(change)

    def add(self, other: "Decided") -> bool:
        """Add another event's. Returns False, having added nothing, if both change one claim: that takes two turns."""
        if not self.claims.keys().isdisjoint(other.claims):
            return False
        self.executions += other.executions
        self.actions += other.actions
        self.alerts += other.alerts
        self.claims |= other.claims
        return True


def decide(connection: Connection, customer_id: UUID, decided: Decided) -> None:
    """Write audit trails and everything that follows from them in one statement, claims in the order of their ids."""
    connection.execute(
        AUDIT,
        {
            "customer_id": str(customer_id),
            "executions": _json(asdict(execution) for execution in decided.executions),
            "actions": _json(asdict(action) for action in decided.actions),
            "alerts": _json(asdict(alert) for alert in decided.alerts),
            "claims": _json({"claim_id": key, **decided.claims[key]} for key in sorted(decided.claims)),
        },
    )


def keep_dead_letter(connection: Connection, letter: DeadLetter) -> None:
    """Insert the letter, or bring the one that is there up to date."""
    connection.execute(
        KEEP_DEAD_LETTER,
        {
            "id": str(letter.id),
            "customer_id": str(letter.customer_id),
            "event_id": None if letter.event_id is None else str(letter.event_id),
            "connection_id": None if letter.connection_id is None else str(letter.connection_id),
            "consumer": letter.consumer,
            "subscription": letter.subscription,
            "event_type": letter.event_type,
            "code": letter.code,
            "reason": letter.reason,
            "attempts": letter.attempts,
            "trace_id": letter.trace_id,
            "attributes": orjson.dumps(dict(letter.attributes)).decode(),
            "body": letter.body,
            "replay_id": None if letter.replay_id is None else str(letter.replay_id),
        },
    )
    if letter.replay_id is not None:
        failed = {"replay_id": str(letter.replay_id), "code": letter.code, "reason": letter.reason}
        connection.execute(REPLAY_FAILED, failed)


def _json(rows: Iterable[object]) -> str:
    return orjson.dumps(list(rows)).decode()
