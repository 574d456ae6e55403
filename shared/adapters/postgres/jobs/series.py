"""What the detector compares: windows of the daily sums, added up by PostgreSQL; a row a series that may have risen."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, RowMapping, text

from shared.domain.detection import BASELINE_DAYS, LEAST_N, LONGEST_DAYS, WINDOWS_DAYS, Kind, Past, Series
from shared.domain.drift import DailyRatios
from shared.domain.findings import OF_DENIALS, Finding
from shared.domain.slowdown import WEEKS, LifeRow, WeekOfClaims
from shared.domain.statistics import Counts

MOST_AFFECTED: Final = 5


def _windows(hits: str, n: str) -> str:
    """Return the columns d1, n1, d3, n3 ... for sums over the windows that end with the day of the run."""
    one = "coalesce(sum({what}) FILTER (WHERE day > CAST(:on AS date) - {days}), 0) AS {name}{days}"
    return ",\n        ".join(
        one.format(what=what, days=days, name=name)
        for days in WINDOWS_DAYS
        for what, name in ((hits, "d"), (n, "n"))
    )


_PAST: Final = f"FILTER (WHERE day <= CAST(:on AS date) - {LONGEST_DAYS})"
_LOOKED_AT: Final = f"n{LONGEST_DAYS} >= {LEAST_N} AND past_n >= {LEAST_N}"
_MAY_HAVE_RISEN: Final = " OR ".join(
    f"(n{days} >= {LEAST_N} AND d{days} * past_n > past_d * n{days})" for days in WINDOWS_DAYS
)
_COLUMNS: Final = ", ".join(f"d{days}, n{days}" for days in WINDOWS_DAYS)


_REASON_WINDOWS: Final = ", ".join(
    f"coalesce(sum(r.d) FILTER (WHERE r.day > CAST(:on AS date) - {days}), 0) AS d{days}"
    for days in WINDOWS_DAYS
)

# The sums are constants of this module; nothing that came from outside is in the text.
SERIES = text(f"""
WITH recent AS MATERIALIZED (
    SELECT payer_key, procedure, day, decided AS n, denied AS d, charge_cents FROM claim_daily_stats
    WHERE customer_id = CAST(:customer_id AS uuid) AND day > CAST(:since AS date) AND day <= CAST(:on AS date)
        AND decided > 0
), payer_days AS MATERIALIZED (
    SELECT payer_key, day, sum(n) AS n, sum(d) AS d, sum(charge_cents) AS charge_cents
    FROM recent GROUP BY payer_key, day
), reason_days AS MATERIALIZED (
    SELECT payer_key, carc, day, sum(denied) AS d FROM claim_daily_reasons
    WHERE customer_id = CAST(:customer_id AS uuid) AND day > CAST(:since AS date) AND day <= CAST(:on AS date)
        AND carc <> ''
    GROUP BY payer_key, carc, day HAVING sum(denied) > 0
), payers AS MATERIALIZED (
    SELECT payer_key, {_windows("d", "n")},
        coalesce(sum(d) {_PAST}, 0) AS past_d, coalesce(sum(n) {_PAST}, 0) AS past_n, count(*) {_PAST} AS days,
        coalesce(sum(d * d / n) {_PAST}, 0) AS spread,
        coalesce(sum(charge_cents) FILTER (WHERE day > CAST(:on AS date) - {LONGEST_DAYS}), 0) AS charge_cents
    FROM payer_days GROUP BY payer_key
), procedures AS (
    SELECT payer_key, procedure, {_windows("d", "n")},
        coalesce(sum(d) {_PAST}, 0) AS past_d, coalesce(sum(n) {_PAST}, 0) AS past_n, count(*) {_PAST} AS days,
        coalesce(sum(CAST(d AS numeric) * d / n) {_PAST}, 0) AS spread,
        coalesce(sum(charge_cents) FILTER (WHERE day > CAST(:on AS date) - {LONGEST_DAYS}), 0) AS charge_cents
    FROM recent GROUP BY payer_key, procedure
), reasons AS (
    SELECT p.payer_key, r.carc,
        {", ".join(f"r.d{days}, p.n{days}" for days in WINDOWS_DAYS)},
        r.past_d, p.past_n, p.days, r.spread, p.charge_cents
    FROM payers p JOIN (
        SELECT r.payer_key, r.carc,
            {_REASON_WINDOWS},
            coalesce(sum(r.d) FILTER (WHERE r.day <= CAST(:on AS date) - {LONGEST_DAYS}), 0) AS past_d,
            coalesce(sum(r.d * r.d / p.n) FILTER (WHERE r.day <= CAST(:on AS date) - {LONGEST_DAYS}), 0) AS spread
        FROM reason_days r JOIN payer_days p USING (payer_key, day) GROUP BY r.payer_key, r.carc
    ) AS r USING (payer_key)
), every AS (
    SELECT 'denial_rate' AS kind, payer_key, '' AS subject, {_COLUMNS}, past_d, past_n, days, spread, charge_cents
    FROM payers
    UNION ALL
    SELECT 'denial_rate_procedure', payer_key, procedure, {_COLUMNS}, past_d, past_n, days, spread, charge_cents
    FROM procedures WHERE procedure <> ''
    UNION ALL
    SELECT 'denial_reason', payer_key, carc, {_COLUMNS}, past_d, past_n, days, spread, charge_cents FROM reasons
), looked_at AS (
    SELECT * FROM every WHERE {_LOOKED_AT}
)
SELECT tested, looked_at.* FROM (SELECT count(*) AS tested FROM looked_at) AS t
LEFT JOIN looked_at ON {_MAY_HAVE_RISEN} ORDER BY kind, payer_key, subject
""")  # noqa: S608

AFFECTED = text("""
SELECT what, code FROM (
    SELECT 'procedures' AS what, procedure AS code, sum(denied) AS n,
        row_number() OVER (PARTITION BY 1 ORDER BY sum(denied) DESC, procedure) AS place
    FROM claim_daily_reasons
    WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = :payer_key AND procedure <> ''
        AND day > CAST(:on AS date) - CAST(:days AS integer) AND day <= CAST(:on AS date)
    GROUP BY procedure
    UNION ALL
    SELECT 'carcs', carc, sum(denied), row_number() OVER (ORDER BY sum(denied) DESC, carc)
    FROM claim_daily_reasons
    WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = :payer_key AND carc <> ''
        AND day > CAST(:on AS date) - CAST(:days AS integer) AND day <= CAST(:on AS date)
    GROUP BY carc
) AS ranked WHERE n > 0 AND place <= CAST(:most AS integer) ORDER BY what, place
""")

CURRENT = text("""
SELECT f.id, CASE WHEN f.kind = 'denial_reason' THEN r.d ELSE s.d END AS hits, s.n
FROM jsonb_to_recordset(CAST(:findings AS jsonb)) AS f(id uuid, kind text, payer_key text, subject text)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(denied), 0) AS d, coalesce(sum(decided), 0) AS n FROM claim_daily_stats
    WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = f.payer_key
        AND (f.kind <> 'denial_rate_procedure' OR procedure = f.subject)
        AND day > CAST(:on AS date) - CAST(:days AS integer) AND day <= CAST(:on AS date)
) AS s CROSS JOIN LATERAL (
    SELECT coalesce(sum(denied), 0) AS d FROM claim_daily_reasons
    WHERE customer_id = CAST(:customer_id AS uuid) AND payer_key = f.payer_key AND carc = f.subject
        AND day > CAST(:on AS date) - CAST(:days AS integer) AND day <= CAST(:on AS date)
) AS r
""")

# A claim decided after the day of the run was still waiting on it.
_LIVES: Final = """
    SELECT payer_key, (CAST(:on AS date) - submitted_on) / 7 AS week,
        CASE WHEN lag_days >= 0 AND submitted_on + lag_days <= CAST(:on AS date) THEN lag_days
            ELSE CAST(:on AS date) - submitted_on END AS days,
        coalesce(sum(claims) FILTER (WHERE lag_days >= 0 AND submitted_on + lag_days <= CAST(:on AS date)), 0)
            AS decided,
        sum(claims) AS claims
    FROM claim_lags
    WHERE customer_id = CAST(:customer_id AS uuid) AND submitted_on <= CAST(:on AS date)
        AND submitted_on > CAST(:on AS date) - CAST(:days AS integer) AND claims > 0
