"""Claims and what payers decided of them, written so that any order and repetition ends alike.

Two statements: add the payments and lock their claims, then fold each claim from all its payments. A payment is never
changed; a claim is its latest submission plus the sum of its payments, so nothing depends on which came first. Where
several payers are asked, one after the other, submission and decision are those of the first (docs/adr/0033). Of a
FHIR resource that its payer updates in place, the newest version counts, and a withdrawn one for nothing. What decides
nothing is kept, and says of a claim that was never submitted what it is; it counts for nothing else.
The sums by day (`claim_daily_stats`, `claim_daily_reasons`, `claim_lags`) move by what each fold changed, and
`payment_service_lines` by each new payment, or for a resource by what each fold counts of it, in the same transaction.
"""

from collections.abc import Iterable, Sequence
from typing import assert_never
from uuid import UUID

from sqlalchemy import Connection, text

from shared.adapters.postgres import claim_rows, statements
from shared.adapters.postgres.claim_rows import Stated
from shared.adapters.postgres.statements import Statement
from shared.domain.claims import (
    Acknowledgement,
    Authorization,
    AuthorizationRequest,
    ClaimPayment,
    ClaimStatus,
    FetchTask,
    Record,
    RemittanceSummary,
    SubmittedClaim,
)
from shared.domain.ids import claim_id
from shared.domain.reasons import NOT_A_DENIAL

PLACE_SUBMITTED_CLAIMS = text("""
INSERT INTO claims AS c (
    id, customer_id, claim_number, payer_key, payer_name, payer_id, payer_rank, provider_id, patient, charge_cents,
    status, procedures, modifiers, diagnoses, authorization_number, frequency, submitted_on, submission_event_id,
    service_on, original_claim_number, clearinghouse_number, batch_number, set_number)
SELECT id, CAST(:customer_id AS uuid), claim_number, payer_key, payer_name, payer_id, payer_rank, provider_id,
    patient, charge_cents, 'submitted', procedures, modifiers, diagnoses, authorization_number, frequency, submitted_on,
    submission_event_id, service_on, original_claim_number, clearinghouse_number, batch_number, set_number
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    id uuid, claim_number text, payer_key text, payer_name text, payer_id text, payer_rank smallint, provider_id text,
    patient jsonb, charge_cents bigint, procedures text[], modifiers text[], diagnoses text[],
    authorization_number text, frequency text, submitted_on date, submission_event_id uuid, service_on date,
    original_claim_number text, clearinghouse_number text, batch_number text, set_number text)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
    payer_key = EXCLUDED.payer_key, payer_name = EXCLUDED.payer_name, payer_id = EXCLUDED.payer_id,
    payer_rank = EXCLUDED.payer_rank,
    provider_id = EXCLUDED.provider_id, patient = EXCLUDED.patient, charge_cents = EXCLUDED.charge_cents,
    procedures = EXCLUDED.procedures, modifiers = EXCLUDED.modifiers, diagnoses = EXCLUDED.diagnoses,
    authorization_number = EXCLUDED.authorization_number, frequency = EXCLUDED.frequency,
    submitted_on = EXCLUDED.submitted_on, submission_event_id = EXCLUDED.submission_event_id,
    service_on = EXCLUDED.service_on, original_claim_number = EXCLUDED.original_claim_number,
    clearinghouse_number = EXCLUDED.clearinghouse_number, batch_number = EXCLUDED.batch_number,
    set_number = EXCLUDED.set_number, updated_at = now()
WHERE c.submission_event_id IS NULL
    OR (-EXCLUDED.payer_rank, coalesce(EXCLUDED.submitted_on, '-infinity'), EXCLUDED.submission_event_id)
     > (-c.payer_rank, coalesce(c.submitted_on, '-infinity'), c.submission_event_id)
""")

