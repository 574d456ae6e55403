"""What a run leaves behind, row by row, and what must hold of it whatever the order in which things arrived.

Two facts of the starter rules look back at what was known when they were asked: a payer's denials in a row, and a
claim's risk. What follows from them depends on the order of arrival, rightly, and so their rules are held to laws and
not compared. Everything else is compared to the last row. Times, traces, attempts, which of two deliveries of one
advice came first, and whether an answer came before the claim that it names by a server's id (docs/adr/0032), are left
out.
"""

# ruff: noqa: S608 - statements put together from the constants beside them

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, text

from shared.adapters.postgres.engine import database_errors

ORDER_BOUND: Final = ("three-denials-in-a-row", "risky-claim-hold")
_BOUND: Final = "('three-denials-in-a-row', 'risky-claim-hold')"
_FREE: Final = f"(rule_id IS NOT NULL AND rule_id NOT IN {_BOUND})"
_UNTIMED: Final = "'created_at' - 'updated_at'"
# Events of claims that a server's id names, too: told under it, or under the claim's number, by what came first.
_NAMED: Final = """(
    SELECT o.id FROM outbox o JOIN claim_names n ON n.customer_id = o.customer_id
        AND convert_from(o.data, 'UTF8')::jsonb #>> '{claim,number}' IN (n.name, n.claim_number)
    WHERE o.consumer = 'process_webhook' AND o.event_type <> 'claim.submitted'
)"""
_SUBJECT: Final = f"CASE WHEN event_id IN {_NAMED} THEN 'subject' ELSE '' END"
_WORK: Final = "'ended_at' - 'releases'"  # when an action was done, and how many messages that took

# Each yields one JSON object a row; together they are the end state.
STATE: Final[Mapping[str, str]] = {
    "claims": f"""
        SELECT to_jsonb(c) - {_UNTIMED} - 'decided_at' - 'risk_score' - 'risk_factors' - 'hold_reason' FROM claims c
    """,
    "risk known by its claim alone": """
        SELECT jsonb_build_object('id', c.id, 'name', f -> 'name', 'value', f -> 'value') FROM claims c,
            LATERAL jsonb_array_elements(c.risk_factors) f
        WHERE f ->> 'name' NOT IN ('denial_rate', 'denial_streak')
    """,
    "payments": f"SELECT to_jsonb(p) - {_UNTIMED} FROM claim_payments p",
    "adjustments": "SELECT to_jsonb(a) FROM adjustments a",
    "payment advices": f"SELECT to_jsonb(r) - {_UNTIMED} - 'event_id' FROM remittances r",
    "authorizations": f"SELECT to_jsonb(a) - {_UNTIMED} FROM authorizations a",
    "daily sums": """
        SELECT to_jsonb(s) - 'changed_tx' FROM claim_daily_stats s
        WHERE decided <> 0 OR denied <> 0 OR charge_cents <> 0 OR paid_cents <> 0
    """,
    "daily reasons": "SELECT to_jsonb(s) FROM claim_daily_reasons s WHERE denied <> 0 OR charge_cents <> 0",
    "days to decision": "SELECT to_jsonb(s) FROM claim_lags s WHERE claims <> 0",
    "daily lines": """
        SELECT to_jsonb(s) FROM payment_service_lines s WHERE lines <> 0 OR units <> 0 OR received_cents <> 0
    """,
    "deliveries processed": """
        SELECT jsonb_build_object('event', event_id, 'customer', customer_id) FROM inbox
        WHERE consumer = 'process_webhook'
    """,
    "domain events": """
        SELECT jsonb_build_object('id', o.id, 'customer', o.customer_id, 'type', o.event_type,
            'data', encode(sha256(convert_to((CASE WHEN n.claim_number IS NULL THEN told
                ELSE jsonb_set(told #- '{claim,id}', '{claim,number}', to_jsonb(n.claim_number)) END
            )::text, 'UTF8')), 'hex'))
        FROM outbox o CROSS JOIN LATERAL (SELECT convert_from(o.data, 'UTF8')::jsonb - 'findings' AS told) facts
        LEFT JOIN LATERAL (
            SELECT claim_number FROM claim_names
            WHERE customer_id = o.customer_id AND told #>> '{claim,number}' IN (name, claim_number) LIMIT 1
        ) n ON o.event_type <> 'claim.submitted'
        WHERE o.consumer = 'process_webhook'
    """,
    "events decided": """
        SELECT jsonb_build_object('id', event_id, 'customer', customer_id) FROM inbox WHERE consumer = 'apply_rules'
    """,
    "executions": f"""
        SELECT to_jsonb(e) - {_UNTIMED} - 'execution_time_ms' - 'trace_id' - {_SUBJECT} FROM executions e WHERE {_FREE}
    """,
    "actions": f"SELECT to_jsonb(a) - {_UNTIMED} - {_WORK} - {_SUBJECT} FROM actions a WHERE {_FREE}",
    "alerts": f"SELECT to_jsonb(a) - {_UNTIMED} - {_SUBJECT} FROM alerts a WHERE {_FREE}",
    "messages that rules caused": f"""
        SELECT jsonb_build_object('id', o.id, 'topic', o.topic,
            'data', CASE WHEN a.event_id NOT IN {_NAMED} THEN encode(sha256(o.data), 'hex') END)
        FROM outbox o JOIN actions a ON a.id = o.id WHERE o.consumer = 'apply_rules' AND {_FREE}
    """,
    "notifications": f"""
        SELECT jsonb_build_object('id', n.id, 'channel', n.channel_id, 'outcome', n.outcome, 'code', n.code)
        FROM notifications n JOIN actions a ON a.id = n.id WHERE {_FREE}
    """,
    "dead letters": """
        SELECT jsonb_build_object('id', id, 'customer', customer_id, 'event', event_id, 'consumer', consumer,
            'code', code, 'reason', reason, 'state', state, 'body', encode(sha256(body), 'hex')) FROM dead_letters
    """,
}

