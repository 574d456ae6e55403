"""The record: claims and what payers decided, rules and what they did, and the messages in between.

Every table is owned by the migrating role and read by `upstream_app` under row-level security: a transaction sets
`upstream.customer_id`, and a transaction that forgot to raises, because the setting has no default.
`upstream_operator` is for engineers and jobs that work across customers; functions never connect as it.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE customers (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    channels jsonb NOT NULL DEFAULT '[]',
    rules_version bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN customers.channels IS 'where to tell the customer: [{id, kind, target, secret_name}]';
COMMENT ON COLUMN customers.rules_version IS 'rises with every change to automation_rules; keys the compiled-rules cache';

CREATE TABLE claims (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    claim_number text NOT NULL,
    payer_key text NOT NULL,
    payer_name text NOT NULL,
    payer_id text NOT NULL DEFAULT '',
    payer_claim_number text NOT NULL DEFAULT '',
    provider_id text NOT NULL DEFAULT '',
    patient jsonb NOT NULL DEFAULT '{}',
    charge_cents bigint NOT NULL,
    paid_cents bigint NOT NULL DEFAULT 0,
    patient_cents bigint NOT NULL DEFAULT 0,
    status text NOT NULL CHECK (status IN ('submitted', 'paid', 'partially_paid', 'denied', 'reversed')),
    procedures text[] NOT NULL DEFAULT '{}',
    modifiers text[] NOT NULL DEFAULT '{}',
    diagnoses text[] NOT NULL DEFAULT '{}',
    authorization_number text NOT NULL DEFAULT '',
    frequency text NOT NULL DEFAULT '',
    submitted_on date,
    submission_event_id uuid,
    service_on date,
    decided_on date,
    decided_at timestamptz,
    decided_position integer,
    stat_payer_key text,
    stat_procedure text,
    stat_day date,
    stat_denied integer,
    stat_charge_cents bigint,
    stat_paid_cents bigint,
    risk_score smallint,
    risk_factors jsonb,
    hold_reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE claims IS 'one row a claim: its latest submission, and the sum of every payment of it';
COMMENT ON COLUMN claims.stat_day IS 'stat_*: what this claim adds to claim_daily_stats; null while it adds nothing';
COMMENT ON COLUMN claims.decided_at IS 'when we learnt of the latest decision: orders the decisions of one day, with the place in the advice';
CREATE INDEX claims_streak ON claims
    (customer_id, payer_key, decided_on DESC, decided_at DESC, decided_position DESC, id DESC) INCLUDE (status)
    WHERE decided_on IS NOT NULL;

CREATE TABLE remittances (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    event_id uuid NOT NULL,
    payer_key text NOT NULL,
    payer_name text NOT NULL,
    payee_name text NOT NULL,
    trace_number text NOT NULL,
    method text NOT NULL,
    paid_cents bigint NOT NULL,
    decided_on date,
    decided_source text NOT NULL,
    claim_count integer,
    claims_paid_cents bigint,
    findings jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN remittances.claim_count IS 'null until the advice was read to its end';

CREATE TABLE claim_payments (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    claim_id uuid NOT NULL,
    remittance_id uuid NOT NULL,
    position integer NOT NULL,
    payer_key text NOT NULL,
    payer_name text NOT NULL,
    payer_id text NOT NULL,
    payer_claim_number text NOT NULL,
    provider_id text NOT NULL,
    patient jsonb NOT NULL,
    procedures text[] NOT NULL,
    modifiers text[] NOT NULL,
    diagnoses text[] NOT NULL,
    service_on date,
    status text NOT NULL CHECK (status IN ('paid', 'partially_paid', 'denied', 'reversed')),
    status_code text NOT NULL,
    charge_cents bigint NOT NULL,
    paid_cents bigint NOT NULL,
    patient_cents bigint NOT NULL,
    allowed_cents bigint,
    decided_on date,
    lines jsonb NOT NULL DEFAULT '[]',
    findings jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE claim_payments IS 'one row a CLP loop or adjudicated resource; never changed, so that any order sums alike';
CREATE INDEX claim_payments_claim ON claim_payments (claim_id);

CREATE TABLE adjustments (
    owner_id uuid NOT NULL,
    ordinal integer NOT NULL,
    customer_id uuid NOT NULL,
    line integer NOT NULL,
    group_code text NOT NULL,
    carc text NOT NULL,
    amount_cents bigint NOT NULL,
    quantity text NOT NULL DEFAULT '',
    PRIMARY KEY (owner_id, ordinal)
);
COMMENT ON COLUMN adjustments.owner_id IS 'a claim_payments.id, or for a provider-level adjustment (PLB) a remittances.id';

CREATE TABLE authorizations (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    payer_key text NOT NULL,
    payer_name text NOT NULL,
    number text NOT NULL,
    patient jsonb NOT NULL DEFAULT '{}',
    procedure text NOT NULL,
    status text NOT NULL,
    effective_on date,
    expires_on date,
    units_authorized integer,
    units_used integer,
    stated_on date,
    event_id uuid NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX authorizations_number ON authorizations (customer_id, number);
CREATE INDEX authorizations_expiry ON authorizations (customer_id, expires_on);

CREATE TABLE fee_schedules (
    customer_id uuid NOT NULL,
    payer_key text NOT NULL,
    procedure text NOT NULL,
    effective_from date NOT NULL,
    contracted_cents bigint NOT NULL,
    PRIMARY KEY (customer_id, payer_key, procedure, effective_from)
);

CREATE TABLE claim_daily_stats (
    customer_id uuid NOT NULL,
    payer_key text NOT NULL,
    procedure text NOT NULL,
    day date NOT NULL,
    decided integer NOT NULL,
    denied integer NOT NULL,
    charge_cents bigint NOT NULL,
    paid_cents bigint NOT NULL,
    PRIMARY KEY (customer_id, payer_key, procedure, day)
);
COMMENT ON TABLE claim_daily_stats IS 'equals a count over the stat_* columns of claims at every commit';

CREATE TABLE automation_rules (
    customer_id uuid NOT NULL,
    rule_id text NOT NULL,
    version integer NOT NULL,
    document jsonb NOT NULL,
    active boolean NOT NULL DEFAULT true,
    applied_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, rule_id, version)
);
COMMENT ON COLUMN automation_rules.active IS 'in force; several versions of a rule may be, each for its own dates';
CREATE INDEX automation_rules_active ON automation_rules (customer_id, rule_id) WHERE active;

CREATE TABLE executions (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    subject text NOT NULL,
    rule_id text,
    rule_version integer,
    decision text NOT NULL CHECK (decision IN ('fired', 'escalated', 'shadow', 'no_match')),
    result text NOT NULL CHECK (result IN ('SUCCESS', 'FAILED', 'ESCALATED', 'SHADOW')),
    explanation jsonb NOT NULL,
    execution_time_ms double precision NOT NULL,
    trace_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE executions IS 'the audit trail: what was decided of each event, by which rule version, and why';
CREATE INDEX executions_event ON executions (event_id);
CREATE INDEX executions_trace ON executions (trace_id);

CREATE TABLE actions (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    execution_id uuid NOT NULL,
    event_id uuid NOT NULL,
    rule_id text NOT NULL,
    subject text NOT NULL,
    type text NOT NULL,
    params jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('requested', 'open', 'settled', 'failed', 'unknown')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN actions.state IS 'requested: a worker will do it; open: a person has to; settled, failed, unknown: ended';
CREATE INDEX actions_event ON actions (event_id);
CREATE INDEX actions_state ON actions (customer_id, state, created_at);

CREATE TABLE alerts (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    event_id uuid NOT NULL,
    rule_id text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    title text NOT NULL,
    subject text NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX alerts_event ON alerts (event_id);

CREATE TABLE notifications (
    id uuid NOT NULL,
    channel_id text NOT NULL,
    customer_id uuid NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('delivered', 'refused')),
    code text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, channel_id)
);
COMMENT ON TABLE notifications IS 'which channels of a notification are done with; the rest are tried again';

CREATE TABLE inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    event_type text NOT NULL,
    trace_id text NOT NULL,
    event_at timestamptz NOT NULL,
    attempt integer NOT NULL,
    processed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (event_id, consumer)
);
CREATE INDEX inbox_trace ON inbox (trace_id);

CREATE TABLE outbox (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    consumer text NOT NULL,
    parent_id uuid NOT NULL,
    topic text NOT NULL,
    event_type text NOT NULL,
    trace_id text NOT NULL,
    attributes jsonb NOT NULL,
    data bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at timestamptz
);
CREATE INDEX outbox_parent ON outbox (parent_id, consumer);
CREATE INDEX outbox_unpublished ON outbox (created_at) WHERE published_at IS NULL;

CREATE TABLE dead_letters (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    event_id uuid,
    connection_id uuid,
    consumer text NOT NULL,
    subscription text NOT NULL DEFAULT '',
    event_type text NOT NULL DEFAULT '',
    code text NOT NULL,
    reason text NOT NULL,
    attempts integer NOT NULL,
    trace_id text NOT NULL DEFAULT '',
    attributes jsonb NOT NULL,
    body bytea NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replayed', 'discarded')),
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX dead_letters_state ON dead_letters (state, code, first_at);
CREATE INDEX dead_letters_event ON dead_letters (event_id);
"""