# The update of a claim changes nothing: it locks the row until we commit, so that folds of one claim queue up, and the
# later one sees the earlier one's payments.
ADD_PAYMENTS = text("""
WITH placed AS (
    INSERT INTO claims (id, customer_id, claim_number, payer_key, payer_name, charge_cents, status)
    SELECT id, CAST(:customer_id AS uuid), claim_number, '', '', 0, 'submitted'
    FROM jsonb_to_recordset(CAST(:claims AS jsonb)) AS r(id uuid, claim_number text)
    ORDER BY id
    ON CONFLICT (id) DO UPDATE SET updated_at = now()
), advice AS (
    INSERT INTO remittances AS m (
        id, customer_id, event_id, payer_key, payer_name, payee_name, trace_number, method, paid_cents, decided_on,
        decided_source, claim_count, claims_paid_cents, findings)
    SELECT id, CAST(:customer_id AS uuid), event_id, payer_key, payer_name, payee_name, trace_number,
        method, paid_cents, decided_on, decided_source, claim_count, claims_paid_cents, findings
    FROM jsonb_to_recordset(CAST(:remittances AS jsonb)) AS r(
        id uuid, event_id uuid, payer_key text, payer_name text, payee_name text, trace_number text, method text,
        paid_cents bigint, decided_on date, decided_source text, claim_count integer, claims_paid_cents bigint,
        findings jsonb)
    ORDER BY id
    ON CONFLICT (id) DO UPDATE SET
        claim_count = EXCLUDED.claim_count, claims_paid_cents = EXCLUDED.claims_paid_cents,
        findings = EXCLUDED.findings
    WHERE m.claim_count IS NULL AND EXCLUDED.claim_count IS NOT NULL
), added AS (
    INSERT INTO claim_payments AS p (
        id, customer_id, claim_id, remittance_id, position, payer_key, payer_name, payer_id, payer_claim_number,
        provider_id, patient, procedures, modifiers, diagnoses, service_on, status, status_code, charge_cents,
        paid_cents, patient_cents, allowed_cents, decided_on, lines, findings, resource_key, resource_version,
        daily_lines, lines_counted, payer_rank, created_at)
    SELECT id, CAST(:customer_id AS uuid), claim_id, remittance_id, position, payer_key, payer_name, payer_id,
        payer_claim_number, provider_id, patient, procedures, modifiers, diagnoses, service_on, status, status_code,
        charge_cents, paid_cents, patient_cents, allowed_cents, decided_on, lines, findings, resource_key,
        resource_version, daily_lines, daily_lines IS NULL, payer_rank, now() + nth * interval '1 microsecond'
    FROM jsonb_to_recordset(CAST(:payments AS jsonb)) AS r(
        id uuid, nth integer, claim_id uuid, remittance_id uuid, position integer, payer_key text, payer_name text,
        payer_id text, payer_claim_number text, provider_id text, patient jsonb, procedures text[], modifiers text[],
        diagnoses text[], service_on date, status text, status_code text, charge_cents bigint, paid_cents bigint,
        patient_cents bigint, allowed_cents bigint, decided_on date, lines jsonb, findings jsonb, resource_key text,
        resource_version text, daily_lines jsonb, payer_rank smallint)
    ORDER BY id
    ON CONFLICT (id) DO UPDATE SET resource_version = EXCLUDED.resource_version
    WHERE EXCLUDED.resource_version > p.resource_version
    RETURNING id, xmax = 0 AS is_new
), priced AS (
    INSERT INTO payment_service_lines AS d (
        customer_id, payer_key, procedure, day, service_on, lines, units, received_cents)
    SELECT CAST(:customer_id AS uuid), payer_key, procedure, day, service_on, sum(lines), sum(units),
        sum(received_cents)
    FROM jsonb_to_recordset(CAST(:lines AS jsonb)) AS r(
        payment_id uuid, payer_key text, procedure text, day date, service_on date, lines integer, units bigint,
        received_cents bigint)
    JOIN added ON added.id = r.payment_id AND added.is_new
    GROUP BY payer_key, procedure, day, service_on
    ORDER BY payer_key, procedure, day, service_on
    ON CONFLICT (customer_id, payer_key, procedure, day, service_on) DO UPDATE SET
        lines = d.lines + EXCLUDED.lines, units = d.units + EXCLUDED.units,
        received_cents = d.received_cents + EXCLUDED.received_cents
)
INSERT INTO adjustments (owner_id, ordinal, customer_id, line, group_code, carc, amount_cents, quantity)
SELECT owner_id, ordinal, CAST(:customer_id AS uuid), line, group_code, carc, amount_cents, quantity
FROM jsonb_to_recordset(CAST(:adjustments AS jsonb)) AS r(
    owner_id uuid, ordinal integer, line integer, group_code text, carc text, amount_cents bigint, quantity text)
ORDER BY owner_id, ordinal
ON CONFLICT (owner_id, ordinal) DO NOTHING
""")