# What follows from the rules that look back. The same only where the order was the same: one delivery after another.
IN_ORDER: Final[Mapping[str, str]] = {
    "claims' risk and holds": """
        SELECT jsonb_build_object('id', id, 'score', risk_score, 'factors', risk_factors, 'hold', hold_reason)
        FROM claims
    """,
    "executions of rules that look back": """
        SELECT to_jsonb(e) - 'created_at' - 'execution_time_ms' - 'trace_id' FROM executions e
    """,
    "actions of rules that look back": f"SELECT to_jsonb(a) - {_UNTIMED} - {_WORK} FROM actions a",
    "alerts of rules that look back": f"SELECT to_jsonb(a) - {_UNTIMED} FROM alerts a",
    "notifications of rules that look back": """
        SELECT jsonb_build_object('id', id, 'channel', channel_id, 'outcome', outcome, 'code', code) FROM notifications
    """,
}

# Each counts what must not be, in any run.
LAWS: Final[Mapping[str, str]] = {
    "messages committed and never published": "SELECT count(*) FROM outbox WHERE published_at IS NULL",
    "domain events that no rule was asked about": """
        SELECT count(*) FROM outbox o WHERE o.topic = 'domain-events' AND NOT EXISTS (
            SELECT FROM inbox i WHERE i.event_id = o.id AND i.consumer = 'apply_rules')
    """,
    "events decided without a row in the audit trail": """
        SELECT count(*) FROM inbox i WHERE i.consumer = 'apply_rules' AND NOT EXISTS (
            SELECT FROM executions e WHERE e.event_id = i.event_id)
    """,
    "events of which the audit trail says twice or in contradiction what was decided": """
        SELECT count(*) FROM (
            SELECT event_id FROM executions GROUP BY event_id
            HAVING (count(*) FILTER (WHERE rule_id IS NULL) > 0 AND count(*) > 1)
                OR count(*) <> count(DISTINCT coalesce(rule_id, ''))
        ) AS contradicted
    """,
    "notifications asked for and not delivered": """
        SELECT count(*) FROM outbox o JOIN customers c ON c.id = o.customer_id,
            LATERAL jsonb_array_elements(c.channels) AS channel
        WHERE o.topic = 'notifications' AND NOT EXISTS (
            SELECT FROM notifications n
            WHERE n.id = o.id AND n.channel_id = channel ->> 'id' AND n.outcome = 'delivered')
    """,
    "notifications that nobody asked for": """
        SELECT count(*) FROM notifications n WHERE NOT EXISTS (
            SELECT FROM outbox o WHERE o.id = n.id AND o.topic = 'notifications')
    """,
    "rules that look back and fired without all their actions, or with more": f"""
        SELECT count(*) FROM (
            SELECT e.id FROM executions e LEFT JOIN actions a ON a.execution_id = e.id
            WHERE e.rule_id IN {_BOUND} AND e.decision = 'fired'
            GROUP BY e.id HAVING count(a.id) <> 2
        ) AS uneven
    """,
    "escalations without their alert, or alerts without an escalation": """
        SELECT (SELECT count(*) FROM actions a WHERE a.type = 'escalate'
                AND NOT EXISTS (SELECT FROM alerts t WHERE t.id = a.id))
            + (SELECT count(*) FROM alerts t WHERE t.rule_id = 'three-denials-in-a-row'
                AND NOT EXISTS (SELECT FROM actions a WHERE a.id = t.id))
    """,
    "streaks that are none, or longer than there were denials": """
        SELECT count(*) FROM executions e JOIN claims c ON 'claims/' || c.id = e.subject,
            LATERAL jsonb_array_elements(e.explanation) AS seen
        WHERE e.rule_id = 'three-denials-in-a-row' AND seen ->> 'fact' = 'payer.denials_in_a_row'
            AND CAST(seen ->> 'actual' AS integer) NOT BETWEEN 3 AND (
                SELECT count(*) FROM claim_payments p WHERE p.customer_id = c.customer_id AND p.status = 'denied')
    """,
    "claims held that no rule held, or the reverse": """
        SELECT count(*) FROM claims c
        FULL JOIN (SELECT DISTINCT subject FROM executions WHERE rule_id = 'risky-claim-hold' AND decision = 'fired') e
            ON e.subject = 'claims/' || c.id
        WHERE (c.hold_reason IS NULL) <> (e.subject IS NULL)
    """,
    "daily sums that are not the sums of their claims": """
        SELECT count(*) FROM (
            SELECT customer_id, stat_payer_key, stat_procedure, stat_day, count(*) AS decided,
                sum(stat_denied) AS denied, sum(stat_charge_cents) AS charged, sum(stat_paid_cents) AS paid
            FROM claims WHERE stat_day IS NOT NULL GROUP BY 1, 2, 3, 4
        ) c FULL JOIN (
            SELECT * FROM claim_daily_stats
            WHERE decided <> 0 OR denied <> 0 OR charge_cents <> 0 OR paid_cents <> 0
        ) s ON (s.customer_id, s.payer_key, s.procedure, s.day)
            = (c.customer_id, c.stat_payer_key, c.stat_procedure, c.stat_day)
        WHERE (s.decided, s.denied, s.charge_cents, s.paid_cents)
            IS DISTINCT FROM (c.decided, c.denied, c.charged, c.paid)
    """,
    "daily reasons that are not the sums of their claims": """
        SELECT count(*) FROM (
            SELECT customer_id, stat_payer_key, stat_carc, stat_procedure, stat_day, count(*) AS denied,
                sum(stat_charge_cents) AS charged
            FROM claims WHERE stat_carc IS NOT NULL GROUP BY 1, 2, 3, 4, 5
        ) c FULL JOIN (SELECT * FROM claim_daily_reasons WHERE denied <> 0 OR charge_cents <> 0) s
            ON (s.customer_id, s.payer_key, s.carc, s.procedure, s.day)
            = (c.customer_id, c.stat_payer_key, c.stat_carc, c.stat_procedure, c.stat_day)
        WHERE (s.denied, s.charge_cents) IS DISTINCT FROM (c.denied, c.charged)
    """,
    "days to decision that are not those of their claims": """
        SELECT count(*) FROM (
            SELECT customer_id, lag_payer_key, lag_submitted_on, lag_days, count(*) AS claims
            FROM claims WHERE lag_days IS NOT NULL GROUP BY 1, 2, 3, 4
        ) c FULL JOIN (SELECT * FROM claim_lags WHERE claims <> 0) s
            ON (s.customer_id, s.payer_key, s.submitted_on, s.lag_days)
            = (c.customer_id, c.lag_payer_key, c.lag_submitted_on, c.lag_days)
        WHERE s.claims IS DISTINCT FROM c.claims
    """,
    "claims whose dollars are not the sum of their payments": """
        SELECT count(*) FROM claims c WHERE c.paid_cents <> (
            SELECT coalesce(sum(paid_cents), 0) FROM claim_payments p
            WHERE p.claim_id = c.id AND p.status <> 'not_decided')
    """,
}