"""
WEEKS_OF_CLAIMS = text(f"""
WITH lives AS ({_LIVES} GROUP BY 1, 2, 3
), at_risk AS (
    SELECT *, sum(claims) OVER (PARTITION BY payer_key, week ORDER BY days DESC) AS n FROM lives
), surviving AS (
    SELECT *, sum(CASE WHEN decided >= n THEN -100 ELSE ln(1 - CAST(decided AS double precision) / n) END)
        OVER (PARTITION BY payer_key, week ORDER BY days) AS log_share
    FROM at_risk
)
SELECT payer_key, CAST(week AS integer) AS week, CAST(max(n) AS bigint) AS claims,
    CAST(min(days) FILTER (WHERE log_share <= ln(0.5) + 1e-9) AS integer) AS median_days,
    CAST(max(days) AS integer) AS followed_days
FROM surviving GROUP BY payer_key, week ORDER BY payer_key, week
""")  # noqa: S608 - as above
LIFE_TABLE = text(f"""
{_LIVES} AND payer_key = :payer_key GROUP BY 1, 2, 3 ORDER BY 2, 3
""")

# By the fee of the day of service. What no fee was agreed for is left out, on both sides.
RATIOS = text("""
WITH paid AS (
    SELECT payer_key, procedure, day, service_on, lines, units, received_cents FROM payment_service_lines
    WHERE customer_id = CAST(:customer_id AS uuid) AND day > CAST(:since AS date) AND day <= CAST(:on AS date)
    UNION ALL
    SELECT payer_key, procedure, day, day, lines, units, received_cents FROM payment_daily_lines
    WHERE customer_id = CAST(:customer_id AS uuid) AND day > CAST(:since AS date) AND day <= CAST(:on AS date)
), fees AS (
    SELECT payer_key, procedure, contracted_cents, effective_from, lead(effective_from, 1, CAST('infinity' AS date))
        OVER (PARTITION BY payer_key, procedure ORDER BY effective_from) AS effective_until
    FROM fee_schedules WHERE customer_id = CAST(:customer_id AS uuid)
), days AS (
    SELECT payer_key, procedure, day, sum(lines) AS lines, sum(received_cents) AS received_cents,
        sum(units * contracted_cents) AS expected_cents, day > CAST(:on AS date) - CAST(:now_days AS integer) AS now
    FROM paid JOIN fees USING (payer_key, procedure)
    WHERE service_on >= effective_from AND service_on < effective_until AND contracted_cents > 0
    GROUP BY payer_key, procedure, day
    HAVING sum(lines) > 0 AND sum(units) > 0 AND sum(units * contracted_cents) > 0
), ratios AS (
    SELECT *, CAST(received_cents AS double precision) / expected_cents AS ratio FROM days
)
SELECT payer_key, procedure, count(*) FILTER (WHERE now) AS now_days,
    coalesce(avg(ratio) FILTER (WHERE now), 0) AS now_mean,
    coalesce(var_samp(ratio) FILTER (WHERE now), 0) AS now_variance,
    count(*) FILTER (WHERE NOT now) AS past_days,
    coalesce(avg(ratio) FILTER (WHERE NOT now), 0) AS past_mean,
    coalesce(var_samp(ratio) FILTER (WHERE NOT now), 0) AS past_variance,
    CAST(coalesce(sum(lines) FILTER (WHERE now), 0) AS bigint) AS n,
    CAST(coalesce(sum(expected_cents - received_cents) FILTER (WHERE now), 0) AS bigint) AS short_cents