FOLD_CLAIMS = text("""
WITH before AS (
    SELECT stat_payer_key, stat_procedure, stat_day, stat_denied, stat_charge_cents, stat_paid_cents, stat_carc,
        lag_payer_key, lag_submitted_on, lag_days
    FROM claims WHERE id = ANY(CAST(:ids AS uuid[])) AND (stat_day IS NOT NULL OR lag_days IS NOT NULL)
), ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY claim_id, resource_key ORDER BY resource_version DESC, decided_on DESC NULLS LAST, id DESC
    ) AS age
    FROM claim_payments WHERE claim_id = ANY(CAST(:ids AS uuid[]))
), counted AS (
    SELECT *, resource_key <> '' AND status = 'reversed' AS withdrawn,
        coalesce(payer_rank, min(payer_rank) OVER (PARTITION BY claim_id, payer_key),
            CASE WHEN status = 'denied'
                AND bool_or(payer_rank = 1) OVER (PARTITION BY claim_id) THEN 2 ELSE 1 END
        ) AS turn
    FROM ranked WHERE resource_key = '' OR age = 1
), decisions AS (
    SELECT * FROM counted WHERE status <> 'not_decided'
), recounted AS (
    UPDATE claim_payments p SET lines_counted = NOT p.lines_counted
    FROM ranked r
    WHERE p.id = r.id AND r.daily_lines IS NOT NULL AND r.lines_counted <> (r.age = 1 AND r.status <> 'reversed')
    RETURNING p.daily_lines, CASE WHEN p.lines_counted THEN 1 ELSE -1 END AS sign
), relined AS (
    INSERT INTO payment_service_lines AS d (
        customer_id, payer_key, procedure, day, service_on, lines, units, received_cents)
    SELECT CAST(:customer_id AS uuid), l.payer_key, l.procedure, l.day, coalesce(l.service_on, l.day),
        sum(sign * l.lines), sum(sign * l.units), sum(sign * l.received_cents)
    FROM recounted CROSS JOIN LATERAL jsonb_to_recordset(daily_lines) AS l(
        payer_key text, procedure text, day date, service_on date, lines integer, units bigint, received_cents bigint)
    GROUP BY 2, 3, 4, 5
    ORDER BY 2, 3, 4, 5
    ON CONFLICT (customer_id, payer_key, procedure, day, service_on) DO UPDATE SET
        lines = d.lines + EXCLUDED.lines, units = d.units + EXCLUDED.units,
        received_cents = d.received_cents + EXCLUDED.received_cents
), turns AS (
    SELECT claim_id, turn,
        coalesce(sum(paid_cents) FILTER (WHERE NOT withdrawn), 0) AS paid_cents,
        coalesce(sum(patient_cents) FILTER (WHERE NOT withdrawn), 0) AS patient_cents,
        min(decided_on) AS first_on, min(decided_on) FILTER (WHERE paid_cents > 0) AS first_paid_on,
        (array_agg(status ORDER BY decided_on NULLS LAST, remittance_id, position, id))[1] AS first_status,
        (array_agg(status ORDER BY decided_on DESC NULLS LAST, remittance_id DESC, position DESC, id DESC))[1] AS status
    FROM decisions GROUP BY claim_id, turn
), sums AS (
    SELECT claim_id, sum(paid_cents) AS paid_cents, (array_agg(turn ORDER BY (status = 'reversed'), turn))[1] AS turn,
        (array_agg(patient_cents ORDER BY (status = 'reversed'), (status = 'denied' AND paid_cents <= 0), turn DESC))[1]
            AS patient_cents
    FROM turns GROUP BY claim_id
), latest AS (
    SELECT DISTINCT ON (d.claim_id) d.id, d.claim_id, d.status, d.decided_on, d.payer_claim_number, d.created_at,
        d.position
    FROM decisions d JOIN sums s ON s.claim_id = d.claim_id AND s.turn = d.turn
    ORDER BY d.claim_id, d.decided_on DESC NULLS LAST, d.remittance_id DESC, d.position DESC, d.id DESC
), stated AS (
    SELECT DISTINCT ON (k.claim_id) k.*
    FROM counted k LEFT JOIN sums s ON s.claim_id = k.claim_id
    ORDER BY k.claim_id, (k.status = 'not_decided'), (k.turn IS DISTINCT FROM s.turn), (k.status = 'reversed'),
        k.decided_on DESC NULLS LAST, k.remittance_id DESC, k.position DESC, k.id DESC
), reasons AS (
    SELECT DISTINCT ON (l.claim_id) l.claim_id, a.carc
    FROM latest l JOIN adjustments a ON a.owner_id = l.id
    WHERE l.status = 'denied' AND a.carc <> ALL(CAST(:no_denials AS text[]))
    ORDER BY l.claim_id, abs(a.amount_cents) DESC, a.carc
), folded AS (
    SELECT c.id, coalesce(s.paid_cents, 0) AS paid_cents, coalesce(s.patient_cents, 0) AS patient_cents,
        w.paid_cents AS payer_paid_cents, w.first_paid_on, w.first_status, coalesce(l.status, 'submitted') AS status,
        l.decided_on,
        coalesce(l.payer_claim_number, t.payer_claim_number) AS payer_claim_number,
        l.created_at AS decided_at, l.position AS decided_position,
        c.submission_event_id IS NULL AS unsubmitted,
        CASE WHEN c.submission_event_id IS NULL THEN abs(t.charge_cents) ELSE c.charge_cents END AS charge_cents,
        CASE WHEN c.payer_key = '' OR c.submission_event_id IS NULL
            THEN t.payer_key ELSE c.payer_key END AS payer_key,
        CASE WHEN c.payer_key = '' OR c.submission_event_id IS NULL
            THEN t.payer_name ELSE c.payer_name END AS payer_name,
        CASE WHEN c.submission_event_id IS NULL OR cardinality(c.procedures) = 0
            THEN t.procedures ELSE c.procedures END AS procedures,
        t.payer_id, t.provider_id, t.patient, t.modifiers, t.diagnoses, t.service_on,
        CASE WHEN l.status <> 'reversed' THEN l.decided_on END AS stat_day,
        CASE WHEN l.status = 'denied' THEN coalesce(r.carc, '') END AS stat_carc,
        CASE WHEN c.submitted_on IS NULL THEN NULL WHEN w.first_on IS NULL THEN -1
            ELSE greatest(w.first_on - c.submitted_on, 0) END AS lag_days
    FROM claims c
    JOIN stated t ON t.claim_id = c.id
    LEFT JOIN sums s ON s.claim_id = c.id
    LEFT JOIN turns w ON w.claim_id = c.id AND w.turn = s.turn
    LEFT JOIN latest l ON l.claim_id = c.id
    LEFT JOIN reasons r ON r.claim_id = c.id
    WHERE c.id = ANY(CAST(:ids AS uuid[]))
), after AS (
    UPDATE claims c SET
        paid_cents = f.paid_cents, patient_cents = f.patient_cents, status = f.status, decided_on = f.decided_on,
        first_status = f.first_status, first_paid_on = f.first_paid_on,
        decided_at = f.decided_at, decided_position = f.decided_position,
        payer_claim_number = f.payer_claim_number, charge_cents = f.charge_cents, payer_key = f.payer_key,
        payer_name = f.payer_name, procedures = f.procedures,
        payer_id = CASE WHEN f.unsubmitted THEN f.payer_id ELSE c.payer_id END,
        provider_id = CASE WHEN f.unsubmitted THEN f.provider_id ELSE c.provider_id END,
        patient = CASE WHEN f.unsubmitted THEN f.patient ELSE c.patient END,
        modifiers = CASE WHEN f.unsubmitted THEN f.modifiers ELSE c.modifiers END,
        diagnoses = CASE WHEN f.unsubmitted THEN f.diagnoses ELSE c.diagnoses END,
        service_on = CASE WHEN f.unsubmitted THEN f.service_on ELSE c.service_on END,
        stat_day = f.stat_day,
        stat_payer_key = CASE WHEN f.stat_day IS NOT NULL THEN f.payer_key END,
        stat_procedure = CASE WHEN f.stat_day IS NOT NULL THEN coalesce(f.procedures[1], '') END,
        stat_denied = CASE WHEN f.stat_day IS NOT NULL THEN CAST(f.status = 'denied' AS integer) END,
        stat_charge_cents = CASE WHEN f.stat_day IS NOT NULL THEN f.charge_cents END,
        stat_paid_cents = CASE WHEN f.stat_day IS NOT NULL THEN f.payer_paid_cents END,
        stat_carc = CASE WHEN f.stat_day IS NOT NULL THEN f.stat_carc END,
        lag_payer_key = CASE WHEN f.lag_days IS NOT NULL THEN f.payer_key END,
        lag_submitted_on = CASE WHEN f.lag_days IS NOT NULL THEN c.submitted_on END,
        lag_days = f.lag_days,
        updated_at = now()
    FROM folded f WHERE c.id = f.id
    RETURNING c.stat_payer_key, c.stat_procedure, c.stat_day, c.stat_denied, c.stat_charge_cents, c.stat_paid_cents,
        c.stat_carc, c.lag_payer_key, c.lag_submitted_on, c.lag_days
), waiting AS (
    UPDATE claims c SET lag_payer_key = c.payer_key, lag_submitted_on = c.submitted_on, lag_days = -1
    WHERE c.id = ANY(CAST(:ids AS uuid[])) AND c.submitted_on IS NOT NULL
        AND NOT EXISTS (SELECT FROM claim_payments p WHERE p.claim_id = c.id)
    RETURNING c.lag_payer_key, c.lag_submitted_on, c.lag_days
), lagged AS (
    SELECT lag_payer_key, lag_submitted_on, lag_days, -1 AS claims FROM before
    UNION ALL SELECT lag_payer_key, lag_submitted_on, lag_days, 1 FROM after
    UNION ALL SELECT lag_payer_key, lag_submitted_on, lag_days, 1 FROM waiting
), moved_lags AS (
    INSERT INTO claim_lags AS s (customer_id, payer_key, submitted_on, lag_days, claims)
    SELECT CAST(:customer_id AS uuid), lag_payer_key, lag_submitted_on, lag_days, sum(claims)
    FROM lagged WHERE lag_days IS NOT NULL
    GROUP BY lag_payer_key, lag_submitted_on, lag_days HAVING sum(claims) <> 0
    ORDER BY lag_payer_key, lag_submitted_on, lag_days
    ON CONFLICT (customer_id, payer_key, submitted_on, lag_days) DO UPDATE SET claims = s.claims + EXCLUDED.claims
), denied AS (
    SELECT stat_payer_key, stat_carc, stat_procedure, stat_day, -1 AS denied, -stat_charge_cents AS charge_cents
    FROM before WHERE stat_carc IS NOT NULL
    UNION ALL
    SELECT stat_payer_key, stat_carc, stat_procedure, stat_day, 1, stat_charge_cents
    FROM after WHERE stat_carc IS NOT NULL
), moved_reasons AS (
    INSERT INTO claim_daily_reasons AS s (customer_id, payer_key, carc, procedure, day, denied, charge_cents)
    SELECT CAST(:customer_id AS uuid), stat_payer_key, stat_carc, stat_procedure, stat_day, sum(denied),
        sum(charge_cents)
    FROM denied
    GROUP BY stat_payer_key, stat_carc, stat_procedure, stat_day HAVING sum(denied) <> 0 OR sum(charge_cents) <> 0
    ORDER BY stat_payer_key, stat_carc, stat_procedure, stat_day
    ON CONFLICT (customer_id, payer_key, carc, procedure, day) DO UPDATE SET
        denied = s.denied + EXCLUDED.denied, charge_cents = s.charge_cents + EXCLUDED.charge_cents
), moved AS (
    SELECT stat_payer_key, stat_procedure, stat_day, sum(decided) AS decided, sum(denied) AS denied,
        sum(charge_cents) AS charge_cents, sum(paid_cents) AS paid_cents
    FROM (
        SELECT stat_payer_key, stat_procedure, stat_day, -1 AS decided, -stat_denied AS denied,
            -stat_charge_cents AS charge_cents, -stat_paid_cents AS paid_cents
        FROM before WHERE stat_day IS NOT NULL
        UNION ALL
        SELECT stat_payer_key, stat_procedure, stat_day, 1, stat_denied, stat_charge_cents, stat_paid_cents
        FROM after WHERE stat_day IS NOT NULL
    ) AS change
    GROUP BY stat_payer_key, stat_procedure, stat_day
)
INSERT INTO claim_daily_stats AS s (customer_id, payer_key, procedure, day, decided, denied, charge_cents, paid_cents)
SELECT CAST(:customer_id AS uuid), stat_payer_key, stat_procedure, stat_day, decided, denied, charge_cents, paid_cents
FROM moved
WHERE decided <> 0 OR denied <> 0 OR charge_cents <> 0 OR paid_cents <> 0
ORDER BY stat_payer_key, stat_procedure, stat_day
ON CONFLICT (customer_id, payer_key, procedure, day) DO UPDATE SET
    decided = s.decided + EXCLUDED.decided, denied = s.denied + EXCLUDED.denied,
    charge_cents = s.charge_cents + EXCLUDED.charge_cents, paid_cents = s.paid_cents + EXCLUDED.paid_cents,
    changed_tx = pg_current_xact_id()
""")

