"""Baselines from the daily sums. A build looks at what changed since the last one, and at what left the window.

Every row of `claim_daily_stats` carries the transaction that changed it last. A build notes the oldest transaction that
was still under way when it began; the next one looks at rows from there on, so that none is ever missed, however long
its transaction took. A database restored into another server starts its transactions anew: then all is looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, RowMapping, text

from shared.domain.statistics import Beta, Moments, beta_prior

WINDOW_DAYS: Final = 180

LOCK = text("""
INSERT INTO baseline_builds AS b (customer_id, built_on, seen_before_tx)
VALUES (CAST(:customer_id AS uuid), CAST(:on AS date), '0')
ON CONFLICT (customer_id) DO UPDATE SET built_on = b.built_on
RETURNING CAST(seen_before_tx AS text) AS seen, seen_before_tx > pg_snapshot_xmax(pg_current_snapshot()) AS elsewhere,
    CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS now
""")
NOTE = text("""
UPDATE baseline_builds SET built_on = CAST(:on AS date), seen_before_tx = CAST(:now AS xid8)
WHERE customer_id = CAST(:customer_id AS uuid)
""")

CHANGED = """
WITH dirty AS (
    SELECT payer_key, procedure FROM claim_daily_stats
    WHERE customer_id = CAST(:customer_id AS uuid) AND changed_tx >= CAST(:seen AS xid8)
    UNION
    SELECT payer_key, procedure FROM risk_baselines
    WHERE customer_id = CAST(:customer_id AS uuid) AND NOT superseded AND oldest_on <= CAST(:since AS date)
), fresh AS (
    SELECT d.payer_key, d.procedure, s.decided, s.denied, s.oldest_on
    FROM dirty d CROSS JOIN LATERAL (
        SELECT coalesce(sum(decided), 0) AS decided, coalesce(sum(denied), 0) AS denied,
            min(day) FILTER (WHERE decided > 0) AS oldest_on
        FROM claim_daily_stats
        WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = d.payer_key AND procedure = d.procedure
            AND day > CAST(:since AS date) AND day <= CAST(:until AS date)
    ) AS s
)"""
# Materialized: the names of a full join are expressions, and by those the planner would look no row up in an index.
EVERYTHING = """
WITH sums AS (
    SELECT payer_key, procedure, sum(decided) AS decided, sum(denied) AS denied,
        min(day) FILTER (WHERE decided > 0) AS oldest_on
    FROM claim_daily_stats
    WHERE customer_id = CAST(:customer_id AS uuid) AND day > CAST(:since AS date) AND day <= CAST(:until AS date)
    GROUP BY payer_key, procedure
), known AS (
    SELECT DISTINCT payer_key, procedure FROM risk_baselines WHERE customer_id = CAST(:customer_id AS uuid)
), fresh AS MATERIALIZED (
    SELECT payer_key, procedure, coalesce(s.decided, 0) AS decided, coalesce(s.denied, 0) AS denied, s.oldest_on
    FROM sums s FULL JOIN known USING (payer_key, procedure)
)"""
# A pair's row that is in force is left alone where nothing changed; one of the same day is brought up to date.
BUILD = """, compared AS (
    SELECT f.payer_key, f.procedure, f.decided, f.denied, f.oldest_on,
        coalesce(o.decided, 0) AS was_decided, coalesce(o.denied, 0) AS was_denied,
        CASE WHEN o.since IS NULL THEN f.decided > 0
            ELSE (f.decided, f.denied, f.oldest_on) IS DISTINCT FROM (o.decided, o.denied, o.oldest_on) END AS differs,
        l.since IS NOT NULL AS superseded
    FROM fresh f LEFT JOIN LATERAL (
        SELECT since, decided, denied, oldest_on FROM risk_baselines
        WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = f.payer_key AND procedure = f.procedure
            AND since <= CAST(:on AS date)
        ORDER BY since DESC LIMIT 1
    ) AS o ON true LEFT JOIN LATERAL (
        SELECT since FROM risk_baselines
        WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = f.payer_key AND procedure = f.procedure
            AND since > CAST(:on AS date)
        LIMIT 1
    ) AS l ON true
), superseded AS (
    UPDATE risk_baselines b SET superseded = true FROM compared c
    WHERE b.customer_id = CAST(:customer_id AS uuid) AND b.payer_key = c.payer_key AND b.procedure = c.procedure
        AND c.differs AND NOT b.superseded AND b.since < CAST(:on AS date)
), written AS (
    INSERT INTO risk_baselines AS b (
        customer_id, payer_key, procedure, since, decided, denied, oldest_on, superseded)
    SELECT CAST(:customer_id AS uuid), payer_key, procedure, CAST(:on AS date), decided, denied, oldest_on,
        superseded
    FROM compared WHERE differs
    ON CONFLICT (customer_id, payer_key, procedure, since) DO UPDATE SET
        decided = EXCLUDED.decided, denied = EXCLUDED.denied, oldest_on = EXCLUDED.oldest_on
)
SELECT payer_key, CAST(count(*) FILTER (WHERE differs) AS integer) AS changed,
    CAST(sum(decided) AS bigint) AS decided, CAST(sum(denied) AS bigint) AS denied,
    CAST(count(*) FILTER (WHERE decided > 0) AS integer) AS procedures,
    CAST(sum(decided * decided) AS double precision) AS squares,
    CAST(coalesce(sum(denied * denied / nullif(CAST(decided AS double precision), 0)), 0)
        AS double precision) AS spread,
    CAST(sum(was_decided) AS bigint) AS was_decided, CAST(sum(was_denied) AS bigint) AS was_denied,
    CAST(count(*) FILTER (WHERE was_decided > 0) AS integer) AS was_procedures,
    CAST(sum(was_decided * was_decided) AS double precision) AS was_squares,
    CAST(coalesce(sum(was_denied * was_denied / nullif(CAST(was_decided AS double precision), 0)), 0)
        AS double precision) AS was_spread