FIGURES: Final[Mapping[str, str]] = {
    "claims": "SELECT count(*) FROM claims",
    "payments": "SELECT count(*) FROM claim_payments",
    "cents paid": "SELECT coalesce(sum(paid_cents), 0) FROM claims",
    "cents charged": "SELECT coalesce(sum(charge_cents), 0) FROM claims",
    "payment advices": "SELECT count(*) FROM remittances",
    "authorizations": "SELECT count(*) FROM authorizations",
    "domain events": "SELECT count(*) FROM outbox WHERE topic = 'domain-events'",
    "executions": f"SELECT count(*) FROM executions WHERE {_FREE}",
    "actions": f"SELECT count(*) FROM actions WHERE {_FREE}",
    "dead letters": "SELECT count(*) FROM dead_letters",
    **{f"{rule} fired": f"SELECT count(*) FROM executions WHERE rule_id = '{rule}'" for rule in ORDER_BOUND},
}  # fmt: skip

EFFECTS: Final = """
SELECT CAST(event_id AS text) AS event_id, 'processed' AS effect FROM inbox WHERE consumer = 'process_webhook'
UNION ALL
SELECT CAST(event_id AS text), 'dead letter' FROM dead_letters WHERE consumer = 'process_webhook'
"""

NOTIFIED: Final = """
SELECT CAST(o.id AS text) FROM outbox o LEFT JOIN actions a ON a.id = o.id WHERE o.topic = 'notifications'
"""


