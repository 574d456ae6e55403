"""The ledger of actions: who works on one, what was stored before the click, what came of it, and what the payer answered."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ACTIONS = """
ALTER TABLE actions DROP CONSTRAINT actions_state_check;
ALTER TABLE actions ADD CONSTRAINT actions_state_check
    CHECK (state IN ('requested', 'claimed', 'committing', 'settled', 'failed', 'open', 'unknown'));
ALTER TABLE actions
    ADD COLUMN payer_key text NOT NULL DEFAULT '',
    ADD COLUMN flow text NOT NULL DEFAULT '',
    ADD COLUMN attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN token uuid,
    ADD COLUMN lease_expires_at timestamptz,
    ADD COLUMN due_at timestamptz,
    ADD COLUMN parked boolean NOT NULL DEFAULT false,
    ADD COLUMN releases integer NOT NULL DEFAULT 0,
    ADD COLUMN client_reference text NOT NULL DEFAULT '',
    ADD COLUMN seen_before text[] NOT NULL DEFAULT '{}',
    ADD COLUMN committed_at timestamptz,
    ADD COLUMN submissions integer NOT NULL DEFAULT 0,
    ADD COLUMN reference text NOT NULL DEFAULT '',
    ADD COLUMN code text NOT NULL DEFAULT '',
    ADD COLUMN ended_at timestamptz,
    ADD COLUMN resolved_by text NOT NULL DEFAULT '',
    ADD COLUMN resolved_note text NOT NULL DEFAULT '';
COMMENT ON COLUMN actions.state IS
    'requested: a worker will do it; claimed: one does; committing: Submit may have been pressed; unknown: whether it was taken is being found out, or with ended_at, a person has to; open: a person has to; settled, failed: ended';
COMMENT ON COLUMN actions.token IS 'whose it is: every change by a worker compares it';
COMMENT ON COLUMN actions.lease_expires_at IS 'until when the owner has it: frees only claimed';
COMMENT ON COLUMN actions.due_at IS 'not before; infinity waits for upstream portals enable';
COMMENT ON COLUMN actions.parked IS 'no message is under way for it: it is released when due';
COMMENT ON COLUMN actions.releases IS 'how often a new message was sent for it';
COMMENT ON COLUMN actions.seen_before IS 'what the portal listed before the commit, where it does not echo our reference';
COMMENT ON COLUMN actions.committed_at IS 'the latest commit was begun: from then on the portal is asked, not told';
COMMENT ON COLUMN actions.reference IS 'the payer''s confirmation number';
COMMENT ON COLUMN actions.code IS 'why it waits or ended so: shared/runtime/errors.py';
CREATE INDEX actions_parked ON actions (customer_id, due_at) WHERE parked;
CREATE INDEX actions_subject ON actions (customer_id, subject, type);
"""

TABLES = """
CREATE TABLE action_attempts (
    action_id uuid NOT NULL,
    attempt integer NOT NULL,
    customer_id uuid NOT NULL,
    flow text NOT NULL,
    reconciling boolean NOT NULL,
    outcome text NOT NULL DEFAULT '',
    code text NOT NULL DEFAULT '',
    reference text NOT NULL DEFAULT '',
    steps jsonb NOT NULL DEFAULT '[]',
    files jsonb NOT NULL DEFAULT '{}',
    evidence jsonb NOT NULL DEFAULT '{}',
    began_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (action_id, attempt)
);
COMMENT ON TABLE action_attempts IS 'one row a visit to a portal; without ended_at its worker was lost';
COMMENT ON COLUMN action_attempts.files IS 'sha256 of what was uploaded, by name';
COMMENT ON COLUMN action_attempts.evidence IS 'where the evidence store keeps each piece';

CREATE TABLE portal_breakers (
    customer_id uuid NOT NULL,
    portal text NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'closed')),
    code text NOT NULL,
    action_id uuid NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_by text NOT NULL DEFAULT '',
    closed_why text NOT NULL DEFAULT '',
    closed_at timestamptz,
    PRIMARY KEY (customer_id, portal)
);
COMMENT ON TABLE portal_breakers IS 'open: nobody signs in to this portal for this customer until a person allows it again';

CREATE TABLE portal_seats (
    customer_id uuid NOT NULL,
    portal text NOT NULL,
    credential text NOT NULL,
    token uuid NOT NULL,
    lease_expires_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, portal, credential)
);
COMMENT ON TABLE portal_seats IS 'who is signed in with which credential, and when a portal may be visited next (credential empty); rows are nobody''s, since portals and their patience are shared';

CREATE TABLE appeals (
    action_id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    claim_id uuid NOT NULL,
    payer_key text NOT NULL,
    carc text NOT NULL,
    template text NOT NULL,
    level integer NOT NULL,
    amount_cents bigint NOT NULL,
    paid_before_cents bigint NOT NULL,
    submitted_on date NOT NULL,
    reference text NOT NULL,
    outcome text NOT NULL DEFAULT 'pending' CHECK (outcome IN ('pending', 'overturned', 'partly', 'upheld')),
    recovered_cents bigint,
    decided_on date,
    source text NOT NULL DEFAULT ''
);
COMMENT ON TABLE appeals IS 'what became of each appeal; source: who said so';
CREATE INDEX appeals_claim ON appeals (customer_id, claim_id);
"""

TENANT_TABLES = ("action_attempts", "portal_breakers", "portal_seats", "appeals")


def isolate(table: str) -> str:
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
    op.execute(ACTIONS)
    op.execute(TABLES)
    for table in TENANT_TABLES:
        op.execute(isolate(table))


def downgrade() -> None:
    raise NotImplementedError