PLACE_AUTHORIZATIONS = text("""
INSERT INTO authorizations AS a (
    id, customer_id, payer_key, payer_name, number, patient, procedure, status, effective_on, expires_on,
    units_authorized, units_used, stated_on, event_id)
SELECT id, CAST(:customer_id AS uuid), payer_key, payer_name, number, patient, procedure, status, effective_on,
    expires_on, units_authorized, units_used, stated_on, event_id
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    id uuid, event_id uuid, payer_key text, payer_name text, number text, patient jsonb, procedure text, status text,
    effective_on date, expires_on date, units_authorized integer, units_used integer, stated_on date)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
    payer_name = EXCLUDED.payer_name, patient = EXCLUDED.patient, status = EXCLUDED.status,
    effective_on = EXCLUDED.effective_on, expires_on = EXCLUDED.expires_on,
    units_authorized = EXCLUDED.units_authorized, units_used = EXCLUDED.units_used,
    stated_on = EXCLUDED.stated_on, event_id = EXCLUDED.event_id, updated_at = now()
WHERE (coalesce(EXCLUDED.stated_on, '-infinity'), EXCLUDED.event_id)
    > (coalesce(a.stated_on, '-infinity'), a.event_id)
""")


def store(connection: Connection, customer_id: UUID, stated: Sequence[Stated[Record]]) -> set[UUID]:
    """Write the records and return the ids of the claims they touch, which must be folded before the commit."""
    submitted, payments, summaries, authorizations, others = _by_kind(stated)
    claims = {claim_id(customer_id, p.record.claim_number): p.record.claim_number for p in payments}
    common = {"customer_id": str(customer_id)}
    if submitted:
        rows = claim_rows.submissions(customer_id, submitted)
        connection.execute(PLACE_SUBMITTED_CLAIMS, {**common, "rows": rows})
    if payments or summaries:
        placed = claim_rows.as_json({"id": key, "claim_number": number} for key, number in claims.items())
        advices = claim_rows.advices(customer_id, payments, summaries)
        connection.execute(ADD_PAYMENTS, {**common, "claims": placed, **advices})
    statements.store(connection, customer_id, others)
    if authorizations:
        rows = claim_rows.authorizations(customer_id, authorizations)
        connection.execute(PLACE_AUTHORIZATIONS, {**common, "rows": rows})
    return claims.keys() | {claim_id(customer_id, s.record.claim_number) for s in submitted}


