"""What payers say between submission and payment, what was asked of them, and which FHIR resource a payment is."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CLAIMS = """
ALTER TABLE claims
    ADD COLUMN original_claim_number text NOT NULL DEFAULT '',
    ADD COLUMN clearinghouse_number text NOT NULL DEFAULT '',
    ADD COLUMN batch_number text NOT NULL DEFAULT '',
    ADD COLUMN set_number text NOT NULL DEFAULT '',
    ADD COLUMN first_status text,
    ADD COLUMN first_paid_on date;
COMMENT ON COLUMN claims.original_claim_number IS 'the payer''s number of the claim that this one replaces or voids (837 REF*F8)';
COMMENT ON COLUMN claims.set_number IS 'GS06/ST02 of the 837 that held it: what a 999 answers to';
COMMENT ON COLUMN claims.batch_number IS 'BHT03 of the 837 that held it: what a 277CA answers to above the claim';
COMMENT ON COLUMN claims.first_status IS 'the first decision: denied is a first-pass denial';
COMMENT ON COLUMN claims.first_paid_on IS 'less submitted_on: the days to pay';
CREATE INDEX claims_set ON claims (customer_id, set_number) WHERE set_number <> '';
CREATE INDEX claims_batch ON claims (customer_id, batch_number) WHERE batch_number <> '';
CREATE INDEX claims_original ON claims (customer_id, original_claim_number) WHERE original_claim_number <> '';

ALTER TABLE claim_payments
    ADD COLUMN resource_key text NOT NULL DEFAULT '',
    ADD COLUMN resource_version text COLLATE "C" NOT NULL DEFAULT '';
COMMENT ON COLUMN claim_payments.resource_key IS 'the FHIR resource that says so: of its versions only the newest counts';
CREATE INDEX claim_payments_number ON claim_payments (customer_id, payer_claim_number) WHERE payer_claim_number <> '';
"""

TABLES = """
CREATE TABLE claim_statuses (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    event_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('acknowledgement', 'status')),
    level text NOT NULL,
    standing text NOT NULL,
    claim_id uuid,
    claim_number text NOT NULL,
    trace_number text NOT NULL,
    payer_claim_number text NOT NULL,
    clearinghouse_number text NOT NULL,
    payer_key text NOT NULL,
    provider_id text NOT NULL,
    codes jsonb NOT NULL,
    action text NOT NULL,
    charge_cents bigint NOT NULL,
    paid_cents bigint,
    stated_on date,
    decided_on date,
    check_number text NOT NULL,
    service_on date,
    lines jsonb NOT NULL DEFAULT '[]',
    findings jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE claim_statuses IS 'one row a statement of a 277 or 277CA; never changed. claim_standings joins them to claims';
COMMENT ON COLUMN claim_statuses.claim_id IS 'by our number; null above the claim';
CREATE INDEX claim_statuses_claim ON claim_statuses (claim_id) WHERE claim_id IS NOT NULL;
CREATE INDEX claim_statuses_number ON claim_statuses (customer_id, payer_claim_number) WHERE payer_claim_number <> '';

CREATE TABLE submission_acknowledgements (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    event_id uuid NOT NULL,
    kind text NOT NULL,
    group_number text NOT NULL,
    set_number text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('accepted', 'accepted_with_errors', 'rejected')),
    errors text[] NOT NULL,
    claim_numbers text[] NOT NULL,
    stated_on date,
    findings jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE submission_acknowledgements IS 'what a 999 says of a transaction set of ours; claims.set_number joins it';
CREATE INDEX submission_acknowledgements_set ON submission_acknowledgements (customer_id, group_number, set_number);