@dataclass(frozen=True, slots=True)
class EndState:
    """rows: what the record holds, by table and in one order. broken: the laws that do not hold, and how often.

    figures: for people. effects: what became of each delivery's event. notified: ids of the notifications that
    were asked for, by rules and by what became of their actions. notified_in_any_order: of these, those of rules that
    do not look back.
    """

    rows: Mapping[str, Sequence[str]]
    broken: Mapping[str, int]
    figures: Mapping[str, int]
    effects: Mapping[str, Sequence[str]]
    notified: frozenset[str]
    notified_in_any_order: frozenset[str]


def read_state(engine: Engine, *, in_order: bool = False) -> EndState:
    """Return what the record holds. in_order: with what follows from rules that look back. Blocks.

    engine: connects as `upstream_operator`.
    Raises:
        TransientError: the database is away.
    """
    wanted = {**STATE, **(IN_ORDER if in_order else {})}
    with database_errors(), engine.begin() as connection:

        def column(statement: str) -> list[Any]:
            return list(connection.execute(text(statement)).scalars())

        effects: dict[str, list[str]] = {}
        for row in connection.execute(text(EFFECTS)):
            effects.setdefault(row.event_id, []).append(row.effect)
        return EndState(
            rows={
                name: column(f"SELECT CAST(j AS text) FROM ({query}) AS t(j) ORDER BY 1")
                for name, query in wanted.items()
            },
            broken={law: n for law, query in LAWS.items() if (n := int(column(query)[0]))},
            figures={name: int(column(query)[0]) for name, query in FIGURES.items()},
            effects=effects,
            notified=frozenset(column(NOTIFIED)),
            notified_in_any_order=frozenset(column(f"{NOTIFIED} AND {_FREE}")),
        )


def differences(expected: EndState, found: EndState) -> dict[str, tuple[list[str], list[str]]]:
    """Return by table what is missing from `found` and what it has too much. Rows that occur twice count twice."""
    differing: dict[str, tuple[list[str], list[str]]] = {}
    for name, rows in expected.rows.items():
        missing, extra = _less(rows, found.rows[name]), _less(found.rows[name], rows)
        if missing or extra:
            differing[name] = (missing, extra)
    return differing


def _less(rows: Sequence[str], others: Sequence[str]) -> list[str]:
    return sorted((Counter(rows) - Counter(others)).elements())