TENANT_TABLES = (
    "claims", "remittances", "claim_payments", "adjustments", "authorizations", "fee_schedules",
    "claim_daily_stats", "automation_rules", "executions", "actions", "alerts", "notifications",
    "inbox", "outbox", "dead_letters",
)  # fmt: skip

ROLES = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'upstream_app') THEN
        CREATE ROLE upstream_app LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'upstream_operator') THEN
        CREATE ROLE upstream_operator LOGIN;
    END IF;
END $$;
GRANT USAGE ON SCHEMA public TO upstream_app, upstream_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO upstream_operator;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO upstream_app;
REVOKE INSERT, UPDATE ON customers, automation_rules, fee_schedules FROM upstream_app;
GRANT DELETE ON claim_daily_stats TO upstream_app;
"""

UNATTRIBUTED = """
INSERT INTO customers (id, name) VALUES ('00000000-0000-0000-0000-000000000000', 'Unattributed');
"""


def isolate(table: str, column: str = "customer_id") -> str:
    """Return the policies of one table: a customer's own rows for the app, all rows for an operator."""
    own = f"{column} = current_setting('upstream.customer_id')::uuid"
    return f"""
    ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
    ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
    CREATE POLICY own_rows ON {table} TO upstream_app USING ({own}) WITH CHECK ({own});
    CREATE POLICY all_rows ON {table} TO upstream_operator USING (true) WITH CHECK (true);
    CREATE POLICY owner_rows ON {table} TO CURRENT_USER USING (true) WITH CHECK (true);
    """


def upgrade() -> None:
    """Create every table with its policies."""
    op.execute(TABLES)
    op.execute(ROLES)
    op.execute(isolate("customers", column="id"))
    for table in TENANT_TABLES:
        op.execute(isolate(table))
    op.execute(UNATTRIBUTED)


def downgrade() -> None:
    """Migrations only go forward: a new one repairs the last."""
    raise NotImplementedError