def fold(connection: Connection, customer_id: UUID, claim_ids: Iterable[UUID]) -> None:
    """Bring claims, and the daily statistics they count in, up to date with their payments."""
    ids = [str(key) for key in claim_ids]
    if ids:
        asked = {"customer_id": str(customer_id), "ids": ids, "no_denials": sorted(NOT_A_DENIAL)}
        connection.execute(FOLD_CLAIMS, asked)


def _by_kind(
    stated: Sequence[Stated[Record]],
) -> tuple[
    list[Stated[SubmittedClaim]],
    list[Stated[ClaimPayment]],
    list[Stated[RemittanceSummary]],
    list[Stated[Authorization]],
    list[Stated[Statement]],
]:
    submitted: list[Stated[SubmittedClaim]] = []
    payments: list[Stated[ClaimPayment]] = []
    summaries: list[Stated[RemittanceSummary]] = []
    authorizations: list[Stated[Authorization]] = []
    others: list[Stated[Statement]] = []
    for one in stated:
        match one.record:
            case ClaimPayment() as record:
                payments.append(Stated(one.event_id, one.nth, record))
            case SubmittedClaim() as record:
                if record.use == "claim":  # a price asked in advance is never paid
                    submitted.append(Stated(one.event_id, one.nth, record))
            case RemittanceSummary() as record:
                summaries.append(Stated(one.event_id, one.nth, record))
            case Authorization() as record:
                if record.number:
                    authorizations.append(Stated(one.event_id, one.nth, record))
                if record.trace_number:
                    others.append(Stated(one.event_id, one.nth, record))
            case ClaimStatus() | Acknowledgement() | AuthorizationRequest() | FetchTask() as record:
                others.append(Stated(one.event_id, one.nth, record))
            case _:
                assert_never(one.record)
    return submitted, payments, summaries, authorizations, others
