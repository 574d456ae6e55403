"""What the scheduled jobs keep: sums by day, baselines and their past, findings, runs, authorizations' states.

A third role, `upstream_scheduler`, lists the customers and opens runs. It reads no claim and sees no customer's rows but
the tasks that it made.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SUMS = """
ALTER TABLE claims
    ADD COLUMN stat_carc text,
    ADD COLUMN lag_payer_key text,
    ADD COLUMN lag_submitted_on date,
    ADD COLUMN lag_days integer;
COMMENT ON COLUMN claims.lag_days IS 'lag_*: what this claim adds to claim_lags; -1 while nothing was decided of it';

ALTER TABLE claim_daily_stats ADD COLUMN changed_tx xid8 NOT NULL DEFAULT pg_current_xact_id();
COMMENT ON COLUMN claim_daily_stats.changed_tx IS 'the transaction that changed the row last: what a nightly build has to look at again';
CREATE INDEX claim_daily_stats_changed ON claim_daily_stats (customer_id, changed_tx);

CREATE TABLE claim_daily_reasons (
    customer_id uuid NOT NULL,
    payer_key text NOT NULL,
    carc text NOT NULL,
    procedure text NOT NULL,
    day date NOT NULL,
    denied integer NOT NULL,
    charge_cents bigint NOT NULL,
    PRIMARY KEY (customer_id, payer_key, carc, procedure, day)
);
COMMENT ON TABLE claim_daily_reasons IS 'denied claims by the reason with the largest amount; equals a count over claims.stat_carc at every commit';

CREATE TABLE claim_lags (
    customer_id uuid NOT NULL,
    payer_key text NOT NULL,
    submitted_on date NOT NULL,
    lag_days integer NOT NULL,
    claims integer NOT NULL,
    PRIMARY KEY (customer_id, payer_key, submitted_on, lag_days)
);
COMMENT ON TABLE claim_lags IS 'claims by days from submission to first decision (-1: none yet); equals a count over claims.lag_* at every commit';

CREATE TABLE payment_daily_lines (
    customer_id uuid NOT NULL,
    payer_key text NOT NULL,
    procedure text NOT NULL,
    day date NOT NULL,
    lines integer NOT NULL,
    units bigint NOT NULL,
    received_cents bigint NOT NULL,
    PRIMARY KEY (customer_id, payer_key, procedure, day)
);
COMMENT ON TABLE payment_daily_lines IS 'lines that were paid, less those taken back: what payer and patient pay for them, to hold against fee_schedules';
"""

BASELINES = """
CREATE TABLE baseline_builds (
    customer_id uuid PRIMARY KEY,
    built_on date NOT NULL,
    seen_before_tx xid8 NOT NULL
);
COMMENT ON COLUMN baseline_builds.seen_before_tx IS 'every transaction below it was seen by the last build';

CREATE TABLE risk_baselines (
    customer_id uuid NOT NULL,
    payer_key text NOT NULL,
    procedure text NOT NULL,
    since date NOT NULL,
    decided integer NOT NULL,
    denied integer NOT NULL,
    oldest_on date,
    superseded boolean NOT NULL DEFAULT false,
    PRIMARY KEY (customer_id, payer_key, procedure, since)
);
COMMENT ON TABLE risk_baselines IS 'decided and denied claims of 180 days, as believed from a day on until the next row; rows are never changed after their day';
CREATE UNIQUE INDEX risk_baselines_current ON risk_baselines (customer_id, payer_key, procedure) WHERE NOT superseded;
CREATE INDEX risk_baselines_leaving ON risk_baselines (customer_id, oldest_on) WHERE NOT superseded;

CREATE TABLE payer_baselines (
    customer_id uuid NOT NULL,
    payer_key text NOT NULL,
    since date NOT NULL,
    decided bigint NOT NULL,
    denied bigint NOT NULL,
    procedures integer NOT NULL,
    squares double precision NOT NULL,
    spread double precision NOT NULL,
    alpha double precision NOT NULL,
    beta double precision NOT NULL,
    superseded boolean NOT NULL DEFAULT false,
    PRIMARY KEY (customer_id, payer_key, since)
);
COMMENT ON COLUMN payer_baselines.squares IS 'sum over procedures of decided squared';
COMMENT ON COLUMN payer_baselines.spread IS 'sum over procedures of denied squared / decided';
COMMENT ON COLUMN payer_baselines.alpha IS 'alpha, beta: the beta prior that a thin procedure is shrunk towards';
CREATE UNIQUE INDEX payer_baselines_current ON payer_baselines (customer_id, payer_key) WHERE NOT superseded;
"""

FINDINGS = """
CREATE TABLE findings (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN
        ('denial_rate', 'denial_rate_procedure', 'denial_reason', 'payment_delay', 'underpayment', 'network')),
    payer_key text NOT NULL,
    subject text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    first_seen_on date NOT NULL,
    last_seen_on date NOT NULL,
    closed_on date,
    closed_why text NOT NULL DEFAULT '',
    baseline double precision NOT NULL,
    current double precision NOT NULL,
    low double precision,
    high double precision,
    n bigint NOT NULL,
    p double precision,
    q double precision,
    at_stake_cents bigint,
    told double precision NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    run_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN findings.subject IS 'the procedure or denial reason, where the finding is about one';