FROM ratios GROUP BY payer_key, procedure ORDER BY payer_key, procedure
""")


def denial_series(connection: Connection, customer_id: UUID, on: date) -> tuple[list[Series], int]:
    """Return the series that may have risen, and how many there were enough claims to look at."""
    asked = {**_day(customer_id, on), "since": _before(on, LONGEST_DAYS + BASELINE_DAYS)}
    rows = connection.execute(SERIES, asked).mappings().all()
    return [_series(row) for row in rows if row["kind"]], int(rows[0]["tested"])


def _series(row: RowMapping) -> Series:
    kind: Kind = row["kind"]
    return Series(
        kind=kind,
        payer_key=row["payer_key"],
        subject=row["subject"],
        past=Past(Counts(float(row["past_d"]), float(row["past_n"])), row["days"], float(row["spread"])),
        windows={days: Counts(float(row[f"d{days}"]), float(row[f"n{days}"])) for days in WINDOWS_DAYS},
        charge_cents=int(row["charge_cents"]),
    )


def affected(connection: Connection, customer_id: UUID, *, payer_key: str, on: date) -> dict[str, list[str]]:
    """Return the codes that carry most of the payer's denials of the last fortnight."""
    asked = {**_day(customer_id, on), "payer_key": payer_key, "days": LONGEST_DAYS, "most": MOST_AFFECTED}
    found: dict[str, list[str]] = {"procedures": [], "carcs": []}
    for row in connection.execute(AFFECTED, asked):
        found[row.what].append(row.code)
    return found