FROM compared GROUP BY payer_key ORDER BY payer_key
"""
BUILD_CHANGED = text(CHANGED + BUILD)
BUILD_EVERYTHING = text(EVERYTHING + BUILD)

PAYERS = text("""
SELECT payer_key, decided, denied, procedures, squares, spread FROM payer_baselines
WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = ANY(CAST(:payers AS text[])) AND NOT superseded
""")
SUPERSEDE_PAYERS = text("""
UPDATE payer_baselines SET superseded = true
WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = ANY(CAST(:payers AS text[])) AND NOT superseded
    AND since < CAST(:on AS date)
""")
WRITE_PAYERS = text("""
INSERT INTO payer_baselines AS b (
    customer_id, payer_key, since, decided, denied, procedures, squares, spread, alpha, beta, superseded)
SELECT CAST(:customer_id AS uuid), payer_key, CAST(:on AS date), decided, denied, procedures, squares, spread, alpha,
    beta, EXISTS (
        SELECT FROM payer_baselines l WHERE l.customer_id = CAST(:customer_id AS uuid) AND l.payer_key = r.payer_key
            AND l.since > CAST(:on AS date))
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    payer_key text, decided bigint, denied bigint, procedures integer, squares double precision,
    spread double precision, alpha double precision, beta double precision)
ON CONFLICT (customer_id, payer_key, since) DO UPDATE SET
    decided = EXCLUDED.decided, denied = EXCLUDED.denied, procedures = EXCLUDED.procedures,
    squares = EXCLUDED.squares, spread = EXCLUDED.spread, alpha = EXCLUDED.alpha, beta = EXCLUDED.beta
""")

FOREVER: Final = date(9999, 12, 31)


@dataclass(frozen=True, slots=True)
class _Payer:
    now: Moments
    was: Moments


def build(
    connection: Connection, customer_id: UUID, on: date, *, full: bool = False, until: date | None = None
) -> dict[str, int]:
    """Bring the baselines up to the window that ends with `on`. until: leave out what was decided after it."""
    common = {"customer_id": str(customer_id), "on": on.isoformat()}
    noted = connection.execute(LOCK, common).mappings().one()
    full = full or noted["elsewhere"] or noted["seen"] == "0"
    asked = {
        **common,
        "since": (on - timedelta(days=WINDOW_DAYS)).isoformat(),
        "until": (until or FOREVER).isoformat(),
        **({} if full else {"seen": noted["seen"]}),
    }
    rows = connection.execute(BUILD_EVERYTHING if full else BUILD_CHANGED, asked).mappings().all()
    payers = {row["payer_key"]: _payer(row) for row in rows if full or row["changed"]}
    if not full:
        payers = _moved(connection, customer_id, payers)
    _write_payers(connection, customer_id, on, {key: payer.now for key, payer in payers.items()})
    if until is None:
        connection.execute(NOTE, {**common, "now": noted["now"]})
    return {"baselines_changed": sum(row["changed"] for row in rows), "payers_changed": len(payers)}


def _payer(row: RowMapping) -> _Payer:
    names = ("decided", "denied", "procedures", "squares", "spread")
    return _Payer(
        Moments(**{name: row[name] for name in names}),
        Moments(**{name: row[f"was_{name}"] for name in names}),
    )


def _moved(connection: Connection, customer_id: UUID, payers: Mapping[str, _Payer]) -> dict[str, _Payer]:
    """Return each payer's sums over all its procedures: what was known, moved by what changed."""
    asked = {"customer_id": str(customer_id), "payers": sorted(payers)}
    known = {row["payer_key"]: row for row in connection.execute(PAYERS, asked).mappings()}
    return {key: _Payer(_plus(known.get(key), payer), payer.was) for key, payer in payers.items()}


def _plus(known: RowMapping | None, change: _Payer) -> Moments:
    now, was = change.now, change.was
    if known is None:
        return now
    return Moments(
        decided=known["decided"] + now.decided - was.decided,
        denied=known["denied"] + now.denied - was.denied,
        procedures=known["procedures"] + now.procedures - was.procedures,
        squares=known["squares"] + now.squares - was.squares,
        spread=known["spread"] + now.spread - was.spread,
    )


def _write_payers(connection: Connection, customer_id: UUID, on: date, payers: Mapping[str, Moments]) -> None:
    if not payers:
        return
    rows = [_payer_row(key, moments, beta_prior(moments)) for key, moments in payers.items()]
    common = {"customer_id": str(customer_id), "on": on.isoformat()}
    connection.execute(SUPERSEDE_PAYERS, {**common, "payers": sorted(payers)})
    connection.execute(WRITE_PAYERS, {**common, "rows": orjson.dumps(rows).decode()})


def _payer_row(key: str, moments: Moments, prior: Beta) -> dict[str, object]:
    return {
        "payer_key": key,
        "decided": moments.decided,
        "denied": moments.denied,
        "procedures": moments.procedures,
        "squares": moments.squares,
        "spread": moments.spread,
        "alpha": prior.alpha,
        "beta": prior.beta,
    }