COMMENT ON COLUMN findings.baseline IS 'as of the day it was opened: what recovery is measured against';
COMMENT ON COLUMN findings.told IS 'the value of current that rules were last told of';
CREATE UNIQUE INDEX findings_open ON findings (customer_id, kind, payer_key, subject) WHERE state = 'open';

CREATE TABLE network_signals (
    customer_id uuid NOT NULL,
    run_id uuid NOT NULL,
    reporter uuid NOT NULL,
    payer_key text NOT NULL,
    carc text NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, reporter, payer_key, carc)
);
COMMENT ON TABLE network_signals IS 'nobody''s rows: which denial reasons rose at how many customers, under ids that are not theirs';
CREATE INDEX network_signals_seen ON network_signals (customer_id, seen_at);
"""

RUNS = """
CREATE TABLE job_runs (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    job text NOT NULL,
    slot timestamptz NOT NULL,
    options jsonb NOT NULL DEFAULT '{}',
    customers uuid[] NOT NULL DEFAULT '{}',
    stage text NOT NULL,
    tasks integer NOT NULL,
    tasks_done integer NOT NULL DEFAULT 0,
    counts jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'finished')),
    trace_parent text NOT NULL DEFAULT '',
    fired_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz
);
COMMENT ON TABLE job_runs IS 'one row a job and slot; nobody''s rows, since a run is of all customers';
COMMENT ON COLUMN job_runs.tasks IS 'of the present stage';
CREATE INDEX job_runs_slot ON job_runs (job, slot DESC);

CREATE TABLE job_tasks (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    run_id uuid NOT NULL,
    stage text NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done')),
    counts jsonb NOT NULL DEFAULT '{}',
    attempt integer,
    duration_ms double precision,
    done_at timestamptz
);
COMMENT ON TABLE job_tasks IS 'one customer''s share of a run; its id is its message''s';
CREATE INDEX job_tasks_run ON job_tasks (run_id, state);
"""

AUTHORIZATIONS = """
ALTER TABLE customers ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC';
COMMENT ON COLUMN customers.time_zone IS 'IANA name: what day it is for the practice and its payers';

ALTER TABLE authorizations
    ADD COLUMN state text NOT NULL DEFAULT 'ACTIVE' CHECK (state IN ('ACTIVE', 'EXPIRING_SOON', 'EXPIRED', 'RENEWED')),
    ADD COLUMN state_since date,
    ADD COLUMN renewed_by uuid;
COMMENT ON COLUMN authorizations.renewed_by IS 'the authorization that took its place';

CREATE TABLE authorization_states (
    authorization_id uuid NOT NULL,
    ordinal integer NOT NULL,
    customer_id uuid NOT NULL,
    state text NOT NULL,
    since date NOT NULL,
    reason text NOT NULL,
    run_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (authorization_id, ordinal)
);

CREATE TABLE authorization_lead_times (
    customer_id uuid NOT NULL,
    payer_key text NOT NULL,
    procedure text NOT NULL DEFAULT '',
    lead_days integer NOT NULL,
    PRIMARY KEY (customer_id, payer_key, procedure)
);
COMMENT ON TABLE authorization_lead_times IS 'over the built-in lead times; an empty procedure is all of the payer''s services';
"""

TABLES = (
    "claim_daily_reasons", "claim_lags", "payment_daily_lines", "baseline_builds", "risk_baselines",
    "payer_baselines", "findings", "network_signals", "job_runs", "job_tasks", "authorization_states",
    "authorization_lead_times",
)  # fmt: skip

NOBODY = "'00000000-0000-0000-0000-000000000000'::uuid"

SCHEDULER = f"""
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'upstream_scheduler') THEN
        CREATE ROLE upstream_scheduler LOGIN;
    END IF;
END $$;
GRANT USAGE ON SCHEMA public TO upstream_scheduler;
GRANT SELECT (id) ON customers TO upstream_scheduler;
GRANT SELECT, INSERT ON job_runs, job_tasks, outbox TO upstream_scheduler;
GRANT UPDATE (published_at) ON outbox TO upstream_scheduler;
CREATE POLICY every_customer ON customers FOR SELECT TO upstream_scheduler USING (true);
CREATE POLICY every_task ON job_tasks TO upstream_scheduler USING (true) WITH CHECK (true);
CREATE POLICY runs ON job_runs TO upstream_scheduler USING (customer_id = {NOBODY}) WITH CHECK (customer_id = {NOBODY});
CREATE POLICY messages_of_runs ON outbox TO upstream_scheduler
    USING (customer_id = {NOBODY}) WITH CHECK (customer_id = {NOBODY});
"""


def isolate(table: str) -> str:
    """Return the rights and policies of one table: a customer's own rows for the app, all rows for an operator."""
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
    for part in (SUMS, BASELINES, FINDINGS, RUNS, AUTHORIZATIONS):
        op.execute(part)
    for table in TABLES:
        op.execute(isolate(table))
    op.execute("REVOKE INSERT, UPDATE ON authorization_lead_times FROM upstream_app")
    op.execute(SCHEDULER)


def downgrade() -> None:
    raise NotImplementedError