def current_rates(
    connection: Connection, customer_id: UUID, findings: Sequence[Finding], on: date
) -> Mapping[UUID, tuple[float, int]]:
    """Return (rate, n) of the last fortnight for each finding about denials."""
    rows = [
        {"id": f.id, "kind": f.kind, "payer_key": f.payer_key, "subject": f.subject}
        for f in findings
        if f.kind in OF_DENIALS
    ]
    if not rows:
        return {}
    asked = {**_day(customer_id, on), "days": LONGEST_DAYS, "findings": orjson.dumps(rows).decode()}
    return {
        row.id: (float(row.hits) / float(row.n) if row.n else 0.0, int(row.n))
        for row in connection.execute(CURRENT, asked)
    }


def weeks_of_claims(connection: Connection, customer_id: UUID, on: date) -> list[WeekOfClaims]:
    """Return each payer's claims by week of submission, with the median days to a decision."""
    asked = {**_day(customer_id, on), "days": WEEKS * 7}
    return [WeekOfClaims(**row) for row in connection.execute(WEEKS_OF_CLAIMS, asked).mappings()]


def life_table(connection: Connection, customer_id: UUID, *, payer_key: str, on: date) -> list[LifeRow]:
    """Return a payer's days to decision by week of submission."""
    asked = {**_day(customer_id, on), "days": WEEKS * 7, "payer_key": payer_key}
    return [
        LifeRow(int(row.week), int(row.days), int(row.decided), int(row.claims - row.decided))
        for row in connection.execute(LIFE_TABLE, asked)
    ]


def daily_ratios(connection: Connection, customer_id: UUID, on: date) -> list[DailyRatios]:
    """Return what payers pay of what their fee schedules say, then and now."""
    asked = {
        **_day(customer_id, on),
        "now_days": LONGEST_DAYS,
        "since": _before(on, LONGEST_DAYS + BASELINE_DAYS),
    }
    return [DailyRatios(**row) for row in connection.execute(RATIOS, asked).mappings()]


def _day(customer_id: UUID, on: date) -> dict[str, object]:
    return {"customer_id": str(customer_id), "on": on.isoformat()}


def _before(on: date, days: int) -> str:
    return (on - timedelta(days=days)).isoformat()