CREATE TABLE authorization_requests (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    trace_number text NOT NULL,
    payer_key text NOT NULL DEFAULT '',
    payer_name text NOT NULL DEFAULT '',
    provider_id text NOT NULL DEFAULT '',
    patient jsonb NOT NULL DEFAULT '{}',
    kind text NOT NULL DEFAULT '',
    previous_number text NOT NULL DEFAULT '',
    procedures text[] NOT NULL DEFAULT '{}',
    diagnoses text[] NOT NULL DEFAULT '{}',
    service_on date,
    requested_on date,
    request_event_id uuid,
    status text NOT NULL DEFAULT 'requested',
    number text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    answered_on date,
    answer_event_id uuid,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE authorization_requests IS 'one row a request, whichever of it and its answer came first; joined by the trace number';
COMMENT ON COLUMN authorization_requests.status IS 'requested until answered; mixed where the services of one answer differ';
CREATE INDEX authorization_requests_number ON authorization_requests (customer_id, number) WHERE number <> '';

CREATE TABLE fetch_tasks (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    event_id uuid NOT NULL,
    kind text NOT NULL,
    reference text NOT NULL,
    reason text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'fetched', 'given_up')),
    stated_on date,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE fetch_tasks IS 'what a sender only named: nothing is known of it until somebody fetches it';
CREATE INDEX fetch_tasks_state ON fetch_tasks (customer_id, state, created_at);
"""

# A status names a claim by our number, or else by the payer's number, which payments and other statuses tie to ours.
VIEWS = """
CREATE VIEW claim_numbers WITH (security_invoker = true) AS
    SELECT customer_id, payer_claim_number AS number, claim_id FROM claim_payments WHERE payer_claim_number <> ''
    UNION
    SELECT s.customer_id, s.payer_claim_number, s.claim_id FROM claim_statuses s JOIN claims c ON c.id = s.claim_id
    WHERE s.payer_claim_number <> '';
COMMENT ON VIEW claim_numbers IS 'the payer''s numbers of a claim, from every statement that names both';

CREATE VIEW claim_standings WITH (security_invoker = true) AS
    SELECT s.id AS status_id, s.customer_id, s.kind, s.standing, s.stated_on, s.created_at,
        coalesce(own.id, (
            SELECT n.claim_id FROM claim_numbers n
            WHERE n.customer_id = s.customer_id AND n.number = s.payer_claim_number AND s.payer_claim_number <> ''
            ORDER BY n.claim_id LIMIT 1
        )) AS claim_id
    FROM claim_statuses s LEFT JOIN claims own ON own.id = s.claim_id
    WHERE s.level = 'claim';
COMMENT ON VIEW claim_standings IS 'each status of a 277 or 277CA with the claim it is about';

CREATE VIEW claim_corrections WITH (security_invoker = true) AS
    SELECT c.customer_id, c.id AS claim_id, c.frequency, n.claim_id AS original_id
    FROM claims c JOIN claim_numbers n ON n.customer_id = c.customer_id AND n.number = c.original_claim_number
    WHERE c.original_claim_number <> '';
COMMENT ON VIEW claim_corrections IS 'a replacement or void (837 CLM05-3 = 7, 8) with the claim that it corrects';
"""

TENANT_TABLES = ("claim_statuses", "submission_acknowledgements", "authorization_requests", "fetch_tasks")


def isolate(table: str) -> str:
    """Return a table's rights and policies: a customer's own rows for the app, all rows for an operator."""
    own = "customer_id = current_setting('upstream.customer_id')::uuid"
    return f"""
    GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO upstream_operator;
    GRANT SELECT, INSERT, UPDATE ON {table} TO upstream_app;
    ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
    ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
    CREATE POLICY own_rows ON {table} TO upstream_app USING ({own}) WITH CHECK ({own});
    CREATE POLICY all_rows ON {table} TO upstream_operator USING (true) WITH CHECK (true);
    CREATE POLICY owner_rows ON {table} TO CURRENT_USER USING (true) WITH CHECK (true);
    """


def upgrade() -> None:
    """Add the tables with their policies, and views that see what their reader may see."""
    op.execute(CLAIMS)
    op.execute(TABLES)
    for table in TENANT_TABLES:
        op.execute(isolate(table))
    op.execute(VIEWS)
    op.execute(
        "GRANT SELECT ON claim_numbers, claim_standings, claim_corrections TO upstream_app, upstream_operator"
    )


def downgrade() -> None:
    """Migrations only go forward: a new one repairs the last."""
    raise NotImplementedError
