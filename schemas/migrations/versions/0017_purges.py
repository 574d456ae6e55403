"""Purges: who took a customer's patients out of the record, when and why, and which dead letters were emptied.

The role of `upstream smoke` puts its rule in force, so it notes that it did, as everybody who changes rules.
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE customer_purges (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    purged_by text NOT NULL,
    why text NOT NULL,
    rows jsonb NOT NULL DEFAULT '{}',
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz
);
COMMENT ON TABLE customer_purges IS 'the audit trail of purges; without ended_at one was interrupted, and the next one went on';
COMMENT ON COLUMN customer_purges.rows IS 'by table: how many were removed or emptied';
CREATE INDEX customer_purges_customer ON customer_purges (customer_id, began_at DESC);
GRANT SELECT, INSERT, UPDATE ON customer_purges TO upstream_operator;
GRANT SELECT ON customer_purges TO upstream_app;
ALTER TABLE customer_purges ENABLE ROW LEVEL SECURITY;
ALTER TABLE customer_purges FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON customer_purges TO upstream_app
    USING (customer_id = current_setting('upstream.customer_id')::uuid)
    WITH CHECK (customer_id = current_setting('upstream.customer_id')::uuid);
CREATE POLICY all_rows ON customer_purges TO upstream_operator USING (true) WITH CHECK (true);
CREATE POLICY owner_rows ON customer_purges TO CURRENT_USER USING (true) WITH CHECK (true);
"""

LETTERS = """
ALTER TABLE dead_letters
    ADD COLUMN purged_at timestamptz,
    ADD COLUMN purged_by text NOT NULL DEFAULT '',
    ADD COLUMN purged_why text NOT NULL DEFAULT '';
COMMENT ON COLUMN dead_letters.purged_at IS 'since then its body is empty: it can be looked at, and not replayed';
"""

CANARY = """
GRANT INSERT ON rule_changes TO upstream_smoke;
CREATE POLICY canary_rows ON rule_changes TO upstream_smoke
    USING (customer_id = '0ca9a000-0000-4000-8000-000000000001'::uuid)
    WITH CHECK (customer_id = '0ca9a000-0000-4000-8000-000000000001'::uuid);
"""


def upgrade() -> None:
    """Add the table, with its policies, and what tells that a letter was emptied."""
    op.execute(TABLE)
    op.execute(LETTERS)
    op.execute(CANARY)


def downgrade() -> None:
    """Migrations only go forward: a new one repairs the last."""
    raise NotImplementedError
